"""What noise of single pods does to the comparison in each new tick: discounts, and a wider tolerance. Pure.

How noisy stable's pods are is known from their history. Without one it is learned from them as the rollout goes, and a
tick uses what was known before it. A pod with more to do than those in the history had is noisier in its events; the
candidate's may have several times as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Keep
from modelrollout.analysis.parts import BAD
from modelrollout.analysis.samples.buckets import ArmHistograms, counts_beyond
from modelrollout.analysis.samples.counters import ArmCounters, SampleWindow, Target, by_target, target_of
from modelrollout.sequential.levels import as_many, busiest, widening
from modelrollout.sequential.noise import INFLATION, Learned, Mode, learn
from modelrollout.sequential.proportions import Bound
from modelrollout.sequential.ranks import BLOCK

Floats = npt.NDArray[np.float64]

NOISY = (Mode.RANKED, Mode.DISPERSED, Mode.STRICT)


@dataclass(frozen=True, slots=True)
class ByPod:
    """An arm's requests by pod. `bad`: kinds of bad ones × pods × times between some edges; `total`: pods × times."""

    bad: Floats
    total: Floats


CountByPod = Callable[[Floats], ByPod]
"""The requests of an arm's pods between edges."""


@dataclass(frozen=True, slots=True)
class PodNoise:
    """By tick: factors by which events are discounted, for harm and for good; and √(1/k + 1/J) of k and J pods.

    `reach`: how far pods may lie apart for good, in ln and as a multiple of the latter.
    """

    harm: Floats
    good: Floats
    apart: Floats
    keep: Keep
    reach: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> Floats:
        """The factor by which the shares of equal versions may differ."""
        return widening(self.reach, self.apart)

    def allowed(self, tolerated: Bound) -> Bound:
        """The tolerance at the end of the ticks."""
        return tolerated.widened(float(self.width[-1])) if self.apart.size else tolerated

    @property
    def discounts(self) -> tuple[float, float]:
        """Those of harm and of good at the end of the ticks."""
        return (float(self.harm[-1]), float(self.good[-1])) if self.harm.size else (1.0, 1.0)


def keep_nothing(count: int) -> Ledger:
    return {}


def pod_noise(
    start: LookStart, edges: Floats, frontier: float, mine: CountByPod, theirs: CountByPod | None
) -> PodNoise:
    """The noise in the ticks between `edges`, as far as the history or the ticks before tell."""
    prior, ticks = start.prior, len(edges) - 1
    is_learning = prior.mode is Mode.ASSUMED
    if theirs is None:
        return _alike(ticks, _kept(start.ledger, prior.seen)[-1].feared if _has_learned(start) else prior.inflation)
    if not (is_learning or prior.mode in NOISY or prior.reach > 0 or prior.reaches):
        return _alike(ticks, 1.0)
    own, usual = mine(edges).total, theirs(edges).total
    apart = np.sqrt(1 / np.maximum(as_many(own), 1.0) + 1 / np.maximum(as_many(usual), 1.0))
    if is_learning:
        known, keep = _learned(start, edges, frontier, theirs)
        more = _more(busiest(own), busiest(usual))
        harm = 1 + (np.array([max(one.feared for one in row) for row in known]) - 1) * more
        good = np.array([max(one.dispersion for one in row) for row in known])
        return PodNoise(harm, good, apart, keep, prior.reach, _while_learning(harm))
    more = _more(busiest(own), (prior.load or math.inf) * np.diff(edges))
    found = INFLATION * (1 + (prior.dispersion - 1) * more) if prior.mode in NOISY else np.ones(ticks)
    noise = PodNoise(found, found, apart, keep_nothing, prior.reach, ())
    return PodNoise(found, found, apart, keep_nothing, prior.reach, _of_levels(noise.width))


def _alike(ticks: int, dispersion: float) -> PodNoise:
    """The same for all ticks."""
    return PodNoise(np.full(ticks, dispersion), np.full(ticks, dispersion), np.zeros(ticks), keep_nothing)


