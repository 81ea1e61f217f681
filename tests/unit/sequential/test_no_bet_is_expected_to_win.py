"""E[e] ≤ 1 for one tick of every test under its whole null, by going through everything that may be counted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import binom, multinomial, norm

from modelrollout.sequential import distributions, gauges, paired, proportions, ranks, strata
from modelrollout.sequential.distributions import Slower
from modelrollout.sequential.proportions import Bound, Counts, Floats
from modelrollout.sequential.ranks import PodCounts
from modelrollout.sequential.wealth import AT_START, EFFECT_WEIGHTS, EFFECTS, Wealth, grow, weights

ROUNDING = 1e-9

RATES = np.array([0.0, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.9, 1.0])
TAKEN_FOR = (1e-9, 1e-4, 0.01, 0.3, 0.9, 1 - 1e-9)
"""What stable's rate is taken for, rightly or wrongly."""
BOUNDS = [
    Bound(1.0),
    Bound(1.25),
    Bound(2.0),
    Bound(0.5),
    Bound(20.0),
    Bound(1.0, 0.002),
    Bound(1.25, 0.001),
    Bound(1.0, 0.3),
    Bound(3.0, 0.1),
    Bound(1.0, 0.999),
    Bound(1.0, 1.0),
    Bound(0.0, 0.02),
    Bound(0.0, 0.0),
    Bound(0.0, 1.0),
]
ALLOCATIONS = [(1, 49), (3, 60), (30, 30), (49, 1)]
INSIDE = np.array([0.0, 0.3, 0.999, 1.0])


