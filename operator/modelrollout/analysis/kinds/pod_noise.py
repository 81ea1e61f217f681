"""What noise of single pods does to the comparison in each new tick: discounts, and a wider tolerance. Pure.

How noisy stable's pods are is known from their history. Without one it is learned from them as the rollout goes, and a
tick uses what was known before it. A pod with more to do than those in the history had is noisier in its events; the
candidate's may have several times as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Keep
from modelrollout.analysis.parts import BAD
from modelrollout.analysis.samples.counters import ArmCounters, SampleWindow, by_target
from modelrollout.sequential.levels import as_many, busiest, widening
from modelrollout.sequential.noise import INFLATION, Learned, Mode, learn
from modelrollout.sequential.proportions import Bound
from modelrollout.sequential.ranks import BLOCK, PodCounts

Floats = npt.NDArray[np.float64]

NOISY = (Mode.RANKED, Mode.DISPERSED, Mode.STRICT)


@dataclass(frozen=True, slots=True)
class PodNoise:
    """By tick: factors by which events are discounted, for harm and for good, and by which equal pods may differ."""

    harm: Floats
    good: Floats
    width: Floats
    keep: Keep
    notes: tuple[str, ...] = ()

    def allowed(self, tolerated: Bound) -> Bound:
        """The tolerance at the end of the ticks."""
        return tolerated.widened(float(self.width[-1])) if self.width.size else tolerated

    @property
    def discounts(self) -> tuple[float, float]:
        """Those of harm and of good at the end of the ticks."""
        return (float(self.harm[-1]), float(self.good[-1])) if self.harm.size else (1.0, 1.0)


def keep_nothing(count: int) -> Ledger:
    return {}


def calm(ticks: int, dispersion: float = 1.0) -> PodNoise:
    """The same for all ticks."""
    return PodNoise(np.full(ticks, dispersion), np.full(ticks, dispersion), np.ones(ticks), keep_nothing)


def pod_noise(
    start: LookStart,
    edges: Floats,
    frontier: float,
    mine: ArmCounters,
    theirs: ArmCounters | None,
    window: SampleWindow,
) -> PodNoise:
    """The noise in the ticks between `edges`, as far as the history or the ticks before tell."""
    prior, ticks = start.prior, len(edges) - 1
    is_learning = prior.mode is Mode.ASSUMED
    if theirs is None:
        is_known = is_learning and "learned" in start.ledger
        return calm(ticks, _kept(start.ledger, Learned()).feared if is_known else prior.inflation)
    if not (is_learning or prior.mode in NOISY or prior.reach > 0):
        return calm(ticks)
    own, usual = (by_pod(side, edges, window).total for side in (mine, theirs))
    width = widening(prior.reach, as_many(own), as_many(usual)) if prior.reach > 0 else np.ones(ticks)
    if is_learning:
        known, keep = _learned(start, edges, frontier, theirs, window)
        there = busiest(usual)
        more = np.maximum(np.divide(busiest(own), there, out=np.ones(ticks), where=there > 0), 1.0)
        harm = 1 + (np.array([one.feared for one in known]) - 1) * more
        good = np.array([one.dispersion for one in known])
        return PodNoise(harm, good, width, keep, _while_learning(harm))
    more = (
        np.maximum(busiest(own) / np.maximum(prior.load * np.diff(edges), 1.0), 1.0) if prior.load else np.ones(ticks)
    )
    found = INFLATION * (1 + (prior.dispersion - 1) * more) if prior.mode in NOISY else np.ones(ticks)
    return PodNoise(found, found, width, keep_nothing, _of_levels(width))


def _while_learning(harm: Floats) -> tuple[str, ...]:
    if not harm.size or harm[-1] < 1.05:
        return ()
    by = f"errors count for {harm[-1]:.1f} times fewer"
    return (f"the noise of its pods is being learned, since stable has no history: so far {by}",)


def _of_levels(width: Floats) -> tuple[str, ...]:
    if not width.size or width[-1] <= 1:
        return ()
    return (f"its pods differ for good, so up to {width[-1]:.2g} times stable's share may be the pods'",)


def _learned(
    start: LookStart, edges: Floats, frontier: float, theirs: ArmCounters, window: SampleWindow
) -> tuple[Sequence[Learned], Keep]:
    """What was known before each tick, block by block, and how to keep it."""
    course = start.course
    length = max(math.ceil(BLOCK / course.tick - 1e-9), 1)  # ticks of a block
    done, ended = start.first // length, course.ticks(frontier) // length
    kept = _kept(start.ledger, Learned(seconds=start.prior.seen))
    rows = [np.array([kept.squares, kept.freedom, kept.seconds])]
    if ended > done:
        bounds = np.asarray(course.start + np.arange(done - 1, ended + 1) * length * course.tick, dtype=np.float64)
        counted = by_pod(theirs, bounds, window)
        squares, freedom = learn(counted.bad, counted.total)
        rows += list(np.stack((squares, freedom, np.full(ended - done, length * course.tick)), axis=1))
    sums = np.add.accumulate(rows)

    def after(ticks: int) -> int:
        return min(max((start.first + ticks) // length - done, 0), len(sums) - 1)

    known = [Learned(*row) for row in sums.tolist()]
    return [known[after(tick)] for tick in range(len(edges) - 1)], lambda ticks: {"learned": sums[after(ticks)]}


def _kept(ledger: Ledger, known: Learned) -> Learned:
    kept = ledger.get("learned")
    return Learned(*kept.tolist()) if kept is not None and kept.size == 3 and (kept >= 0).all() else known


def by_pod(side: ArmCounters, bounds: Floats, window: SampleWindow) -> PodCounts:
    """Bad and all requests, pods × blocks between the bounds."""
    total = by_target(side.total, bounds, side.scrapes, window)
    events = by_target(side.events, bounds, side.scrapes, window)
    rows = []
    for target, requests in total.items():
        hits = np.minimum(events.get(target, np.zeros_like(requests)), requests)
        rows.append((hits if side.part == BAD else requests - hits, requests))
    both = np.array(rows).reshape(len(rows), 2, -1)
    return PodCounts(both[:, 0], both[:, 1])
