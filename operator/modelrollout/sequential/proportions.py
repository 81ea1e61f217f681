"""Two streams of requests of which some are bad: candidate against stable, and one stream against a limit. Pure.

For one tick with n requests and x bad ones per arm, null `θ_c ≤ ρ·θ_s + δ` (regression) or
`θ_c ≥ ρ·θ_s + δ` (exclusion), and alternatives θ¹:

    ln e = Σ_a x_a ln(θ¹_a/θ⁰_a) + (n_a − x_a) ln((1 − θ¹_a)/(1 − θ⁰_a))

is an e-value for the whole convex null when θ⁰ is the point of the null nearest to θ¹ in KL divergence, whatever
stable's true rate is and however it moves (Turner & Grünwald, 2203.09785; statistics: 2.1 and 2.5): with
g_a = (θ¹_a − θ⁰_a)/(θ⁰_a(1 − θ⁰_a)), E[e] ≤ exp Σ n_a g_a(θ_a − θ⁰_a) ≤ 1 for requests that fail one by one.

With a margin the nearest point has no closed form, and needs none: θ⁰ and θ¹_c are chosen (near the Poisson projection,
which has a closed form), and θ¹_s follows from the condition that θ⁰ is nearest, n_s·g_s = −ρ·n_c·g_c. So every factor
is exact, and almost as good as the best bet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modelrollout.sequential.wealth import EFFECTS

Floats = npt.NDArray[np.float64]

GOOD_EFFECTS: Floats = np.array([0.5, 0.8, 1.0, 1.2])
"""Bets that rule out an unacceptable rate: the candidate's, as multiples of stable's; statistics: 2.6."""
GOOD_WEIGHTS: Floats = np.array([0.15, 0.25, 0.40, 0.20])

SHARES_OF_LIMIT: Floats = np.array([0.05, 0.25, 0.5, 0.75])
"""Bets that a limit is kept: rates, as parts of it."""

RARE_EFFECTS: Floats = np.array([1.03, 1.06, 1.12, 1.25, 1.5, 2.5])
"""Bets where few requests are good, as in conversions: a tenth fewer of them matters; statistics: 2.4."""
RARE_EFFECT_WEIGHTS: Floats = np.array([0.20, 0.25, 0.25, 0.15, 0.10, 0.05])

GOAL_EFFECTS: Floats = np.array([1.015, 1.03, 1.06, 1.12, 1.25, 1.5, 2.5, 6.0])
"""Bets that a goal is met: by so much the odds of a good request are better than those at the bound."""
GOAL_EFFECT_WEIGHTS: Floats = np.array([0.08, 0.15, 0.20, 0.20, 0.15, 0.10, 0.07, 0.05])

# The same as tuples, which can be keys of a cache.
_EFFECTS = tuple(EFFECTS.tolist())
_RARE_EFFECTS = tuple(RARE_EFFECTS.tolist())
_GOOD_EFFECTS = tuple(GOOD_EFFECTS.tolist())

PRIOR = (0.5, 50.0)
"""Events and requests added to stable's, so that its rate starts at about 1 %."""
HALF_LIFE = 600.0
"""Seconds after which old counts of stable have half their weight; statistics: 2.1."""

TINY = 1e-12
WIDEST_MARGIN = 1 - 1e-6
"""A margin beyond this allows any rate."""
JUST_WITHIN = 0.95
"""Largest bet that the candidate is within a bound: its odds, as a part of those at the bound."""
MOST_CACHED_TICKS = 64
"""The most ticks for which the table of bets is repeated row by row and cached."""
LEAST_RATE_KEPT = 0.05
"""Smallest rate of stable under a bet, as a part of its rate on the null: with 0 a single event would be ruin."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts in each tick (all arrays: ticks): bad events and requests of candidate and stable."""

    bad_candidate: Floats
    candidate: Floats
    bad_stable: Floats
    stable: Floats

    @property
    def both(self) -> npt.NDArray[np.bool_]:
        """The ticks in which both arms had requests."""
        return (self.candidate > 0) & (self.stable > 0)

    @property
    def parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.bad_candidate, self.candidate, self.bad_stable, self.stable

    def first(self, ticks: int) -> Counts:
        return Counts(*(part[:ticks] for part in self.parts))

    def only(self, ticks: npt.NDArray[np.bool_]) -> Counts:
        return Counts(*(part[ticks] for part in self.parts))


@dataclass(frozen=True, slots=True)
class Bound:
    """θ_c compared with ρ·θ_s + δ."""

    factor: float
    margin: float = 0.0

    def at(self, stable: Floats | float) -> Floats:
        """The bound for these rates of stable, never 0 or 1."""
        limit = np.maximum(self.factor * np.asarray(stable) + self.margin, TINY)
        return np.asarray(np.minimum(limit, 1 - TINY), dtype=np.float64)

    def widened(self, width: float) -> Bound:
        """The bound where equal versions may differ by this factor; a tolerance that allows as much covers it."""
        return Bound(max(self.factor, width), self.margin) if self.factor > 0 and width > 1 else self


