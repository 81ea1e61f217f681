"""The tables, small, with the plain transcription of the formulas in the place of the engine."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.analysis import limits
from benchmarks.analysis.__main__ import FULL, size_of
from benchmarks.analysis.measure import Bench, Result, bar
from benchmarks.analysis.report import Table, false_rate, median_time, number
from benchmarks.analysis.tables import TABLES, counts, steps
from benchmarks.analysis.trials import NEVER, Size
from benchmarks.analysis.worlds import SERVICES, Effect
from tests.benchmarks.reference import Reference

NARROW = Size(fine=40, bad=20, noisy=4, chunk=40, seed=11)


class Silent:
    def begin(self, what: str, runs: int) -> None:
        pass

    def advance(self, runs: int) -> None:
        pass


def bench(size: Size = NARROW) -> Bench:
    return Bench(Reference(calibration_runs=100), size, Silent())


def result(*ticks: int, of: int = 360) -> Result:
    return Result(np.array(ticks), of, 10.0, np.zeros(1))


def test_times_are_told_from_the_end_of_the_tick_and_the_unfound_count_as_the_whole() -> None:
    seen = result(0, 5, NEVER, NEVER)
    assert (seen.share, seen.median, seen.mean) == (0.5, 60.0, (10 + 60 + 3600 + 3600) / 4)
    assert median_time(seen) == "60 (50 %)"
    assert median_time(result(NEVER, NEVER)) == "never"
    assert median_time(result(1, NEVER, NEVER)) == ">3600 (33 %)"


def test_what_was_decided_before_the_onset_is_not_found_after_it() -> None:
    assert result(10, 200, NEVER).after(180).decided.tolist() == [NEVER, 20, NEVER]


def test_the_ratio_to_the_limit_takes_the_power_into_account() -> None:
    at_once = np.log(100) / 50.0
    assert result(4, 4, 4).to_limit(at_once, 0.01) == pytest.approx(1.0)
    assert np.isnan(result(NEVER, NEVER).to_limit(at_once, 0.01))


def test_the_bar_of_the_study() -> None:
    assert bar(4000, 0.01) == 61


def test_a_table_is_markdown_with_columns_of_equal_width() -> None:
    said = Table("Times", ("rule", "a"), (("ours", "10"), ("theirs", "360")), ("A note.",)).markdown()
    assert said.splitlines() == [
        "## Times",
        "",
        "| rule   |   a |",
        "|--------|----:|",
        "| ours   |  10 |",
        "| theirs | 360 |",
        "",
        "A note.",
    ]


def test_numbers_are_as_long_as_they_are_sure() -> None:
    assert [number(value) for value in (5093.2, 50.91, 5.09, 0.5, np.nan, np.inf)] == [
        "5093",
        "50.9",
        "5.1",
        "0.5",
        "–",
        "∞",
    ]
    assert false_rate(result(*[NEVER] * 399, 3)) == "0"


def test_the_same_seed_makes_the_same_table_whatever_else_is_printed() -> None:
    assert counts.t1(bench()) == counts.t1(bench())
    assert bench().generator("T1").random() != bench().generator("T2").random()


def test_fixed_thresholds_fire_on_thin_traffic_and_the_formulas_do_not() -> None:
    seen = counts.false_rollbacks(bench(), 60)
    thin, thick = SERVICES[0], SERVICES[2]
    assert seen[thin]["Argo-tuned"].share > 0.9
    assert seen[thin]["Flagger-tuned"].share > 0.75
    assert seen[thick]["Argo-tuned"].share == 0
    assert all(cell["**ours**"].share <= 0.1 for cell in seen.values())


def test_the_limit_of_a_cell_is_that_of_the_study() -> None:
    seen = [number(limits.seconds(counts.limit_rate(service, counts.EFFECTS["×2"]))) for service in SERVICES]
    assert seen == ["5093", "509", "50.9", "509", "50.9", "5.1"]


def test_every_case_of_the_stepped_table_says_something_of_every_rule() -> None:
    [table] = steps.t4(bench(Size(6, 6, 6, 1)))
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert len(table.rows) == len(steps.CASES)


def test_sizes_are_as_asked_or_as_in_the_study() -> None:
    assert size_of("T3", full=True, runs=None, seed=5) == Size(4000, 400, 200, 5)
    assert size_of("T3", full=False, runs=7, seed=5).fine == 7
    assert FULL.keys() == TABLES.keys()


def test_no_effect_is_no_effect() -> None:
    assert Effect().is_none
    assert not Effect(plus=0.01).is_none
