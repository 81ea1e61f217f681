"""Small versions of the hard worlds: equal candidates are left alone though pods are not alike, or it is said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.analysis.hard_pods import CELLS, Errors, Found, cell, hard_pods
from benchmarks.analysis.releases import Release
from modelrollout.analysis.sensitivity.unlike_pods import NO_HISTORY, NO_HISTORY_FOR_LIMITS, ONE_POD
from modelrollout.analysis.sensitivity.unlike_users import REMARK
from modelrollout.plan.foresight import in_sentences
from tests.benchmarks.test_bench_ours import Silent

SEED = 20_261_127
LEFT_ALONE = {
    "bursts, 20+20": 4,
    "bursts, 1+3": 10,
    "clusters, 20+20": 4,
    "clusters, 1+19": 5,
    "clusters, 1+1": 10,
    "drifts, 1+19": 5,
    "no history, clusters, 1+3": 15,
    "no history, clusters, 20+20": 4,
    "no history, clusters, 1+1": 15,
    "differ for good by 15 %, 1+3": 12,
    "differ for good by 15 %, 3+9": 6,
    "differ for good by 30 %, 1+9": 6,
    "differ for half an hour by 30 %, 1+9": 6,
    "latency, differ by 5 % in speed, 1+9": 3,
    "latency, differ by 5 % in speed, 1+3": 4,
}
"""Runs of cells in which neither strict nor tolerant rollouts take anybody back. All of them are announced."""


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_equal_candidates_among_pods_that_are_not_alike_are_left_alone(name: str) -> None:
    runs = LEFT_ALONE[name]
    assert cell(name, runs, SEED) == Found(runs, 0, 0, runs)


@pytest.mark.parametrize(
    "name",
    [
        "within the README's tolerance (×1.2), bursts, 1+19",
        "within the README's tolerance (×1.2), clusters, 1+19",
        "users differ by 10 %, 1+3",
        "differ for good by 15 %, 1+1",
    ],
)
def test_with_a_tolerance_candidates_within_it_are_left_alone(name: str) -> None:
    assert cell(name, 5, SEED).readme == 0


@pytest.mark.parametrize(
    ("name", "runs"),
    [("max, bursts, 1+3", 8), ("min, bursts, 1+3", 6), ("max, clusters, 1+3", 6), ("groups, bursts, 1+3", 3)],
)
def test_limits_and_groups_allow_for_noisy_pods_that_stable_has_too(name: str, runs: int) -> None:
    found = cell(name, runs, SEED)
    assert (found.readme, found.announced) == (0, runs)


def test_what_a_burst_may_do_to_a_limit_without_a_history_is_announced() -> None:
    assert cell("max, no history, bursts, 1+3", 2, SEED).announced == 2


@pytest.mark.parametrize("name", ["restarts, 1+3", "max, restarts, 1+3", "groups, restarts, 1+3"])
def test_counters_that_begin_anew_take_nobody_back(name: str) -> None:
    found = cell(name, 4, SEED)
    assert (found.strict, found.readme) == (0, 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no history, bursts, 1+3", NO_HISTORY),
        ("differ for good by 15 %, no history, 1+3", NO_HISTORY),
        ("differ for good by 15 %, 1+1", ONE_POD),
        ("users differ by 10 %, 1+3", REMARK),
        ("max, no history, bursts, 1+3", NO_HISTORY_FOR_LIMITS),
    ],
)
def test_where_many_are_taken_back_an_apply_and_sensitive_say_why(name: str, words: str) -> None:
    strict = Release(CELLS[name].metrics[0])
    _, past = CELLS[name].draw(np.random.default_rng(SEED), strict)
    usual = strict.usual(past)
    assert words in (usual.note or "")
    assert f"{usual.metric}: {words}" in in_sentences([usual])


def test_users_who_differ_are_announced_as_users_and_pods_as_pods() -> None:
    assert cell("users differ by 10 %, 1+3", 2, SEED).announced == 2
    assert _said_of_pods(Errors(1, 3, users=1.1)) is False
    assert _said_of_pods(Errors(1, 3, cluster=5.0)) is True


def _said_of_pods(world: Errors) -> bool:
    release = Release(world.metrics[0])
    _, past = world.draw(np.random.default_rng(SEED), release)
    return release.usual(past).note != REMARK


def test_a_cell_of_the_same_seed_is_the_same_and_the_table_has_a_row_for_each() -> None:
    name = "no history, bursts, 1+3"
    assert cell(name, 3, 1) == cell(name, 3, 1)
    table = hard_pods(2, 1, Silent(), [name])
    assert table.columns == ("cell", "strict", "README", "announced")
    assert [row[0] for row in table.rows] == [name]
    assert name in CELLS