def _more(own: Floats, usual: Floats) -> Floats:
    """How many times as much the candidate's pods have to do; at least once."""
    return np.maximum(np.divide(own, usual, out=np.ones(own.size), where=usual > 0), 1.0)


def _while_learning(harm: Floats) -> tuple[str, ...]:
    if not harm.size or harm[-1] < 1.05:
        return ()
    by = f"events count for {harm[-1]:.1f} times fewer"
    return (f"the noise of its pods is being learned, since stable has no history: so far {by}",)


def _of_levels(width: Floats) -> tuple[str, ...]:
    if not width.size or width[-1] <= 1:
        return ()
    return (f"its pods differ for good, so up to {width[-1]:.2g} times stable's share may be the pods'",)


def _has_learned(start: LookStart) -> bool:
    return start.prior.mode is Mode.ASSUMED and "learned" in start.ledger


def _learned(
    start: LookStart, edges: Floats, frontier: float, theirs: CountByPod
) -> tuple[Sequence[Sequence[Learned]], Keep]:
    """What was known of each kind of events before each tick, block by block, and how to keep it."""
    course = start.course
    length = max(math.ceil(BLOCK / course.tick - 1e-9), 1)  # ticks of a block
    done, ended = start.first // length, course.ticks(frontier) // length
    known = [_kept(start.ledger, start.prior.seen)]
    if ended > done:
        counted = theirs(np.asarray(course.start + np.arange(done - 1, ended + 1) * length * course.tick))
        found = [learn(bad, counted.total) for bad in counted.bad]
        for block in range(ended - done):
            before = known[-1] if len(known[-1]) == len(found) else known[-1] * len(found)
            grown = zip(before, found, strict=True)
            known.append([one.after(more[0][block], more[1][block], length * course.tick) for one, more in grown])

    def at(ticks: int) -> int:
        return min(max((start.first + ticks) // length - done, 0), len(known) - 1)

    def keep(ticks: int) -> Ledger:
        return {"learned": np.array([[one.squares, one.freedom, one.seconds] for one in known[at(ticks)]]).ravel()}

    return [known[at(tick)] for tick in range(len(edges) - 1)], keep


def _kept(ledger: Ledger, seconds: float) -> list[Learned]:
    """What was learned before, of each kind of events."""
    kept = ledger.get("learned")
    if kept is None or not kept.size or kept.size % 3 or not (kept >= 0).all():
        return [Learned(seconds=seconds)]
    return [Learned(*row) for row in kept.reshape(-1, 3).tolist()]


def by_pod(side: ArmCounters, window: SampleWindow) -> CountByPod:
    """Bad requests and all of them, from counters."""

    def counted(edges: Floats) -> ByPod:
        total = by_target(side.total, edges, side.scrapes, window)
        events = by_target(side.events, edges, side.scrapes, window)
        rows = []
        for target, requests in total.items():
            hits = np.minimum(events.get(target, np.zeros_like(requests)), requests)
            rows.append((hits if side.part == BAD else requests - hits, requests))
        both = np.array(rows).reshape(len(rows), 2, -1)
        return ByPod(both[None, :, 0], both[:, 1])

    return counted


def slow_by_pod(side: ArmHistograms, bounds: Sequence[float], window: SampleWindow) -> CountByPod:
    """Requests beyond each bound and all of them: all label sets of one pod (paths, methods) are added up."""

    def counted(edges: Floats) -> ByPod:
        pods: dict[Target, tuple[Floats, Floats]] = {}
        for group in side.histograms:
            target = target_of(group[math.inf].labels) or ()
            slow, requests = counts_beyond(ArmHistograms((group,), side.scrapes), bounds, edges, window)
            known = pods.get(target, (np.zeros_like(slow), np.zeros_like(requests)))
            pods[target] = (known[0] + slow, known[1] + requests)
        slow_of_each = np.stack([slow for slow, _ in pods.values()])  # pods × times × bounds
        return ByPod(slow_of_each.transpose(2, 0, 1), np.stack([requests for _, requests in pods.values()]))

    return counted
