"""What holds for every sequence of counts: folding in pieces, improvements, odd input, and what is put on when."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from modelrollout.analysis.evidence.tracks import Track, Words, merge_harm
from modelrollout.sequential import distributions, gauges, horizon, intervals, paired, proportions, ranks, strata
from modelrollout.sequential.distributions import Slower
from modelrollout.sequential.noise import History, measure_noise
from modelrollout.sequential.proportions import Baseline, Bound, Counts, Floats
from modelrollout.sequential.ranks import PodCounts
from modelrollout.sequential.wealth import EFFECT_WEIGHTS, EFFECTS, Onsets, Path, Wealth, grow, weights

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TICKS = st.integers(1, 12)
BOUNDS = st.builds(
    Bound,
    st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-3, 1e3)),
    st.sampled_from([0.0, 0.0, 1e-4, 0.01, 0.2, 0.99, 1.0]),
)
RATES = st.floats(1e-9, 1 - 1e-9)
LOG_WEIGHTS = weights(EFFECT_WEIGHTS)


def amounts(*shape: int, most: float = 1e9) -> st.SearchStrategy[Floats]:
    """Whole numbers and fractions, as dispersed counts are, with many zeros."""
    return npst.arrays(
        np.float64, shape, elements=st.one_of(st.just(0.0), st.integers(0, 100).map(float), st.floats(1e-3, most))
    )


def shares(*shape: int) -> st.SearchStrategy[Floats]:
    return npst.arrays(np.float64, shape, elements=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)))


@st.composite
def two_arms(draw: st.DrawFn) -> tuple[Counts, Floats]:
    """Counts with no more events than requests, and what stable's rate is taken for."""
    ticks = draw(TICKS)
    mine, theirs = draw(amounts(ticks)), draw(amounts(ticks))
    counted = Counts(mine * draw(shares(ticks)), mine, theirs * draw(shares(ticks)), theirs)
    return counted, draw(npst.arrays(np.float64, ticks, elements=RATES))


def splits(total: int, cuts: list[int]) -> list[slice]:
    bounds = sorted({0, total, *(cut % (total + 1) for cut in cuts)})
    return [slice(*pair) for pair in pairwise(bounds)]


@unhurried
@given(
    st.integers(1, 60).flatmap(
        lambda ticks: st.tuples(
            npst.arrays(np.float64, (ticks, EFFECTS.size), elements=st.floats(-300, 40)),
            npst.arrays(np.float64, ticks, elements=st.one_of(st.just(0.0), st.floats(0, 0.3))),
        )
    ),
    st.lists(st.integers(0, 1000), max_size=20),
)
def test_folding_in_pieces_ends_where_folding_at_once_ends(told: tuple[Floats, Floats], cuts: list[int]) -> None:
    factors, restarts = told
    whole = grow(Wealth.untouched(EFFECTS.size), factors, restarts, LOG_WEIGHTS)
    wealth, logs = Wealth.untouched(EFFECTS.size), []
    for piece in splits(len(factors), cuts):
        path = grow(wealth, factors[piece], restarts[piece], LOG_WEIGHTS)
        assert path.last == pytest.approx(path.after(len(path.log)).log, abs=1e-9)
        wealth = path.after(len(path.log))
        logs.append(path.log)
    assert np.concatenate(logs) == pytest.approx(whole.log, abs=1e-9)
    assert (wealth.bets == whole.bets[-1]).all()
    assert wealth.cash == whole.cash[-1]
    assert (whole.cash >= 0).all()
    assert (np.diff(whole.cash, prepend=1.0) <= 0).all()
    assert whole.after(0) is whole.before


@unhurried
@given(two_arms(), BOUNDS, st.lists(st.integers(0, 1000), max_size=20), st.sampled_from([1.0, 0.98, 0.5]))
def test_evidence_does_not_depend_on_how_ticks_are_batched(
    told: tuple[Counts, Floats], bound: Bound, cuts: list[int], decay: float
) -> None:
    counted, _ = told
    ticks = counted.stable.size
    restarts = np.full(ticks, 0.5 / ticks)

    def fold(baseline: Baseline, wealth: Wealth, piece: slice) -> tuple[Baseline, Path]:
        seen = counted.only(np.isin(np.arange(ticks), np.arange(ticks)[piece]))
        events, requests, after = baseline.before_each(seen.bad_stable, seen.stable, decay)
        log_e = proportions.worse(seen, proportions.rate(events, requests), bound)
        return after, grow(wealth, log_e, restarts[piece], LOG_WEIGHTS)

    _, whole = fold(Baseline(), Wealth.untouched(EFFECTS.size), slice(None))
    baseline, wealth, last = Baseline(), Wealth.untouched(EFFECTS.size), 0.0
    for piece in splits(ticks, cuts):
        baseline, path = fold(baseline, wealth, piece)
        wealth, last = path.after(len(path.log)), path.last
    assert last == pytest.approx(whole.last, rel=1e-9, abs=1e-9)


