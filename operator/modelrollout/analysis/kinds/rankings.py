"""Ranks of the candidate's pods among stable's, block after block: for ratios whose pods are noisy. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Track
from modelrollout.analysis.parts import BAD
from modelrollout.analysis.samples.counters import ArmCounters, SampleWindow, by_target
from modelrollout.sequential import ranks
from modelrollout.sequential.noise import SHARE_IN_NOISE, Mode
from modelrollout.sequential.wealth import Wealth, carry, weights

Floats = npt.NDArray[np.float64]

EVEN_WEIGHTS = weights(np.ones(ranks.POWERS.size))


@dataclass(frozen=True, slots=True)
class RankPath:
    """ln of the ranks' wealth after each new tick and before the first, and how to keep it."""

    log: Floats
    before: float
    keep: Callable[[int], Ledger]


def rank_blocks(
    start: LookStart, edges: Floats, frontier: float, mine: ArmCounters, theirs: ArmCounters, window: SampleWindow
) -> RankPath:
    """The wealth over all blocks that ended within the new ticks; a block may have begun before them."""
    course = start.course
    length = max(math.ceil(ranks.BLOCK / course.tick - 1e-9), 1)  # ticks of a block
    done, ended = start.first // length, course.ticks(frontier) // length
    kept = start.ledger.get("ranks")
    known = Wealth(EVEN_WEIGHTS if kept is None or kept.size != EVEN_WEIGHTS.size else kept, 0.0)
    bounds = np.asarray(course.start + np.arange(done, ended + 1) * length * course.tick, dtype=np.float64)
    rows = [np.zeros(ranks.POWERS.size)] * 0
    if ended > done:
        rates, usual = (_rates(side, bounds, window) for side in (mine, theirs))
        for block in range(ended - done):
            seed = f"{start.seed}/{done + block}"
            rows.append(ranks.factors(_without_nan(rates[:, block]), _without_nan(usual[:, block]), seed))
    path = carry(known, np.array(rows).reshape(-1, EVEN_WEIGHTS.size))
    levels = np.append(known.log, path.log)

    def blocks(ticks: int) -> int:
        return max((start.first + ticks) // length - done, 0)

    counts = [min(blocks(tick), len(rows)) for tick in range(1, len(edges))]
    return RankPath(levels[counts], known.log, lambda ticks: {"ranks": path.after(min(blocks(ticks), len(rows))).bets})


def with_ranks(track: Track, ranked: RankPath, mode: Mode) -> Track:
    """The track with ranks in place of counted events; in STRICT mode both have to agree."""
    if mode is Mode.RANKED:
        return replace(track, harm=ranked.log, before=ranked.before, joint=False, share=SHARE_IN_NOISE, threshold=None)
    both = np.minimum(track.harm, ranked.log[: len(track.harm)])
    return replace(track, harm=both, before=min(track.before, ranked.before), joint=False, threshold=None)


def _rates(side: ArmCounters, bounds: Floats, window: SampleWindow) -> Floats:
    """Bad shares, pods × blocks; NaN where a pod had no requests."""
    total = by_target(side.total, bounds, side.scrapes, window)
    events = by_target(side.events, bounds, side.scrapes, window)
    rows = []
    for target, requests in total.items():
        hits = events.get(target, np.zeros_like(requests))
        share = np.divide(hits, requests, out=np.full_like(requests, np.nan), where=requests > 0)
        rows.append(share if side.part == BAD else 1 - share)
    return np.array(rows).reshape(len(rows), -1)


def _without_nan(rates: Floats) -> Floats:
    return rates[~np.isnan(rates)]
