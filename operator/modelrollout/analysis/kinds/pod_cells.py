"""Pods' cells that were hit by bad requests, time after time: for ratios of whose pods nothing is known. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Keep
from modelrollout.analysis.kinds.pod_noise import PodNoise, by_pod
from modelrollout.analysis.kinds.request_shares import Ticks
from modelrollout.analysis.samples.counters import ArmCounters, SampleWindow
from modelrollout.sequential import cells
from modelrollout.sequential.proportions import Bound

Floats = npt.NDArray[np.float64]

UNKNOWN_SHARE = 0.01
"""Where the state was lost in the middle of a cell."""


@dataclass(frozen=True, slots=True)
class HitCells:
    """ln e of the bets on cells, in the ticks with which cells end, and how to keep what a cell begins with."""

    log_e: Floats
    keep: Keep


def hit_cells(
    start: LookStart,
    ticks: Ticks,
    frontier: float,
    mine: ArmCounters,
    theirs: ArmCounters,
    window: SampleWindow,
    usual: Floats,
    tolerated: Bound,
    noise: PodNoise,
) -> HitCells:
    """The bets on all cells that ended within the new ticks; a cell may have begun before them.

    `usual`: stable's share as known before each tick.
    """
    course, first = start.course, start.first
    length = max(math.ceil(cells.SHORTEST / course.tick - 1e-9), 1)  # ticks of a cell
    done, ended = first // length, course.ticks(frontier) // length
    known, discount = _kept(start.ledger)

    def share(begun: int) -> float:
        return known if begun < first else float(usual[begun - first])

    def largest(begun: int, end: int) -> float:
        within = float(ticks.discount[max(begun - first, 0) : end - first].max(initial=1.0))
        return max(within, discount) if begun < first else within

    def keep(count: int) -> Ledger:
        begun = (first + count) // length * length
        is_new = begun == first + count
        return {} if is_new else {"cell": np.array([share(begun), largest(begun, first + count)])}

    log_e = np.zeros((len(ticks), len(cells.EFFECTS)))
    if ended > done:
        begins = np.arange(done, ended) * length
        last = begins + length - 1 - first  # the tick in which each cell ends
        edges = np.asarray(course.start + np.arange(done, ended + 1) * length * course.tick, dtype=np.float64)
        own, others = (by_pod(side, window)(edges) for side in (mine, theirs))
        shares = np.array([share(begun) for begun in begins.tolist()])
        found = cells.cells(own.bad[0], own.total, others.bad[0], others.total, shares)
        by = np.array([largest(begun, begun + length) for begun in begins.tolist()])
        log_e[last] = cells.worse_in_cells(found, shares, tolerated, noise.width[last]) / by[:, None]
    return HitCells(log_e, keep)


def _kept(ledger: Ledger) -> tuple[float, float]:
    """Stable's share as known when the present cell began, and the largest discount in it so far."""
    kept = ledger.get("cell")
    if kept is None or kept.size != 2 or not (0 < kept[0] < 1 and kept[1] >= 1):
        return UNKNOWN_SHARE, 1.0
    return float(kept[0]), float(kept[1])