@unhurried
@given(two_arms(), BOUNDS, shares(12))
def test_a_candidate_that_is_within_its_bound_in_every_tick_gains_nothing(
    told: tuple[Counts, Floats], bound: Bound, part: Floats
) -> None:
    """Not even by chance: what is counted has the shares that the null allows, and so the evidence never rises."""
    counted, base = told
    theirs = counted.bad_stable / np.maximum(counted.stable, 1e-300)
    allowed = np.minimum(bound.factor * theirs + bound.margin, 1.0) * part[: base.size]
    seen = Counts(counted.candidate * allowed, counted.candidate, counted.bad_stable, counted.stable)
    log_e = proportions.worse(seen, base, bound)
    assert (log_e <= 1e-9 + 1e-13 * (seen.candidate + seen.stable)[:, None]).all()


@unhurried
@given(two_arms(), BOUNDS)
def test_a_candidate_that_is_beyond_what_is_unacceptable_in_every_tick_excludes_nothing(
    told: tuple[Counts, Floats], bound: Bound
) -> None:
    counted, base = told
    theirs = np.clip(counted.bad_stable / np.maximum(counted.stable, 1e-300), 0, 1)
    least = bound.factor * theirs + bound.margin
    mine = np.where(least <= 1, least, 1.0)
    theirs = np.where(least <= 1, theirs, max(1 - bound.margin, 0.0) / max(bound.factor, 1.0))
    mine = np.maximum(mine, np.minimum(bound.factor * theirs + bound.margin, 1.0))
    seen = Counts(counted.candidate * mine, counted.candidate, counted.stable * theirs, counted.stable)
    log_e = proportions.better(seen, base, bound)
    assert (log_e <= 1e-9 + 1e-13 * (seen.candidate + seen.stable)[:, None]).all()


@unhurried
@given(two_arms(), BOUNDS)
def test_no_errors_in_either_arm_are_no_evidence(told: tuple[Counts, Floats], bound: Bound) -> None:
    counted, base = told
    nothing = np.zeros(base.size)
    log_e = proportions.worse(Counts(nothing, counted.candidate, nothing, counted.stable), base, bound)
    assert (log_e <= 1e-9 + 1e-13 * (counted.candidate + counted.stable)[:, None]).all()


@unhurried
@given(two_arms(), BOUNDS)
def test_counts_never_give_anything_but_numbers(told: tuple[Counts, Floats], bound: Bound) -> None:
    counted, base = told
    for log_e in (proportions.worse(counted, base, bound), proportions.better(counted, base, bound)):
        assert np.isfinite(log_e).all()
        assert (log_e[~counted.both] == 0).all()
    for limit in (0.0, bound.margin, 1.0):
        assert np.isfinite(proportions.beyond_limit(counted.bad_stable, counted.stable, limit)).all()
        assert np.isfinite(proportions.below_limit(counted.bad_stable, counted.stable, limit)).all()
    so_far = intervals.likelihoods(counted)
    assert np.isfinite(so_far).all()
    for alpha in (1e-6, 0.01, 0.5):
        found = intervals.interval(so_far, alpha)
        assert 0 <= found.low < found.high


