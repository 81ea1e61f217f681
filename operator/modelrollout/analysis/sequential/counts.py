"""Two streams of requests of which some go wrong: candidate against stable, and one stream against a limit. Pure.

For one tick with n requests and x of the kind in question per arm, null `θ_c ≤ ρ·θ_s + δ` (regression) or
`θ_c ≥ ρ·θ_s + δ` (exclusion), and alternatives θ¹:

    ln e = Σ_a x_a ln(θ¹_a/θ⁰_a) + (n_a − x_a) ln((1 − θ¹_a)/(1 − θ⁰_a))

is an e-value for the whole convex null when θ⁰ is the point of the null nearest to θ¹ in KL divergence, whatever
stable's true rate is and however it moves (Turner & Grünwald, 2203.09785; statistics: 2.1 and 2.5): with
g_a = (θ¹_a − θ⁰_a)/(θ⁰_a(1 − θ⁰_a)), E[e] ≤ exp Σ n_a g_a(θ_a − θ⁰_a) ≤ 1 for requests that fail one by one.

The nearest point has no closed form with a margin. It needs none: θ⁰ and θ¹_c are chosen (near the Poisson projection,
which has one) and θ¹_s follows from the condition that θ⁰ be nearest, n_s·g_s = −ρ·n_c·g_c. So every factor is exact,
and off the best bet by next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.sequential.wealth import EFFECTS

Floats = npt.NDArray[np.float64]

GOOD_EFFECTS: Floats = np.array([0.5, 0.8, 1.0, 1.2])
"""Candidate's rate as multiples of stable's that are betted on to rule an unacceptable one out; statistics: 2.6."""
GOOD_WEIGHTS: Floats = np.array([0.15, 0.25, 0.40, 0.20])

SHARES_OF_LIMIT: Floats = np.array([0.05, 0.25, 0.5, 0.75])
"""Rates betted on to show that a limit is kept."""

PRIOR = (0.5, 50.0)
"""Events and requests that stable is taken to have had before anything is known of it: about 1 %."""
HALF_LIFE = 600.0
"""Seconds in which what is known of stable's rate loses half its weight; statistics: 2.1."""