@dataclass(frozen=True, slots=True)
class Baseline:
    """Stable's rate so far: decayed events and requests."""

    events: float = 0.0
    requests: float = 0.0

    def before_each(self, events: Floats, requests: Floats, decay: float) -> tuple[Floats, Floats, Baseline]:
        """Events and requests known before each tick, and the baseline after all of them.

        `decay`: the part of their weight that is left after a tick.
        """
        known = [
            list(accumulate(grown.tolist(), lambda known, new: decay * known + new, initial=before))
            for grown, before in ((events, self.events), (requests, self.requests))
        ]
        so_far = np.array(known)
        return so_far[0, :-1], so_far[1, :-1], Baseline(known[0][-1], known[1][-1])


def decay(tick: float) -> float:
    """The part of old counts' weight that is left after a tick of so many seconds."""
    return float(0.5 ** (tick / HALF_LIFE))


def rate(events: Floats, requests: Floats) -> Floats:
    """The plug-in estimate of stable's rate, never 0 or 1."""
    shares: Floats = (events + PRIOR[0]) / (requests + PRIOR[1])
    return shares


def worse(counts: Counts, base: Floats, bound: Bound, effects: tuple[float, ...] = _EFFECTS) -> Floats:
    """ln e (ticks × effects) against `candidate is within the bound`.

    `base` (ticks): the estimate of stable's rate, from before each tick.
    """
    return _log_e(counts, base, _bets(bound, None, (), _rows(base), effects))


def better(counts: Counts, base: Floats, bound: Bound, effects: Floats = GOOD_EFFECTS) -> Floats:
    """ln e (ticks × effects) against `candidate is beyond the bound`, which has to be ruled out before moving on.

    A bet close to the bound or beyond it is moved to just below it.
    """
    return _log_e(counts, base, _bets(None, bound, tuple(effects.tolist()), _rows(base)))


def shown(counts: Counts, base: Floats, bound: Bound) -> Floats:
    """ln e (ticks × GOAL_EFFECTS) against `candidate is beyond the bound`, where a goal is to be shown.

    The bets begin close to the bound: a few per cent more conversions are worth a test.
    """
    return _log_e(counts, base, _goal_bets(bound, _rows(base)))


def both(
    counts: Counts, base: Floats, tolerated: Bound, excluded: Bound, *, is_rare: bool = False
) -> tuple[Floats, Floats]:
    """`worse` against the one and `better` against the other bound, in little more than the time of one of them.

    `is_rare`: few requests are good, so the bets against the tolerated bound are RARE_EFFECTS.
    """
    harms = _RARE_EFFECTS if is_rare else _EFFECTS
    log_e = _log_e(counts, base, _bets(tolerated, excluded, _GOOD_EFFECTS, _rows(base), harms))
    return log_e[:, : len(harms)], log_e[:, len(harms) :]


class _Bets(NamedTuple):
    """One column per bet: a candidate with `odds` times the odds of the bound, and at most `times` stable's rate.

    Arrays have one row for all ticks, or one per tick: numpy is several times faster without broadcasting.
    """

    factor: Floats
    margin: Floats
    shift: Floats  # margin/factor
    four_shifts: Floats
    most: Floats  # stable's rate on the null is below it
    odds: Floats
    more: Floats  # odds − 1
    times: Floats
    side: Floats  # 1: the candidate is beyond the bound, −1: within it, 0: the null is everything, so there is no bet


def _rows(base: Floats) -> int:
    return base.size if base.size <= MOST_CACHED_TICKS else 1


@lru_cache(maxsize=1024)
def _bets(
    tolerated: Bound | None,
    excluded: Bound | None,
    effects: tuple[float, ...],
    rows: int,
    harms: tuple[float, ...] = _EFFECTS,
) -> _Bets:
    columns: list[tuple[float, ...]] = []
    if tolerated:
        side = 0.0 if tolerated.margin > WIDEST_MARGIN else 1.0
        columns += [(*_null(tolerated), odds, odds - 1, math.inf, side) for odds in harms]
    if excluded:
        side = 0.0 if excluded.factor <= 0 and excluded.margin <= 0 else -1.0
        columns += [(*_null(excluded), JUST_WITHIN, JUST_WITHIN - 1, times, side) for times in effects]
    return _Bets(*np.array(columns).T[:, None, :].repeat(rows, axis=1))


@lru_cache(maxsize=64)
def _goal_bets(bound: Bound, rows: int) -> _Bets:
    side = 0.0 if bound.factor <= 0 and bound.margin <= 0 else -1.0
    columns = [(*_null(bound), 1 / odds, 1 / odds - 1, math.inf, side) for odds in GOAL_EFFECTS.tolist()]
    return _Bets(*np.array(columns).T[:, None, :].repeat(rows, axis=1))