@unhurried
@given(st.data(), TICKS, st.integers(1, 15))
def test_distributions_never_give_anything_but_numbers_and_gain_nothing_where_no_tail_is_heavier(
    data: st.DataObject, ticks: int, edges: int
) -> None:
    stable = data.draw(amounts(ticks, edges + 1))
    known = data.draw(amounts(ticks, edges + 1))
    total = stable.sum(axis=1)
    mine = data.draw(amounts(ticks))
    beyond = stable[:, ::-1].cumsum(axis=1)[:, -2::-1]
    tails = np.divide(beyond, total[:, None], out=np.zeros_like(beyond), where=total[:, None] > 0)
    lighter = np.minimum.accumulate(tails * data.draw(shares(ticks, edges)), axis=1)
    log_e = distributions.slower(Slower(lighter * mine[:, None], mine, beyond, total), known)
    assert log_e.shape == (ticks, distributions.bets(edges))
    assert np.exp(distributions.log_weights(edges)).sum() == pytest.approx(1.0)
    assert np.isfinite(log_e).all()
    assert (log_e <= 1e-9 + 1e-12 * (mine + total)[:, None]).all()
    heavier = distributions.slower(Slower(beyond, total, lighter * mine[:, None], mine), known)
    assert np.isfinite(heavier).all()


def test_thousands_of_buckets_break_nothing() -> None:
    drawn = np.random.default_rng(1)
    buckets = drawn.poisson(0.2, (2, 2, 3000)).astype(float)
    beyond = buckets[:, :, ::-1].cumsum(axis=2)[:, :, -2::-1]
    totals = buckets.sum(axis=2)
    known = distributions.known_before(np.zeros(3000), beyond[1], totals[1], 0.98)
    log_e = distributions.slower(Slower(beyond[0], totals[0], beyond[1], totals[1]), known[:-1])
    path = grow(Wealth.untouched(log_e.shape[1]), log_e, np.array([0.4, 0.0]), distributions.log_weights(2999))
    assert np.isfinite(path.log).all()


@unhurried
@given(st.data(), TICKS, st.floats(0.0, 1e6))
def test_pairs_gain_nothing_where_the_candidate_is_wrong_no_more_often(
    data: st.DataObject, ticks: int, tolerated: float
) -> None:
    stable_wrong = data.draw(amounts(ticks))
    allowed = np.minimum(stable_wrong * tolerated, 1e12) * data.draw(shares(ticks))
    assert (paired.worse(allowed, stable_wrong, tolerated) <= 1e-9 + 1e-13 * (allowed + stable_wrong)[:, None]).all()
    for log_e in (
        paired.worse(data.draw(amounts(ticks)), stable_wrong, tolerated),
        paired.better(stable_wrong, allowed, tolerated),
    ):
        assert np.isfinite(log_e).all()


@unhurried
@given(st.data(), st.integers(1, 4), st.sampled_from([0.0, 0.03, 0.5]))
def test_groups_gain_nothing_where_the_gap_is_what_is_allowed(data: st.DataObject, ticks: int, allowed: float) -> None:
    total, usual = data.draw(amounts(ticks, 4)), data.draw(shares(ticks, 4))
    theirs = data.draw(shares(ticks, 4))
    theirs[:, 0] = np.clip(theirs[:, 1] + theirs[:, 2] - theirs[:, 3] - allowed, theirs[:, 0], 1)
    log_e = strata.worse(theirs * total, total, usual, strata.GAP_RULE, allowed)
    assert np.isfinite(log_e).all()
    is_within = theirs @ strata.GAP_RULE <= allowed
    assert (log_e[is_within] <= 1e-9 + 1e-12 * total[is_within].sum(axis=1)[:, None]).all()
    anything = strata.worse(data.draw(shares(ticks, 4)) * total, total, usual, strata.GAP_RULE, allowed)
    assert np.isfinite(anything).all()
    assert np.isfinite(
        strata.worse(theirs[:, :2] * total[:, :2], total[:, :2], usual[:, :2], strata.FOUR_FIFTHS, 0.0)
    ).all()


@unhurried
@given(
    shares(3),
    npst.arrays(np.float64, st.tuples(st.integers(0, 30), st.just(2)), elements=st.floats(0, 1)),
    st.sampled_from([Bound(1.0), Bound(1.25, 0.001), Bound(0.0, 0.5), Bound(1.0, 2.0)]),
)
def test_ranks_give_numbers_that_do_not_depend_on_the_order_of_stable_pods(
    candidate: Floats, stable: Floats, bound: Bound
) -> None:
    total = 1000 * stable[:, 1]
    mine, theirs = PodCounts(300 * candidate, np.full(3, 300.0)), PodCounts(total * stable[:, 0], total)
    log_e = ranks.factors(mine, theirs, bound, "block")
    assert np.isfinite(log_e).all()
    assert (log_e <= math.log(len(stable) + 1) + 1e-9).all()
    backwards = PodCounts(theirs.bad[::-1], theirs.total[::-1])
    assert ranks.factors(mine, backwards, bound, "block") == pytest.approx(log_e)


