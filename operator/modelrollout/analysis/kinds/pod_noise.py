"""What noise of single pods does to the comparison in each new tick: discounts, and a wider tolerance. Pure.

How noisy stable's pods are is known from their history. Without one it is learned from them as the rollout goes, and a
tick uses what was known before it. A pod with more to do than those in the history had is noisier in its events; the
candidate's may have several times as much.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Keep
from modelrollout.analysis.parts import BAD
from modelrollout.analysis.samples.buckets import ArmHistograms, counts_beyond
from modelrollout.analysis.samples.counters import ArmCounters, SampleWindow, Target, by_target, target_of
from modelrollout.sequential.levels import as_many, busiest, measure_levels, widening
from modelrollout.sequential.noise import INFLATION, Learned, Mode, learn
from modelrollout.sequential.proportions import Bound
from modelrollout.sequential.ranks import BLOCK

Floats = npt.NDArray[np.float64]

MOST_PODS = 50
"""The most pods of which sums are kept: more tell little more of how far they lie apart."""
NOISY = (Mode.RANKED, Mode.DISPERSED, Mode.STRICT)


@dataclass(frozen=True, slots=True)
class ByPod:
    """An arm's requests by pod. `bad`: kinds of bad ones × pods × times between some edges; `total`: pods × times."""

    pods: tuple[Target, ...]
    bad: Floats
    total: Floats


CountByPod = Callable[[Floats], ByPod]
"""The requests of an arm's pods between edges."""


@dataclass(frozen=True, slots=True)
class PodNoise:
    """By tick: factors by which events are discounted, for harm and for good; and what pods may differ by for good.

    `apart`: √(1/k + 1/J) of k and J pods. `width`: the factor by which the shares of equal versions may differ.
    """

    harm: Floats
    good: Floats
    apart: Floats
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


def pod_noise(
    start: LookStart, edges: Floats, frontier: float, mine: CountByPod, theirs: CountByPod | None
) -> PodNoise:
    """The noise in the ticks between `edges`, as far as the history or the ticks before tell."""
    prior, ticks = start.prior, len(edges) - 1
    is_learning = prior.mode is Mode.ASSUMED
    if theirs is None:
        return _alike(ticks, _kept(start.ledger, prior.seen).feared if _has_learned(start) else prior.inflation)
    if not (is_learning or prior.mode in NOISY or prior.reach > 0 or prior.reaches):
        return _alike(ticks, 1.0)
    own, usual = mine(edges).total, theirs(edges).total
    apart = np.sqrt(1 / np.maximum(as_many(own), 1.0) + 1 / np.maximum(as_many(usual), 1.0))
    if is_learning:
        known, keep = _learned(start, edges, frontier, theirs)
        harm = 1 + (np.array([one.feared for one in known]) - 1) * _more(busiest(own), busiest(usual))
        good, reach = np.array([one.dispersion for one in known]), np.array([one.reach(prior.chance) for one in known])
        width = widening(reach, apart)
        return PodNoise(harm, good, apart, width, keep, (*_while_learning(harm), *_of_levels(width)))
    more = _more(busiest(own), (prior.load or math.inf) * np.diff(edges))
    found = INFLATION * (1 + (prior.dispersion - 1) * more) if prior.mode in NOISY else np.ones(ticks)
    width = widening(prior.reach, apart)
    return PodNoise(found, found, apart, width, keep_nothing, _of_levels(width))


