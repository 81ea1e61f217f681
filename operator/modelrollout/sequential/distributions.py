"""Whole distributions by their buckets: is the candidate slower anywhere? Pure.

Categories are ordered from fast to slow. With stable's distribution q (known before the tick), alternatives
q¹ ∝ q·g for g that rises with latency, and q⁰ = (n_c·q¹ + n_s·q)/n,

    ln e = Σ_i x_c,i ln(q¹_i/q⁰_i) + Σ_i x_s,i ln(q_i/q⁰_i)

is an e-value for the whole null `candidate stochastically no larger than stable`: q¹/q⁰ rises, so where F_c ≤st F_s the
expectation is at most that with F_c = F_s, and there it is at most 1 (AM–GM over requests; statistics: 2.3). An
improved candidate can therefore never look like a regression. Alternatives: a heavier tail beyond each edge, and two
tilts of the whole distribution (Wilcoxon's, and Savage's for the slow end).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TAILS: Floats = np.array([1.15, 1.35, 1.7, 2.3, 3.5, 6.0, 15.0, 60.0])
"""Factors by which the share beyond an edge grows, in odds; statistics: 2.3."""
TAIL_WEIGHTS: Floats = np.array([0.06, 0.11, 0.16, 0.17, 0.15, 0.13, 0.12, 0.10])
"""Requests that hang are many times as slow: with less weight on large factors they are detected a tenth later."""
WILCOXON: Floats = np.array([0.25, 0.7, 2.0])
SAVAGE: Floats = np.array([0.1, 0.25, 0.5])
TILTS_WEIGH = 0.25
"""The part of the bets on tilts, which depend on no edge. With only as much as a single edge, a service that slows down
as a whole is detected 20–30 % later, and tails no sooner (simulated on the worlds of statistics: 3.5)."""
SMOOTHING = 0.5
"""Requests that are added to each of stable's buckets."""
HIGHEST_RANK = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Slower:
    """Both arms' counts beyond each edge in each tick (ticks × edges), and in all (ticks).

    The candidate's tail beyond its edge j is compared with stable's beyond its edge j; a tolerance lies between both.
    """

    beyond_candidate: Floats
    candidate: Floats
    beyond_stable: Floats
    stable: Floats


def bets(edges: int) -> int:
    """The number of alternatives for so many edges."""
    return edges * TAILS.size + WILCOXON.size + SAVAGE.size


def log_weights(edges: int) -> Floats:
    """ln of the share of each bet, for `wealth.grown`."""
    tails = np.tile(np.log((1 - TILTS_WEIGH) / edges * TAIL_WEIGHTS / TAIL_WEIGHTS.sum()), edges)
    tilts = WILCOXON.size + SAVAGE.size
    return np.append(tails, np.full(tilts, np.log(TILTS_WEIGH / tilts)))


def slower(seen: Slower, known: Floats) -> Floats:
    """ln e (ticks × bets) against `the candidate is nowhere slower`.

    `known`: stable's requests before each tick, possibly decayed: ticks × (edges + 1) buckets from fast to slow.
    """
    ticks, edges = seen.beyond_candidate.shape
    log_e = np.zeros((ticks, bets(edges)))
    both = (seen.candidate > 0) & (seen.stable > 0)
    if not both.all():
        if both.any():
            some = Slower(
                *(part[both] for part in (seen.beyond_candidate, seen.candidate, seen.beyond_stable, seen.stable))
            )
            log_e[both] = slower(some, known[both])
        return log_e
    shares = known + SMOOTHING
    shares /= shares.sum(axis=1, keepdims=True)
    weight = (seen.candidate / (seen.candidate + seen.stable))[:, None]
    tails = edges * TAILS.size
    log_e[:, :tails] = _tails(seen, shares, weight).reshape(ticks, tails)
    log_e[:, tails:] = _tilts(seen, shares, weight)
    return log_e


def _tails(seen: Slower, shares: Floats, weight: Floats) -> Floats:
    """Alternatives with one density ratio up to an edge and another beyond it: ticks × edges × TAILS."""
    beyond = shares[:, ::-1].cumsum(axis=1)[:, -2::-1, None]  # the share beyond each edge
    calm = 1 / (1 + (TAILS - 1) * beyond)  # q¹/q up to the edge; beyond it TAILS times as much
    wild = TAILS * calm
    weight = weight[:, :, None]
    # ln(q⁰/q) up to the edge and beyond it; mixing with stable is what keeps the latter bounded.
    calm_null, wild_null = np.log1p(weight * (calm - 1)), np.log1p(weight * (wild - 1))
    calm, wild = np.log(calm), np.log(wild)
    mine, theirs = seen.beyond_candidate[:, :, None], seen.beyond_stable[:, :, None]
    all_mine, all_theirs = seen.candidate[:, None, None], seen.stable[:, None, None]
    log_e = all_mine * calm
    log_e += mine * (wild - calm)
    log_e -= (all_mine + all_theirs - mine - theirs) * calm_null
    log_e -= (mine + theirs) * wild_null
    return np.asarray(log_e, dtype=np.float64)


def _tilts(seen: Slower, shares: Floats, weight: Floats) -> Floats:
    """Tilts of the whole distribution: ticks × (WILCOXON + SAVAGE)."""
    middle = shares.cumsum(axis=1) - shares / 2
    wilcoxon = WILCOXON[:, None] * (middle - 0.5)[:, None, :]
    savage = SAVAGE[:, None] * (-np.log1p(-np.minimum(middle, HIGHEST_RANK)) - 1)[:, None, :]
    tilt = np.exp(np.concatenate((wilcoxon, savage), axis=1))  # ticks × bets × buckets
    tilt /= (tilt * shares[:, None, :]).sum(axis=2, keepdims=True)
    null = np.log1p(weight[:, :, None] * (tilt - 1))
    mine = _in_buckets(seen.beyond_candidate, seen.candidate)
    theirs = _in_buckets(seen.beyond_stable, seen.stable)
    mine_gain = (np.log(tilt) * mine[:, None, :]).sum(axis=2)
    return np.asarray(mine_gain - (null * (mine + theirs)[:, None, :]).sum(axis=2), dtype=np.float64)


def _in_buckets(beyond: Floats, total: Floats) -> Floats:
    """Counts per bucket, ticks × (edges + 1), from counts beyond edges."""
    return -np.diff(beyond, axis=1, prepend=total[:, None], append=0.0)


def known_before(known: Floats, beyond: Floats, total: Floats, decay: float) -> Floats:
    """Stable's decayed requests by bucket before each tick, and after all of them: (ticks + 1) × buckets."""
    grown = _in_buckets(beyond, total)
    rows = np.empty((len(total) + 1, grown.shape[1]))
    rows[0] = known
    for tick in range(len(total)):
        np.multiply(rows[tick], decay, out=rows[tick + 1])
        rows[tick + 1] += grown[tick]
    return rows
