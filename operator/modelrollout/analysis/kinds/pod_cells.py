"""Pods' cells that were hit by bad requests, time after time: for pods of which nothing is known. Pure.

Bad requests may be of several kinds, such as those slower than one edge of a histogram each. Bets are on each kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Keep
from modelrollout.analysis.kinds.pod_noise import CountByPod
from modelrollout.analysis.kinds.request_shares import Ticks
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


@dataclass(frozen=True, slots=True)
class CellBets:
    """Stable's shares of bad requests as known before each tick (ticks × kinds), the tolerance, and by tick how much
    pods may differ for good."""

    usual: Floats
    tolerated: Bound
    widths: Floats


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a cell begins with: stable's shares as known then, and the largest discount of its ticks so far.

    Ticks are counted from the start of the course. `shares`, `discounts`: by new tick, of which `first` is the first.
    `kept`: of the cell that had begun before.
    """

    first: int
    shares: Floats
    discounts: Floats
    kept: tuple[Floats, float]

    def of_each_kind(self, begun: int) -> Floats:
        """Stable's shares."""
        return self.kept[0] if begun < self.first else np.asarray(self.shares[begun - self.first])

    def discount(self, begun: int, end: int) -> float:
        new = float(self.discounts[max(begun - self.first, 0) : end - self.first].max(initial=1.0))
        return max(new, self.kept[1]) if begun < self.first else new


def hit_cells(
    start: LookStart, ticks: Ticks, frontier: float, by_pods: tuple[CountByPod, CountByPod], bets: CellBets
) -> HitCells:
    """The bets on all cells that ended within the new ticks; a cell may have begun before them.

    `by_pods`: the requests of the candidate's and of stable's pods.
    """
    course, first = start.course, start.first
    length = max(math.ceil(cells.SHORTEST / course.tick - 1e-9), 1)  # ticks of a cell
    kinds = bets.usual.shape[1]
    at = _Begun(first, bets.usual, ticks.discount, _kept(start.ledger, kinds))

    def keep(count: int) -> Ledger:
        end = first + count
        begun = end // length * length
        return {"cell": np.append(at.of_each_kind(begun), at.discount(begun, end))} if begun < end else {}

    log_e = np.zeros((len(ticks), kinds, len(cells.EFFECTS)))
    begins = np.arange(first // length, course.ticks(frontier) // length) * length
    if begins.size:
        last = begins + length - 1 - first  # the tick with which each cell ends
        edges = np.asarray(course.start + np.append(begins, begins[-1] + length) * course.tick, dtype=np.float64)
        own, others = (counted(edges) for counted in by_pods)
        shares = np.array([at.of_each_kind(begun) for begun in begins.tolist()])
        discounts = np.array([at.discount(begun, begun + length) for begun in begins.tolist()])
        for kind, share in enumerate(shares.T):
            found = cells.cells(own.bad[kind], own.total, others.bad[kind], others.total, share)
            told = cells.worse_in_cells(found, share, bets.tolerated, bets.widths[last])
            log_e[last, kind] = told / discounts[:, None]
    return HitCells(log_e.reshape(len(ticks), -1), keep)


def _kept(ledger: Ledger, kinds: int) -> tuple[Floats, float]:
    """Stable's shares as known when the present cell began, and the largest discount in it so far."""
    kept = ledger.get("cell")
    if (
        kept is None
        or kept.size != kinds + 1
        or not ((kept[:-1] > 0).all() and (kept[:-1] < 1).all() and kept[-1] >= 1)
    ):
        return np.full(kinds, UNKNOWN_SHARE), 1.0
    return kept[:-1], float(kept[-1])
