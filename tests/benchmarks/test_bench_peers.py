"""The other tools' rules on sequences made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.analysis import peers, rules
from benchmarks.analysis.trials import NEVER, Counts, Ints

TICK = 10.0
MINUTELY = peers.Schedule(60.0, TICK)
HALF_MINUTELY = peers.Schedule(30.0, TICK)


def failing(*looks: int, of: int = 60) -> np.ndarray:
    """One run with failures at these looks, counted from 1."""
    failed = np.zeros((1, of), dtype=bool)
    failed[0, np.array(looks) - 1] = True
    return failed


def constant(bad_candidate: int, bad_stable: int = 0, n_candidate: int = 100, n_stable: int = 1900) -> Counts:
    """An hour of the same counts in each tick."""

    def each(value: int) -> Ints:
        return np.full((1, 360), value, dtype=np.int64)

    none = np.zeros(1, dtype=np.int64)
    return Counts(each(bad_candidate), each(bad_stable), each(n_candidate), each(n_stable), none, none)


def test_flagger_takes_back_at_the_check_after_the_fifth_failure_however_far_apart() -> None:
    assert peers.flagger(failing(1, 10, 20, 30, 40), MINUTELY, 360).tolist() == [41 * 6 - 1]


def test_flagger_forgives_four_failures() -> None:
    assert peers.flagger(failing(1, 2, 3, 4), MINUTELY, 360).tolist() == [NEVER]


def test_flagger_has_no_check_left_after_a_fifth_failure_at_the_very_end() -> None:
    assert peers.flagger(failing(1, 2, 3, 4, 60), MINUTELY, 360).tolist() == [NEVER]


def test_the_variant_in_a_row_starts_again_after_a_passed_check() -> None:
    failed = np.concatenate([failing(1, 2, 3, 4, 6, 7, 8, 9), failing(1, 2, 3, 4, 6, 7, 8, 9, 10)])
    assert peers.flagger(failed, MINUTELY, 360, in_a_row=True).tolist() == [NEVER, 11 * 6 - 1]


def test_argo_fails_when_failures_exceed_the_limit() -> None:
    failed = np.concatenate([failing(2, 4, 6, of=119), failing(2, 4, 6, 8, of=119)])
    assert peers.argo(failed, HALF_MINUTELY, 360).tolist() == [NEVER, (60 + 7 * 30) / TICK - 1]


def test_a_schedule_looks_first_after_a_whole_window_and_sums_the_window_before_each_look() -> None:
    increments = np.arange(12, dtype=np.int64)[None, :]
    assert HALF_MINUTELY.looks(12).tolist() == [6, 9, 12]
    assert HALF_MINUTELY.sums(increments).tolist() == [[15, 33, 51]]


@pytest.mark.parametrize(
    ("rule", "seconds"),
    [("Flagger-1%", 360), ("Flagger-tuned", 360), ("Argo-5%", 240), ("Argo-tuned", 150), ("Argo-ratio2", 150)],
)
def test_a_gross_regression_takes_the_time_that_the_rule_needs_at_least(rule: str, seconds: float) -> None:
    decided = rules.for_counts(0.01)[rule](constant(bad_candidate=6, bad_stable=19))
    assert (decided + 1) * TICK == seconds


def test_no_rule_takes_back_a_candidate_without_errors() -> None:
    seen = {name: rule(constant(0, 0)).tolist() for name, rule in rules.for_counts(0.01).items()}
    assert seen == {name: [NEVER] for name in seen}


def test_a_ratio_to_nothing_is_infinite_and_nothing_to_nothing_is_no_failure() -> None:
    assert peers.ratio_above(np.array([0.1, 0.0]), np.array([0.0, 0.0]), 2.0).tolist() == [True, False]


def test_kayenta_waits_for_a_quarter_of_an_hour_and_then_sees_a_clear_shift() -> None:
    rng = np.random.default_rng(3)
    stable = rng.normal(10, 1, (1, 60))
    assert peers.kayenta(stable + 5, stable[:, ::-1], TICK).tolist() == [900 / TICK - 1]


def test_kayenta_does_not_mind_a_candidate_that_is_lower_or_equal() -> None:
    rng = np.random.default_rng(3)
    stable = rng.normal(10, 1, (2, 60))
    candidate = stable[:, ::-1] - np.array([[0.0], [5.0]])
    assert peers.kayenta(candidate, stable, TICK).tolist() == [NEVER, NEVER]


def test_kayenta_wants_the_interval_to_clear_a_quarter_of_the_estimate() -> None:
    """Of points that never overlap but differ widely, the lower limit stays below a quarter of the estimate."""
    candidate = np.concatenate([np.full(7, 1.0), np.full(8, 100.0)])[None, :]
    stable = np.full((1, 15), 0.9) + np.linspace(0, 1e-6, 15)
    assert not peers.is_high(candidate + np.linspace(0, 1e-6, 15), stable).any()


def test_a_quantile_is_interpolated_within_its_bucket() -> None:
    buckets, edges = np.array([[80.0, 20.0, 0.0]]), np.array([0.1, 0.2, np.inf])
    assert peers.histogram_quantile(0.9, buckets, edges) == pytest.approx([0.15])
    assert peers.histogram_quantile(0.9, buckets, edges, exponential=True) == pytest.approx([0.1 * 2**0.5])
    assert peers.histogram_quantile(0.4, buckets, edges) == pytest.approx([0.05])


def test_a_quantile_in_the_last_bucket_is_its_lower_edge_and_of_nothing_is_not_a_number() -> None:
    edges = np.array([0.1, 0.2, np.inf])
    seen = peers.histogram_quantile(0.99, np.array([[1.0, 1.0, 9.0], [0.0, 0.0, 0.0]]), edges)
    np.testing.assert_equal(seen, [0.2, np.nan])