TINY = 1e-12
WIDEST = 1 - 1e-6
"""A margin beyond this allows everything."""
MORE = EFFECTS - 1
LEAST = 0.05
"""A bet leaves stable at least this share of its rate on the null: alternatives without it would be ruin."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in each tick (all arrays: ticks): events and requests of candidate and stable."""

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
        """The bound for these rates of stable, never 0 nor 1."""
        limit = np.maximum(self.factor * np.asarray(stable) + self.margin, TINY)
        return np.asarray(np.minimum(limit, 1 - TINY), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is known of stable's rate: decayed events and requests."""

    events: float = 0.0
    requests: float = 0.0

    def before_each(self, events: Floats, requests: Floats, decay: float) -> tuple[Floats, Floats, Baseline]:
        """Events and requests known before each tick, and the baseline after all of them.

        `decay`: what is left of them after a tick.
        """
        known = np.empty((2, len(events) + 1))
        at = (self.events, self.requests)
        known[:, 0] = at
        for tick, grown in enumerate(zip(events.tolist(), requests.tolist(), strict=True), start=1):
            at = (decay * at[0] + grown[0], decay * at[1] + grown[1])
            known[:, tick] = at
        return known[0, :-1], known[1, :-1], Baseline(*at)


def decay(tick: float) -> float:
    """What a tick of so many seconds leaves of what was known."""
    return float(0.5 ** (tick / HALF_LIFE))


def rate(events: Floats, requests: Floats) -> Floats:
    """The plug-in for stable's rate, never 0 nor 1."""
    return np.asarray((events + PRIOR[0]) / (requests + PRIOR[1]), dtype=np.float64)


def worse(counts: Counts, base: Floats, bound: Bound) -> Floats:
    """ln e (ticks × EFFECTS) against `candidate is within the bound`.

    `base` (ticks): what stable's rate is taken for, known before each tick.
    """
    if bound.margin > WIDEST:  # every candidate is within it
        return np.zeros((base.size, EFFECTS.size))
    limit = bound.at(base)[:, None]
    rates = EFFECTS * limit
    rates /= 1 + MORE * limit  # EFFECTS times the odds
    return _factors(counts, base, rates, bound, np.maximum)


def better(counts: Counts, base: Floats, bound: Bound, effects: Floats = GOOD_EFFECTS) -> Floats:
    """ln e (ticks × effects) against `candidate is beyond the bound`: what has to be ruled out before moving on.

    A bet that is not well below the bound says little: it is put just below it.
    """
    if bound.factor <= 0 and bound.margin <= 0:  # every candidate is beyond it
        return np.zeros((base.size, effects.size))
    if bound.margin > WIDEST:
        bound = Bound(bound.factor, WIDEST)
    rates = np.minimum(effects * base[:, None], 0.95 * bound.at(base)[:, None])
    return _factors(counts, base, rates, bound, np.minimum)


def _factors(counts: Counts, base: Floats, candidate: Floats, bound: Bound, side: np.ufunc) -> Floats:
    """`candidate`: the rates betted on, ticks × bets. `side` keeps them where they belong, whatever is rounded.

    Arrays of one shape go through numpy several times as fast as those that have to be stretched: hence the copies.
    """
    mine, theirs = counts.candidate, counts.stable
    if np.count_nonzero(mine * theirs) < base.size:
        log_e = np.zeros(candidate.shape)
        both = counts.both
        if both.any():
            log_e[both] = _factors(counts.only(both), base[both], candidate[both], bound, side)
        return log_e
    bad_mine, bad_theirs = counts.bad_candidate, counts.bad_stable
    told = np.array((mine, theirs, base, bad_mine, mine - bad_mine, bad_theirs, theirs - bad_theirs))
    wide = np.empty((7, *candidate.shape))
    wide[...] = told[:, :, None]
    mine, theirs = wide[0], wide[1]
    near = _near_projection(mine, theirs, wide[2], candidate, bound)
    limit = bound.factor * near
    if bound.margin or not bound.factor:
        limit += max(bound.margin, TINY)
    away = side(candidate - limit, 0.0)
    # What the four kinds of requests gain, less 1: bad and good ones of the candidate, bad and good ones of stable.
    gains = np.empty((4, *candidate.shape))
    gain, loss, pull, push = gains
    np.divide(away, limit, out=gain)
    np.divide(away, limit - 1, out=loss)
    # From the condition on the nearest point; gain − loss is away/(limit·(1 − limit)).
    share = gain - loss
    share *= mine
    share /= theirs
    share *= bound.factor
    np.multiply(share, near, out=push)
    np.subtract(push, share, out=pull)
    if gains[2:].min() < LEAST - 1:
        # Both alternatives drawn towards the null by one factor keep the condition: it is linear in them.
        gains *= (LEAST - 1) / np.minimum(np.minimum(pull, push), LEAST - 1)
    np.log1p(gains, out=gains)
    gains *= wide[3:]
    return np.asarray(np.add.reduce(gains), dtype=np.float64)


def _near_projection(mine: Floats, theirs: Floats, base: Floats, candidate: Floats, bound: Bound) -> Floats:
    """Stable's rate at the point of the null nearest to (candidate, base), for Poisson counts."""
    factor, margin = bound.factor, bound.margin
    if factor <= 0:
        return base
    together = mine * factor
    together += theirs
    near = theirs * base
    if margin == 0:
        near += mine * candidate
        near /= together
    else:
        near /= together
        half = (mine * (candidate - margin) / together + near - (margin / factor) * theirs / together) / 2
        near = half + np.sqrt(half * half + (margin / factor) * near)
        np.maximum(near, TINY, out=near)
    return np.minimum(near, min(1.0, (1 - margin) / factor) * (1 - 1e-9), out=near)


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