def _alike(ticks: int, dispersion: float) -> PodNoise:
    """The same for all ticks."""
    by = np.full(ticks, dispersion)
    return PodNoise(by, by, np.zeros(ticks), np.ones(ticks), keep_nothing)


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


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of stable's pods: the noise of each kind of events, and the sums of each pod.

    `sums`: by number of the pod, its events and those expected at the common rate; of a single kind of events only.
    """

    kinds: tuple[Learned, ...]
    sums: Mapping[float, tuple[float, float]]

    @property
    def dispersion(self) -> float:
        return max(one.dispersion for one in self.kinds)

    @property
    def feared(self) -> float:
        return max(one.feared for one in self.kinds)

    def reach(self, chance: float) -> float:
        """How far pods may lie apart for good, as far as it shows by now."""
        sums = np.array(list(self.sums.values())).reshape(-1, 2)
        return measure_levels(sums[:, :1], sums[:, 1:], self.dispersion).reach(chance)

    def after(self, counted: ByPod, block: int, seconds: float) -> _Known:
        """With one more block; the one before it is there, too."""
        found = [learn(bad[:, block - 1 : block + 1], counted.total[:, block - 1 : block + 1]) for bad in counted.bad]
        before = self.kinds if len(self.kinds) == len(found) else self.kinds[:1] * len(found)
        kinds = tuple(
            one.after(float(squares[0]), float(freedom[0]), seconds)
            for one, (squares, freedom) in zip(before, found, strict=True)
        )
        if len(found) > 1:
            return _Known(kinds, {})
        bad, total = counted.bad[0, :, block], counted.total[:, block]
        expected = total * (bad.sum() / max(float(total.sum()), 1e-12))
        sums = dict(self.sums)
        for pod, seen, usual in zip(map(_number, counted.pods), bad.tolist(), expected.tolist(), strict=True):
            if pod in sums or len(sums) < MOST_PODS:
                known = sums.get(pod, (0.0, 0.0))
                sums[pod] = (known[0] + seen, known[1] + usual)
        return _Known(kinds, sums)


def _number(pod: Target) -> float:
    """A number that stands for a pod in the ledger."""
    return float(int.from_bytes(hashlib.blake2b(repr(pod).encode(), digest_size=6).digest(), "big"))


def _learned(start: LookStart, edges: Floats, frontier: float, theirs: CountByPod) -> tuple[Sequence[_Known], Keep]:
    """What was known before each tick, block by block, and how to keep it."""
    course = start.course
    length = max(math.ceil(BLOCK / course.tick - 1e-9), 1)  # ticks of a block
    done, ended = start.first // length, course.ticks(frontier) // length
    known = [_kept(start.ledger, start.prior.seen)]
    if ended > done:
        counted = theirs(np.asarray(course.start + np.arange(done - 1, ended + 1) * length * course.tick))
        for block in range(1, ended - done + 1):
            known.append(known[-1].after(counted, block, length * course.tick))

    def at(ticks: int) -> int:
        return min(max((start.first + ticks) // length - done, 0), len(known) - 1)

    def keep(ticks: int) -> Ledger:
        kept = known[at(ticks)]
        return {
            "learned": np.array([[one.squares, one.freedom, one.seconds] for one in kept.kinds]).ravel(),
            "pods": np.array([[pod, *sums] for pod, sums in kept.sums.items()]).ravel(),
        }

    return [known[at(tick)] for tick in range(len(edges) - 1)], keep


def _kept(ledger: Ledger, seconds: float) -> _Known:
    """What was learned before."""
    kinds, pods = (_rows_of_three(ledger.get(name)) for name in ("learned", "pods"))
    learned = tuple(Learned(*row) for row in kinds) or (Learned(seconds=seconds),)
    return _Known(learned, {pod: (seen, usual) for pod, seen, usual in pods})


def _rows_of_three(kept: Floats | None) -> list[list[float]]:
    """Nothing for what cannot be read: anybody may edit a status."""
    if kept is None or kept.size % 3 or not (kept >= 0).all():
        return []
    rows: list[list[float]] = kept.reshape(-1, 3).tolist()
    return rows


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
        return ByPod(tuple(total), both[None, :, 0], both[:, 1])

    return counted


def slow_by_pod(
    side: ArmHistograms, bounds: Sequence[float], window: SampleWindow, in_doubt: Literal["fewer", "more"] = "more"
) -> CountByPod:
    """Requests beyond each bound and all of them: all label sets of one pod (paths, methods) are added up.

    `in_doubt`: as in `counts_beyond`.
    """

    def counted(edges: Floats) -> ByPod:
        pods: dict[Target, tuple[Floats, Floats]] = {}
        for group in side.histograms:
            target = target_of(group[math.inf].labels) or ()
            alone = ArmHistograms((group,), side.scrapes)
            slow, requests = counts_beyond(alone, bounds, edges, window, in_doubt=in_doubt)
            known = pods.get(target, (np.zeros_like(slow), np.zeros_like(requests)))
            pods[target] = (known[0] + slow, known[1] + requests)
        slow_of_each = np.stack([slow for slow, _ in pods.values()])  # pods × times × bounds
        return ByPod(
            tuple(pods), slow_of_each.transpose(2, 0, 1), np.stack([requests for _, requests in pods.values()])
        )

    return counted