@unhurried
@given(
    npst.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e6, 1e6)),
    st.floats(1e-6, 1e6),
    st.lists(st.integers(0, 100), max_size=5),
)
def test_gauges_give_numbers_and_sums_that_do_not_depend_on_batches(
    readings: Floats, scale: float, cuts: list[int]
) -> None:
    moments = gauges.Moments()
    for piece in splits(len(readings), cuts):
        moments = moments.after(readings[piece])
    whole = gauges.Moments().after(readings)
    for name in ("count", "total", "squares", "neighbours", "first", "last"):
        assert getattr(moments, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-3)
    variance = whole.long_run_variance
    assert variance is None or (math.isfinite(variance) and variance >= 0)
    log_e = gauges.log_wealth(readings.cumsum(), np.arange(1.0, readings.size + 1), scale)
    assert np.isfinite(log_e).all()
    assert (log_e[readings.cumsum() <= 0] <= 0).all()
    for alpha in (1e-6, 0.05):
        assert gauges.half_width(float(readings.size), variance or 0.0, scale, alpha) > 0


PLANS = st.builds(Onsets, st.floats(-1e6, 1e6), st.integers(0, 5), st.floats(0, 1e6))


@unhurried
@given(PLANS, st.data())
def test_never_more_than_everything_is_put_on_however_time_is_cut(plan: Onsets, data: st.DataObject) -> None:
    ages = st.floats(-1e4, 1e7)
    times = data.draw(st.lists(ages, min_size=2, max_size=30, unique=True))
    edges = np.array(sorted(plan.start + age for age in times))
    steps = sorted(plan.start + age for age in data.draw(st.lists(ages, max_size=8)))
    fine = plan.restarts(edges, steps)
    assert (fine >= -1e-12).all()
    assert fine.sum() <= 1 + 1e-9
    kept = sorted({0, len(edges) - 1, *data.draw(st.lists(st.integers(0, len(edges) - 1), max_size=5))})
    coarse = plan.restarts(edges[kept], steps)
    assert coarse.sum() == pytest.approx(fine.sum(), abs=1e-9)
    path = grow(Wealth.untouched(1), np.zeros((len(fine), 1)), fine, np.zeros(1))
    assert path.log == pytest.approx(np.zeros(len(fine)), abs=1e-9)  # what is put on and wins nothing is still there


@unhurried
@given(st.data(), st.integers(1, 5), TICKS)
def test_the_mean_of_wealths_lies_between_them(data: st.DataObject, metrics: int, ticks: int) -> None:
    logs = data.draw(npst.arrays(np.float64, (metrics, ticks), elements=st.floats(-700, 700)))
    tracks = [(0, Track("t", Words("", ""), row[1:], float(row[0]), good=0.0, is_kept=True)) for row in logs]
    mean = merge_harm(tracks, [-math.log(metrics)] * metrics)
    assert (mean >= logs.min(axis=0) - 1e-9).all()
    assert (mean <= logs.max(axis=0) + 1e-9).all()


@unhurried
@given(st.data(), st.integers(0, 4), st.integers(0, 60))
def test_a_history_of_any_kind_is_measured_or_refused(data: st.DataObject, pods: int, blocks: int) -> None:
    total = data.draw(amounts(pods, blocks))
    noise = measure_noise(History(total * data.draw(shares(pods, blocks)), total, 60.0))
    if noise is not None:
        assert math.isfinite(noise.dispersion)
        assert abs(noise.memory) <= 1 + 1e-9 + 2 / blocks


@unhurried
@given(
    st.lists(st.sampled_from([0.0, 0.01, 1.0, 30.0]), min_size=1, max_size=4),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.sampled_from([0.001, 0.01, 0.2]),
)
def test_a_threshold_for_a_declared_plan_is_never_above_that_for_ever_nor_one_that_is_passed_at_once(
    volume: list[float], weight: float, at_start: float, alpha: float
) -> None:
    restarts = np.append(at_start, np.full(len(volume) - 1, (1 - at_start) / max(len(volume) - 1, 1)))
    found = horizon.threshold(np.array(volume), np.full(len(volume), weight), restarts, alpha, runs=300)
    assert 0 < found <= math.log(1 / alpha)
