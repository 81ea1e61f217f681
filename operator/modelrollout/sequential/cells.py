"""Cells of one pod and a short time that bad requests hit: evidence that clusters cannot exaggerate. Pure.

While nothing is known of how errors cluster, a hundred of them in one pod at one time may be one accident. So a cell of
the candidate counts once. Of its n requests, of which x are bad, m are drawn without replacement, and

    y = 1 − C(n − x, m)/C(n, m)

is the probability that a bad one is among them. Stable's cells are taken apart into n/m such draws. So y are shares of
Bernoulli trials (`proportions`), each of m requests, and a part of a hit is valid by Jensen. For a candidate whose
errors come in clusters like stable's, and which are at most ρ times as many and δ of its requests more, E[y_c] ≤
ρ·E[y_s] + δ·m: taking clusters apart hits more trials, and only stable's are. That each cluster hits several of them
makes the test slower, not wrong, as long as clusters are rare enough to come one by one (Poisson): fewer than that
would be the clusters themselves.

Where the candidate's pods have more to do than stable's, stable's are put together until they are as busy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from modelrollout.sequential.levels import busiest
from modelrollout.sequential.proportions import Bound, Counts, worse

Floats = npt.NDArray[np.float64]

EFFECTS = (1.5, 2.4, 6.0, 20.0, 60.0)
"""Bets on the odds that a cell is hit, as multiples: most candidates that fail often hit every cell."""
EFFECT_WEIGHTS: Floats = np.array([0.15, 0.20, 0.20, 0.20, 0.25])
ERRORS_KEPT = 0.5
"""Of stable in a cell, so that cells are neither all hit nor none."""
SHORTEST = 10.0
"""Seconds of a cell. What a pod does in a shorter time is no evidence of its own."""
ROUNDING = 1e-9
LEFT_OUT = 0.1
"""The share of stable's pods that may be left out of a tick, because they had fewer requests than are kept."""
STEP = 0.05
"""In ln. The number of requests kept is rounded to such steps, so that few different bounds are computed."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Hit cells and all of them, of both arms in each tick; the requests kept of each; and how much busier the
    candidate's pods are than all of stable's together, at least 1."""

    counts: Counts
    kept: Floats
    busier: Floats


def cells(bad: Floats, total: Floats, bad_stable: Floats, total_stable: Floats, usual: Floats) -> Cells:
    """From pods × times. `usual`: stable's share of bad requests, as known before each tick."""
    own, everybody = busiest(total), total_stable.sum(axis=0)
    lowest = _low(total_stable)
    each = np.maximum(np.ceil(own / np.maximum(lowest, 1e-9) - LEFT_OUT), 1).clip(max=len(total_stable)).astype(int)
    columns, kept = np.zeros((4, own.size)), np.zeros(own.size)
    for many in set(each.tolist()):
        at = each == many
        groups = np.arange(len(total_stable) // many) * many
        their_bad, theirs = (np.add.reduceat(part[:, at], groups, axis=0) for part in (bad_stable, total_stable))
        kept[at] = np.minimum(np.minimum(own[at], _low(theirs)), ERRORS_KEPT / usual[at])
        columns[0, at], columns[1, at] = _hit(bad[:, at], total[:, at], kept[at], np.full_like(own[at], np.inf))
        columns[2, at], columns[3, at] = _hit(their_bad, theirs, kept[at], own[at])
    busier = np.maximum(np.divide(own, everybody, out=np.ones(own.size), where=everybody > 0), 1.0)
    return Cells(Counts(*columns), kept, busier)


def worse_in_cells(found: Cells, usual: Floats, tolerated: Bound, widths: Floats) -> Floats:
    """ln e (ticks × EFFECTS) against `the candidate is within the bound`. `widths`: what pods may differ by."""
    log_e = np.zeros((usual.size, len(EFFECTS)))
    factors = np.maximum(tolerated.factor, widths).clip(min=1.0) * np.exp(np.ceil(np.log(found.busier) / STEP) * STEP)
    margins = _rounded_up(np.minimum(tolerated.margin * found.kept, 1.0))
    base = 1 - np.exp(-usual * found.kept)
    for factor, margin in set(zip(factors.tolist(), margins.tolist(), strict=True)):
        at = (factors == factor) & (margins == margin)
        log_e[at] = worse(found.counts.only(at), base[at], Bound(factor, margin), EFFECTS)
    return log_e


def _low(requests: Floats) -> Floats:
    """As many requests as nearly all of the pods that had any had, by tick."""
    there = np.sort(requests, axis=0)
    idle = (requests <= 0).sum(axis=0)
    place = idle + (LEFT_OUT * np.maximum(len(requests) - idle - 1, 0)).astype(int)
    low: Floats = np.take_along_axis(there, np.minimum(place, len(requests) - 1)[None, :], axis=0)[0]
    return low


def _rounded_up(margins: Floats) -> Floats:
    whole: Floats = np.exp(np.ceil(np.log(np.maximum(margins, 1e-12)) / STEP) * STEP)
    return np.where(margins > 0, np.minimum(whole, 1.0), 0.0)


def _hit(bad: Floats, total: Floats, kept: Floats, each: Floats) -> tuple[Floats, Floats]:
    """The trials that were hit, and all of them. `each`: the requests of a trial; a cell is one at least."""
    there = (total > 0) & (kept > 0) & ((total >= kept * (1 - ROUNDING)) | np.isinf(each))
    drawn = np.minimum(kept, total)
    share = np.divide(kept, total, out=np.ones_like(total), where=there).clip(max=1.0)
    some = np.clip(bad, 1.0, np.maximum(total, 1.0))
    missed = gammaln(np.maximum(total - some, 0) + 1) - gammaln(np.maximum(total - some - drawn, 0) + 1)
    missed += gammaln(np.maximum(total - drawn, 0) + 1) - gammaln(total + 1)
    hit = np.where(total - some < drawn, 1.0, 1 - np.exp(np.minimum(missed, 0.0)))
    hit = np.where(bad < 1, share * bad, hit)
    many = np.where(
        there, np.maximum(np.divide(total, each, out=np.ones_like(total), where=there & (each > 0)), 1.0), 0.0
    )
    return (hit * many).sum(axis=0), many.sum(axis=0)