def _null(bound: Bound) -> tuple[float, float, float, float, float]:
    """The columns of `_Bets` that depend on the bound alone; limits of 0 and 1 are moved inwards a little."""
    factor = max(bound.factor, 0.0)
    margin = min(max(bound.margin, 0.0 if factor else TINY), WIDEST_MARGIN)
    shift, most = (margin / factor, min(1.0, (1 - margin) / factor)) if factor else (0.0, 1.0)
    return factor, margin, shift, 4 * shift, most * WIDEST_MARGIN


def _log_e(counts: Counts, base: Floats, bets: _Bets) -> Floats:
    mine, theirs = counts.candidate, counts.stable
    shape = (base.size, bets.side.shape[1])
    if not base.size or np.count_nonzero(mine * theirs) < base.size:
        log_e = np.zeros(shape)
        ticks = counts.both
        if ticks.any():
            log_e[ticks] = _log_e(counts.only(ticks), base[ticks], _Bets(*(column[:1] for column in bets)))
        return log_e
    bad_mine, bad_theirs = counts.bad_candidate, counts.bad_stable
    told = np.array((mine, theirs, base, bad_mine, mine - bad_mine, bad_theirs, theirs - bad_theirs))
    wide = np.empty((7, *shape))
    wide[...] = told[:, :, None]
    mine, theirs, base = wide[0], wide[1], wide[2]
    candidate = _rates(base, bets)
    near = _near_projection(mine, theirs, base, candidate, bets)
    limit = bets.factor * near
    limit += bets.margin
    # Rounding must not change a bet's side: it would become a bet for the opposite.
    away = np.maximum((candidate - limit) * bets.side, 0.0)
    away *= bets.side
    # The gain less 1 from each request: bad and good ones of the candidate, bad and good ones of stable.
    gains = np.empty((4, *shape))
    gain, loss, pull, push = gains
    np.divide(away, limit, out=gain)
    np.divide(away, limit - 1, out=loss)
    # From the condition on the nearest point; gain − loss is away/(limit·(1 − limit)).
    share = gain - loss
    share *= mine
    share /= theirs
    share *= bets.factor
    np.multiply(share, near, out=push)
    np.subtract(push, share, out=pull)
    if gains[2:].min() < LEAST_RATE_KEPT - 1:
        # Shrinking both alternatives towards the null by one factor keeps the condition: it is linear in them.
        gains *= (LEAST_RATE_KEPT - 1) / np.minimum(np.minimum(pull, push), LEAST_RATE_KEPT - 1)
    np.log1p(gains, out=gains)
    gains *= wide[3:]
    return np.asarray(np.add.reduce(gains), dtype=np.float64)


def _rates(base: Floats, bets: _Bets) -> Floats:
    """The candidate's rate in each bet; all arrays ticks × bets."""
    bound = base * bets.factor
    bound += bets.margin
    np.minimum(bound, 1 - TINY, out=bound)
    np.maximum(bound, TINY, out=bound)
    rates = bound * bets.odds
    bound *= bets.more
    bound += 1
    rates /= bound
    return np.minimum(rates, base * bets.times, out=rates)


def _near_projection(mine: Floats, theirs: Floats, base: Floats, candidate: Floats, bets: _Bets) -> Floats:
    """Stable's rate at the point of the null nearest to (candidate, base), for Poisson counts."""
    together = mine * bets.factor
    together += theirs
    linear = candidate - bets.margin
    linear *= mine
    near = theirs * base
    linear += near
    linear -= theirs * bets.shift
    linear /= together
    near *= bets.four_shifts
    near /= together
    near += linear * linear
    np.sqrt(near, out=near)
    near += linear
    near *= 0.5
    np.maximum(near, TINY, out=near)
    return np.minimum(near, bets.most, out=near)


def beyond_limit(events: Floats, requests: Floats, limit: float) -> Floats:
    """ln e (ticks × EFFECTS) against `the share of events is at most the limit`: one stream alone."""
    limit = min(max(limit, TINY), 1 - TINY)
    odds = EFFECTS * limit / (1 - limit)
    return _one_sided(events, requests, odds / (1 + odds), limit)


def below_limit(events: Floats, requests: Floats, limit: float) -> Floats:
    """ln e (ticks × GOOD_EFFECTS) against `the share of events is at least the limit`."""
    if limit <= 0:  # every share is
        return np.zeros((events.size, GOOD_EFFECTS.size))
    limit = min(limit, 1 - TINY)
    return _one_sided(events, requests, SHARES_OF_LIMIT * limit, limit)


def _one_sided(events: Floats, requests: Floats, alternatives: Floats, limit: float) -> Floats:
    good = requests - events
    gained = np.outer(events, np.log(alternatives / limit))
    return np.asarray(gained + np.outer(good, np.log((1 - alternatives) / (1 - limit))), dtype=np.float64)
