"""Which samples answer a look's queries, out of what was fetched. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from modelrollout.analysis.evidence.ticks import look_back, tick_of
from modelrollout.analysis.parts import CANDIDATE, VALUE
from modelrollout.analysis.queries import ArmNames, Reach, queries
from modelrollout.api.analysis import Analysis
from modelrollout.cli.backtest.fetch import FIRST_PIECE, LONGEST_PIECE, Wanted
from modelrollout.cli.backtest.tape import SAME_MOMENT, Reel, ReelKey, Tape
from modelrollout.promql.query import Answer, Answered, Query, Series

POOL = "all pods"


def wanted_of(
    analysis: Analysis,
    arm: ArmNames,
    start: datetime,
    *,
    as_arm: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[ReelKey, Wanted]:
    """For each query of one arm a reel to fill: counters from a look-back before `start`, values from its first tick.

    `labels`: by metric, the label that tells pods apart.
    """
    interval = analysis.interval.timedelta
    tick = tick_of(interval)
    back = look_back(interval, analysis.warm_up.timedelta)
    reaches = {metric.name: Reach(start - back, start + tick, start + tick, tick) for metric in analysis.metrics}
    found: dict[ReelKey, Wanted] = {}
    for query in queries(analysis, arm, None, reaches):
        begins = start if query.part == VALUE else start - back
        reel = Reel(begins.timestamp(), (labels or {}).get(query.metric))
        # An expression yields one series, so how much comes of it is known.
        span = LONGEST_PIECE if query.part == VALUE else FIRST_PIECE
        found[query.metric, as_arm or arm.arm, query.part] = Wanted(query, reel, span)
    return found


@dataclass(slots=True)
class Versus:
    """Two arms, each with reels of its own."""

    tape: Tape

    def ask(self, asked: Sequence[Query]) -> Mapping[Query, Answer]:
        return {query: Answered(_cut(self.tape.reels[query.metric, query.arm, query.part], query)) for query in asked}


@dataclass(slots=True)
class Among:
    """One pod against the others: counters of all pods are on one tape, values on reels of their own."""

    tape: Tape
    values: Mapping[ReelKey, Reel]  # metric, arm, pod
    pod: str
    others: frozenset[str]
    cache: dict[tuple[ReelKey, float, float, str], tuple[Series, ...]] = field(default_factory=dict)

    def ask(self, asked: Sequence[Query]) -> Mapping[Query, Answer]:
        return {query: Answered(self._series(query)) for query in asked}

    def _series(self, query: Query) -> tuple[Series, ...]:
        if query.part == VALUE:
            return _cut(self.values[query.metric, query.arm, self.pod], query)
        key = (query.metric, POOL, query.part)
        pods = (self.pod,) if query.arm == CANDIDATE else self.others
        return tuple(one for pod in pods for one in self._of_pod(key, query, pod))

    def _of_pod(self, key: ReelKey, query: Query, pod: str) -> tuple[Series, ...]:
        """A pod is among the others for most players, so its samples are cut out once."""
        start, end = query.start.timestamp(), query.end.timestamp()
        known = self.cache.get((key, start, end, pod))
        if known is None:
            strips = self.tape.reels[key].by_pod.get(pod, ())
            known = tuple(one for strip in strips if (one := strip.cut(start, end)) is not None)
            self.cache[key, start, end, pod] = known
        return known


def _cut(reel: Reel, query: Query) -> tuple[Series, ...]:
    start = query.start.timestamp() - (2 * SAME_MOMENT if query.step is not None else 0.0)
    return reel.cut(start, query.end.timestamp())
