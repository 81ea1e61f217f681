"""Cells of one pod and one tick that have bad requests: evidence that clusters of errors cannot exaggerate. Pure.

While nothing is known of how errors cluster, a hundred of them in one pod at one time may be one accident. So a cell
counts once: of its n requests with x bad ones each is kept with probability f = m/n, and

    y = 1 − (1 − f)^x

is the probability that a bad one is among those kept, for as many requests m of each cell. Whatever the clusters, y lies
in [0, 1], so cells are streams of a Bernoulli kind (`proportions`; parts of an event are valid by Jensen). Candidates
whose shares are at most `ρ·θ_s + δ`, in clusters like stable's, have E[y_c] ≤ ρ·E[y_s] + δ·m: a cell with ρ times as
many clusters is at most ρ times as often hit, and requests that fail on account of δ are at most δ·m of those kept.

Keeping few of many requests takes clusters apart, and more cells are hit. That must not happen to the candidate more
than to stable. So where its pods have more to do, stable's are put together until they are as busy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    """From pods × ticks. `usual`: stable's share of bad requests, as known before each tick."""
    own, everybody = busiest(total), total_stable.sum(axis=0)
    lowest = _low(total_stable)
    each = np.maximum(np.ceil(own / np.maximum(lowest, 1e-9) - LEFT_OUT), 1).clip(max=len(total_stable)).astype(int)
    columns, kept = np.zeros((4, own.size)), np.zeros(own.size)
    for many in set(each.tolist()):
        at = each == many
        groups = np.arange(len(total_stable) // many) * many
        their_bad, theirs = (np.add.reduceat(part[:, at], groups, axis=0) for part in (bad_stable, total_stable))
        kept[at] = np.minimum(np.minimum(own[at], _low(theirs)), ERRORS_KEPT / usual[at])
        columns[0, at], columns[1, at] = _hit(bad[:, at], total[:, at], kept[at], least=0.0, is_whole=True)
        columns[2, at], columns[3, at] = _hit(their_bad, theirs, kept[at], least=1.0, is_whole=False)
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
    return np.take_along_axis(there, np.minimum(place, len(requests) - 1)[None, :], axis=0)[0]


def _rounded_up(margins: Floats) -> Floats:
    whole: Floats = np.exp(np.ceil(np.log(np.maximum(margins, 1e-12)) / STEP) * STEP)
    return np.where(margins > 0, np.minimum(whole, 1.0), 0.0)


def _hit(bad: Floats, total: Floats, kept: Floats, *, least: float, is_whole: bool) -> tuple[Floats, Floats]:
    """The cells that were hit, and all of them. `least`: the part of the requests kept that a cell has to have."""
    there = (total > 0) & (total >= least * kept * (1 - 1e-9)) & (kept > 0)
    share = np.divide(kept, total, out=np.ones_like(total), where=there).clip(max=1.0)
    hit = np.where(bad <= 1, share * bad, 1 - (1 - share) ** np.maximum(bad, 1.0))
    many = np.where(there, 1.0 if is_whole else 1 / share, 0.0)
    return (hit * many).sum(axis=0), many.sum(axis=0)