def expected(log_chances: Floats, log_e: Floats, log_weights: Floats) -> float:
    """The largest E[e] of any bet, and of all together; `log_chances`: truths × outcomes, `log_e`: outcomes × bets."""
    assert np.isfinite(log_e).all()
    one_by_one = [logsumexp(log_chances + bet, axis=1) for bet in log_e.T]
    mixed = np.logaddexp(math.log(1 - AT_START), math.log(AT_START) + logsumexp(log_e + log_weights, axis=1))
    for row in range(0, len(log_e), len(log_e) // 30 + 1):
        tick = grow(Wealth.untouched(log_weights.size), log_e[row : row + 1], np.array([AT_START]), log_weights)
        assert tick.last == pytest.approx(mixed[row], abs=1e-12, rel=1e-12)
    return float(np.exp(max(np.max(one_by_one), logsumexp(log_chances + mixed, axis=1).max())))


def outcomes(mine: int, theirs: int) -> Counts:
    """Everything that one tick may show, each as a tick of its own."""
    bad_mine, bad_theirs = (part.ravel() for part in np.meshgrid(np.arange(mine + 1.0), np.arange(theirs + 1.0)))
    return Counts(bad_mine, np.full(bad_mine.size, float(mine)), bad_theirs, np.full(bad_mine.size, float(theirs)))


def chances(seen: Counts, candidate: Floats, stable: Floats) -> Floats:
    return np.asarray(
        binom.logpmf(seen.bad_candidate, seen.candidate, candidate[:, None])
        + binom.logpmf(seen.bad_stable, seen.stable, stable[:, None])
    )


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
@pytest.mark.parametrize(("mine", "theirs"), ALLOCATIONS)
def test_counts_of_candidates_within_their_bound(bound: Bound, mine: int, theirs: int) -> None:
    seen = outcomes(mine, theirs)
    limits = np.minimum(bound.factor * RATES + bound.margin, 1.0)
    truths = chances(seen, np.outer(INSIDE, limits).ravel(), np.tile(RATES, INSIDE.size))
    for base in TAKEN_FOR:
        log_e = proportions.worse(seen, np.full(seen.stable.size, base), bound)
        assert expected(truths, log_e, weights(EFFECT_WEIGHTS)) <= 1 + ROUNDING


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
@pytest.mark.parametrize(("mine", "theirs"), ALLOCATIONS)
def test_counts_of_candidates_beyond_what_is_unacceptable(bound: Bound, mine: int, theirs: int) -> None:
    seen = outcomes(mine, theirs)
    limits = bound.factor * RATES + bound.margin
    theirs_true = RATES[limits <= 1]
    if not theirs_true.size:
        theirs_true = np.zeros(1)
    least = np.minimum(bound.factor * theirs_true + bound.margin, 1.0)
    mine_true = np.concatenate([least + share * (1 - least) for share in (0.0, 1e-3, 0.4, 1.0)])
    truths = chances(seen, mine_true, np.tile(theirs_true, 4))
    for base in TAKEN_FOR:
        log_e = proportions.better(seen, np.full(seen.stable.size, base), bound)
        assert expected(truths, log_e, weights(proportions.GOOD_WEIGHTS)) <= 1 + ROUNDING


@pytest.mark.parametrize("bound", [bound for bound in BOUNDS if bound.factor and bound.margin < 1], ids=str)
@pytest.mark.parametrize("side", ["worse", "better"])
def test_counts_in_millions(bound: Bound, side: str) -> None:
    """Each request has a factor of its own, so n of them have its n-th power."""
    test: Callable[[Counts, Floats, Bound], Floats] = proportions.worse if side == "worse" else proportions.better
    stable = RATES[bound.factor * RATES + bound.margin <= 1]
    candidate = bound.factor * stable + bound.margin
    for (mine, theirs), base in itertools.product(
        [(1e6, 1e9), (1e9, 1e6), (1e9, 1e9), (1.0, 1e9), (1e9, 1.0)], TAKEN_FOR
    ):
        extremes = Counts(*(np.array(part) for part in ((0, mine, 0), (mine,) * 3, (0, 0, theirs), (theirs,) * 3)))
        log_e = test(extremes, np.full(3, base), bound)
        assert np.isfinite(log_e).all()
        # Good requests of both arms cannot be told apart here, and need not: only their product is used.
        bad_mine, bad_theirs = np.expm1((log_e[1] - log_e[0]) / mine), np.expm1((log_e[2] - log_e[0]) / theirs)
        means = (
            log_e[0] + mine * np.log1p(candidate[:, None] * bad_mine) + theirs * np.log1p(stable[:, None] * bad_theirs)
        )
        scale = np.abs(log_e).max()  # what doubles can say of numbers of this size
        assert means.max() <= ROUNDING + 1e-14 * scale


@pytest.mark.parametrize("limit", [0.0, 1e-6, 1e-4, 0.02, 0.3, 0.9, 1 - 1e-6, 1.0])
def test_one_stream_against_a_limit(limit: float) -> None:
    events = np.arange(81.0)
    requests = np.full(81, 80.0)
    within = binom.logpmf(events, 80, limit * INSIDE[:, None])
    assert expected(within, proportions.beyond_limit(events, requests, limit), weights(EFFECT_WEIGHTS)) <= 1 + ROUNDING
    beyond = binom.logpmf(events, 80, 1 - (1 - limit) * INSIDE[:, None])
    assert (
        expected(beyond, proportions.below_limit(events, requests, limit), weights(proportions.GOOD_WEIGHTS))
        <= 1 + ROUNDING
    )


def compositions(total: int, parts: int) -> Floats:
    return np.array([c for c in itertools.product(range(total + 1), repeat=parts) if sum(c) == total], dtype=float)


def beyond_edges(buckets: Floats) -> Floats:
    return np.asarray(buckets[:, ::-1].cumsum(axis=1)[:, -2::-1])


@pytest.mark.parametrize(("mine", "theirs", "buckets"), [(3, 4, 4), (1, 6, 3), (7, 2, 2), (2, 2, 6)])
def test_whole_distributions_of_candidates_that_are_nowhere_slower(mine: int, theirs: int, buckets: int) -> None:
    drawn = np.random.default_rng(buckets)
    left, right = compositions(mine, buckets), compositions(theirs, buckets)
    both = list(itertools.product(range(len(left)), range(len(right))))
    first, second = np.array(both).T
    seen = Slower(
        beyond_edges(left[first]),
        np.full(first.size, float(mine)),
        beyond_edges(right[second]),
        np.full(first.size, float(theirs)),
    )
    shares = [*np.eye(buckets), np.full(buckets, 1 / buckets), *drawn.dirichlet(np.full(buckets, 0.4), 25)]
    truths = []
    for stable in shares:
        for faster in (0.0, 0.2, 1.0):  # of each bucket, moved to a faster one
            moved = (1 - faster) * stable + faster * np.append(stable[1:], 0.0)
            moved[0] += faster * stable[0]
            moved /= moved.sum()
            truths.append(
                multinomial.logpmf(left[first], mine, moved) + multinomial.logpmf(right[second], theirs, stable)
            )
    for known in (np.zeros(buckets), 1e6 * np.eye(buckets)[-1], 50 * drawn.dirichlet(np.ones(buckets))):
        log_e = distributions.slower(seen, np.tile(known, (first.size, 1)))
        bets = distributions.bets(buckets - 1)
        assert log_e.shape == (first.size, bets)
        assert expected(np.array(truths), log_e, np.full(bets, -math.log(bets))) <= 1 + ROUNDING


@pytest.mark.parametrize("tolerated", [0.0, 1e-3, 0.5, 1.0, 1.25, 4.0, 1e3])
def test_pairs(tolerated: float) -> None:
    candidate_wrong = np.arange(41.0)
    at_bound = tolerated / (1 + tolerated)
    within = binom.logpmf(candidate_wrong, 40, at_bound * INSIDE[:, None])
    log_e = paired.worse(candidate_wrong, 40 - candidate_wrong, tolerated)
    assert expected(within, log_e, weights(np.ones(paired.ODDS.size))) <= 1 + ROUNDING
    beyond = binom.logpmf(candidate_wrong, 40, 1 - (1 - at_bound) * INSIDE[:, None])
    log_e = paired.better(candidate_wrong, 40 - candidate_wrong, tolerated)
    assert expected(beyond, log_e, weights(np.ones(paired.GOOD_ODDS.size))) <= 1 + ROUNDING


@pytest.mark.parametrize("allowed", [0.0, 0.03, 0.3])
@pytest.mark.parametrize("total", [(4, 6, 5, 7), (1, 9, 3, 9), (9, 1, 6, 2)])
def test_gaps_between_groups(allowed: float, total: tuple[int, ...]) -> None:
    drawn = np.random.default_rng(int(100 * allowed))
    truths = [*drawn.random((60, 4)), *drawn.choice([0.0, 0.01, 0.5, 0.99, 1.0], (60, 4))]
    inside = np.array([truth for truth in truths if strata.GAP_RULE @ truth <= allowed + 1e-12])
    on_it = inside.copy()  # the group's share falls, or the reference's rises, until the gap is what is allowed
    on_it[:, 0] = np.clip(on_it[:, 0] - (allowed - inside @ strata.GAP_RULE), 0, 1)
    on_it[:, 1] = np.clip(on_it[:, 1] + (allowed - on_it @ strata.GAP_RULE), 0, 1)
    check_streams(np.concatenate([inside, on_it]), total, strata.GAP_RULE, allowed)


@pytest.mark.parametrize("allowed", [0.0, 0.05])
@pytest.mark.parametrize("total", [(10, 30), (40, 3), (1, 60)])
def test_the_four_fifths_rule(allowed: float, total: tuple[int, ...]) -> None:
    reference = np.tile([0.0, 1e-4, 0.01, 0.3, 0.9, 1.0], 2)
    least = np.clip(0.8 * reference - allowed, 0, 1)
    group = np.where(np.arange(12) < 6, least, (least + 1) / 2)
    check_streams(np.stack([group, reference], axis=1), total, strata.FOUR_FIFTHS, allowed)


def check_streams(truths: Floats, total: tuple[int, ...], rule: Floats, allowed: float) -> None:
    right = np.array(list(itertools.product(*(range(count + 1) for count in total))), dtype=float)
    totals = np.tile(np.array(total, dtype=float), (len(right), 1))
    chance = binom.logpmf(right, totals, truths[:, None, :]).sum(axis=2)
    streams = len(total)
    for usual in (
        (0.9,) * streams,
        (0.5, 0.7) * (streams // 2),
        (0.0, 1.0) * (streams // 2),
        (1.0, 1e-6) * (streams // 2),
    ):
        log_e = strata.worse(right, totals, np.tile(usual, (len(right), 1)), rule, allowed)
        assert expected(chance, log_e, weights(np.ones(strata.DROPS.size))) <= 1 + ROUNDING


@pytest.mark.parametrize("total", [(1e9, 1e9, 1e9, 1e9), (1e3, 1e9, 1e5, 1e9), (1e9, 1e2, 1e9, 1e2)])
@pytest.mark.parametrize("allowed", [0.0, 0.03])
def test_gaps_between_groups_of_millions(total: tuple[float, ...], allowed: float) -> None:
    totals = np.array(total)
    extremes = np.concatenate([np.zeros((1, 4)), np.diag(totals)])  # nothing right, or all of one stream
    for usual in ((0.9, 0.95, 0.9, 0.95), (0.999, 0.3, 0.99, 0.2)):
        log_e = strata.worse(extremes, np.tile(totals, (5, 1)), np.tile(usual, (5, 1)), strata.GAP_RULE, allowed)
        right = np.expm1((log_e[1:] - log_e[0]) / totals[:, None])  # streams × bets
        for truth in ((0.9 - allowed, 0.95, 0.9, 0.95), (0.3 - allowed, 0.3, 0.7, 0.7), (0.6, 0.2, 0.6, 0.2)):
            means = log_e[0] + (totals[:, None] * np.log1p(np.array(truth)[:, None] * right)).sum(axis=0)
            assert means.max() <= ROUNDING + 1e-14 * np.abs(log_e).max()


def pods_of(bad: Floats, requests: float = 100.0) -> PodCounts:
    """Pods with as many requests each."""
    return PodCounts(bad, np.full(bad.size, requests))


def ranked(bad: Floats, mine: Sequence[int], seed: str = "seed") -> Floats:
    """ln e where these of the pods are the candidate's."""
    stable = np.delete(bad, list(mine))
    return ranks.factors(pods_of(bad[list(mine)]), pods_of(stable), Bound(1.0), seed)


@pytest.mark.parametrize("pods", [1, 10, 23])
def test_ranks_of_one_candidate_pod_wherever_it_lands(pods: int) -> None:
    bad = np.arange(pods + 1.0)
    log_e = np.array([ranked(bad, [at]) for at in range(pods + 1)])
    assert np.exp(log_e).mean(axis=0) == pytest.approx(1.0, abs=ROUNDING)


def test_ranks_of_several_candidate_pods_in_every_order() -> None:
    bad = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0])
    log_e = np.array([ranked(bad, two) for two in itertools.combinations(range(6), 2)])
    assert np.exp(log_e).mean(axis=0) == pytest.approx(1.0, abs=ROUNDING)


@pytest.mark.parametrize("bad", [(0.0,) * 11, (0.0,) * 8 + (50.0,) * 3, (0.0, 10.0, 10.0, 10.0, 20.0)])
def test_ranks_with_ties_when_they_are_drawn_often(bad: tuple[float, ...]) -> None:
    draws = range(3000 // len(bad))
    e = np.exp([ranked(np.array(bad), [at], f"block {draw}") for at in range(len(bad)) for draw in draws])
    assert (np.abs(e.mean(axis=0) - 1) <= 4.5 * e.std(axis=0) / math.sqrt(len(e))).all()


@pytest.mark.parametrize("bound", [Bound(1.0), Bound(1.25, 0.01), Bound(0.9, 0.02)], ids=str)
@pytest.mark.parametrize(
    ("mine", "theirs"), [((1, 100.0), (12, 100.0)), ((6, 20.0), (12, 400.0)), ((2, 900.0), (9, 60.0))]
)
def test_ranks_of_bursting_pods_with_other_loads_than_stables_at_the_edge_of_the_tolerance(
    mine: tuple[int, float], theirs: tuple[int, float], bound: Bound
) -> None:
    """Some pods of either arm are in a burst, and a rate of fewer requests is wilder. The reading by pods is fair."""
    drawn = np.random.default_rng(7)

    def arm(pods: int, requests: float, factor: float, margin: float) -> PodCounts:
        total = drawn.poisson(requests, pods)
        share = factor * np.where(drawn.random(pods) < 0.1, 0.3, 0.02) + margin
        return PodCounts(drawn.binomial(total, share).astype(float), total.astype(float))

    e = np.exp(
        [
            ranks.factors(arm(*mine, bound.factor, bound.margin), arm(*theirs, 1.0, 0.0), bound, f"block {block}")[0]
            for block in range(800)
        ]
    )
    assert (e.mean(axis=0) - 1 <= 3.5 * e.std(axis=0) / math.sqrt(len(e))).all()


@pytest.mark.parametrize("readings", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("scale", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize("worse_by", [0.0, -0.01, -0.5])
def test_gauges_with_gaussian_noise(readings: float, scale: float, worse_by: float) -> None:
    variance = 0.7
    amount = readings / variance
    steps = np.linspace(-12, 12, 20_001)
    for spread in (math.sqrt(amount), math.sqrt(amount * (1 + scale**2 * amount))):  # where e, or e times chance, lives
        sums = worse_by * amount + spread * steps
        density = norm.logpdf(sums, worse_by * amount, math.sqrt(amount))
        log_e = gauges.log_wealth(sums, np.full(sums.size, amount), scale)
        assert np.exp(density + log_e).sum() * (sums[1] - sums[0]) <= 1 + 1e-6


def test_bets_weigh_what_they_are_said_to_weigh() -> None:
    assert EFFECT_WEIGHTS.sum() == pytest.approx(1.0)
    assert proportions.GOOD_WEIGHTS.sum() == pytest.approx(1.0)
    assert (EFFECTS > 1).all()


def test_no_tick_at_all_leads_to_no_bets() -> None:
    """As when counters are scraped less often than they are looked at."""
    nothing = np.array([])
    bound = Bound(1.25, 0.001)
    for path in proportions.both(Counts(nothing, nothing, nothing, nothing), nothing, bound, Bound(2.0, 0.002)):
        assert path.shape[0] == 0
