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
from modelrollout.analysis.kinds.pod_noise import ByPod, by_pod
from modelrollout.analysis.samples.counters import ArmCounters, SampleWindow
from modelrollout.sequential import ranks
from modelrollout.sequential.noise import SHARE_IN_NOISE, Mode
from modelrollout.sequential.proportions import Bound
from modelrollout.sequential.ranks import PodCounts
from modelrollout.sequential.wealth import weights

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankPath:
    """ln of the ranks' wealth after each new tick and before the first, and how to keep it."""

    log: Floats
    before: float
    keep: Callable[[int], Ledger]


def rank_blocks(
    start: LookStart,
    edges: Floats,
    frontier: float,
    mine: ArmCounters,
    theirs: ArmCounters,
    window: SampleWindow,
    tolerated: Bound,
) -> RankPath:
    """The wealth over all blocks that ended within the new ticks; a block may have begun before them."""
    course = start.course
    length = max(math.ceil(ranks.BLOCK / course.tick - 1e-9), 1)  # ticks of a block
    done, ended = start.first // length, course.ticks(frontier) // length
    rows = [_kept(start.ledger)]
    if ended > done:
        bounds = np.asarray(course.start + np.arange(done, ended + 1) * length * course.tick, dtype=np.float64)
        own, usual = (by_pod(side, window)(bounds) for side in (mine, theirs))
        for block in range(ended - done):
            seed = f"{start.seed}/{done + block}"
            rows.append(ranks.factors(_in_block(own, block), _in_block(usual, block), tolerated, seed))
    bets = np.add.accumulate(rows)

    def blocks(ticks: int) -> int:
        return min(max((start.first + ticks) // length - done, 0), len(bets) - 1)

    log = np.logaddexp.reduce(bets, axis=2).min(axis=1)  # both readings have to agree
    counts = [blocks(tick) for tick in range(1, len(edges))]
    return RankPath(log[counts], float(log[0]), lambda ticks: {"ranks": bets[blocks(ticks)].ravel()})


def _kept(ledger: Ledger) -> Floats:
    """ln of the bets so far, READINGS × POWERS. An older state has one reading."""
    kept = ledger.get("ranks")
    if kept is not None and kept.size in (ranks.POWERS.size, ranks.READINGS * ranks.POWERS.size):
        return np.resize(kept, (ranks.READINGS, ranks.POWERS.size))
    return np.tile(weights(np.ones(ranks.POWERS.size)), (ranks.READINGS, 1))


def with_ranks(track: Track, ranked: RankPath, mode: Mode) -> Track:
    """The track with ranks in place of counted events; in STRICT mode both have to agree."""
    if mode is Mode.RANKED:
        return replace(track, harm=ranked.log, before=ranked.before, joint=False, share=SHARE_IN_NOISE, threshold=None)
    both = np.minimum(track.harm, ranked.log[: len(track.harm)])
    return replace(track, harm=both, before=min(track.before, ranked.before), joint=False, threshold=None)


def _in_block(pods: ByPod, block: int) -> PodCounts:
    return PodCounts(pods.bad[0, :, block], pods.total[:, block])
