"""A candidate of the past against the stable beside it: what the policy would have said and done, and when."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from modelrollout.analysis.evidence.ticks import look_back, tick_of
from modelrollout.analysis.parts import CANDIDATE, STABLE
from modelrollout.analysis.samples.counted_series import counted
from modelrollout.api.status import MetricVerdict, UsualMetric, Verdict
from modelrollout.cli.backtest import history
from modelrollout.cli.backtest.arms import Selected, pod_labels
from modelrollout.cli.backtest.curves import measured
from modelrollout.cli.backtest.fetch import Fetcher, Wanted
from modelrollout.cli.backtest.moments import in_utc
from modelrollout.cli.backtest.policy import Policy
from modelrollout.cli.backtest.progress import Progress
from modelrollout.cli.backtest.replay import Arms, Look, Replay, Turn
from modelrollout.cli.backtest.sources import Versus, wanted_of
from modelrollout.cli.backtest.tape import ReelKey, Tape
from modelrollout.cli.backtest.trouble import MisuseError
from modelrollout.promql.query import Series

CHUNK = timedelta(hours=2)
MOST_LOOKS = 2_500
"""So many looks are all recorded; over a longer time only every few, and those that decide something."""
CURVE_POINTS = 240
"""Points of a curve."""


@dataclass(frozen=True, slots=True)
class Point:
    """A verdict on a metric; its evidence as shares of what a rollback, and of what moving on, needs."""

    at: float
    verdict: Verdict
    evidence: float
    ruled_out: float


@dataclass(slots=True)
class MetricHistory:
    """One metric over the whole time."""

    metric: str
    first_pass: datetime | None = None
    first_fail: datetime | None = None
    last: MetricVerdict | None = None
    points: list[Point] = field(default_factory=list)

    def add(self, at: datetime, verdict: MetricVerdict) -> None:
        if verdict.verdict is Verdict.PASS:
            self.first_pass = self.first_pass or at
        if verdict.verdict is Verdict.FAIL:
            self.first_fail = self.first_fail or at
        self.last = verdict
        shares = (_share(verdict.evidence), _share(verdict.ruled_out))
        self.points.append(Point(at.timestamp(), verdict.verdict, *shares))


@dataclass(slots=True)
class CandidateReplay:
    """A candidate and stable over the same time. `curves`: by metric and arm, (unix seconds, value)."""

    policy: Policy
    start: datetime
    end: datetime
    onset: datetime | None
    is_held: bool
    turns: list[Turn]
    histories: list[MetricHistory]
    usual: Sequence[UsualMetric]
    last: Look | None
    looks: int = 0
    curves: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def end_turn(self) -> Turn | None:
        """The end, where there was one before the data ended."""
        return self.turns[-1] if self.turns and self.turns[-1].stage in ("promoted", "taken back") else None


async def replay_candidate(
    policy: Policy,
    sides: tuple[Selected, Selected],
    arms: Arms,
    fetcher: Fetcher,
    progress: Progress,
    *,
    start: datetime,
    end: datetime,
    onset: datetime | None,
    is_held: bool,
    with_curves: bool,
) -> CandidateReplay:
    """Replays the rollout. `sides`: candidate and stable, as they were selected. Raises BacktestError."""
    wanted = {
        **wanted_of(arms.of_candidate, arms.candidate, start),
        **wanted_of(arms.of_stable, arms.stable, start),
    }
    tape = Tape({key: one.reel for key, one in wanted.items()})
    chunks = _chunks(start, end)
    await fetcher.fill(wanted.values(), chunks[0].timestamp())
    _require_distinct(wanted, sides, start, chunks[0])
    usual = await _preflight(policy, arms, sides[1], fetcher, start)
    replay = Replay(policy, arms, start, usual, seed="trial", is_held=is_held, grain=_grain(policy, end - start))
    histories = [MetricHistory(metric.name) for metric in policy.analysis.metrics]
    comparison = CandidateReplay(policy, start, end, onset, is_held, replay.turns, histories, usual, None)
    source, drawer = Versus(tape), _Drawer(policy, wanted, start, end)
    for number, until in enumerate(chunks):
        following = chunks[number + 1] if number + 1 < len(chunks) else None
        ahead = asyncio.create_task(fetcher.fill(wanted.values(), following.timestamp())) if following else None
        try:
            for look in replay.looks(until, source.ask):
                _note(comparison, look)
                progress.seen((look.at - start) / (end - start))
                await asyncio.sleep(0)  # lets fetches proceed, and Ctrl-C be heard
            if with_curves:
                drawer.draw(until, comparison.curves)
            if ahead is not None:
                await ahead
        finally:
            if ahead is not None:
                ahead.cancel()
        if replay.is_over and not with_curves:
            break
        tape.forget(min(until.timestamp() - drawer.back, replay.read_from if not replay.is_over else math.inf))
        progress.seen((until - start) / (end - start))
    _require_data(comparison, tape, wanted, sides)
    return comparison


def _grain(policy: Policy, length: timedelta) -> timedelta | None:
    """How far apart looks are of which nothing comes, in a time too long to take down each."""
    interval = policy.analysis.interval.timedelta
    grain = interval * math.ceil(length / interval / MOST_LOOKS)
    return grain if grain > interval else None


def _note(comparison: CandidateReplay, look: Look) -> None:
    comparison.last = look
    comparison.looks += 1
    told = {verdict.metric: verdict for verdict in look.verdicts}  # of the metrics that are judged at this step
    for each in comparison.histories:
        if (verdict := told.get(each.metric)) is not None:
            each.add(look.at, verdict)


async def _preflight(
    policy: Policy, arms: Arms, stable: Selected, fetcher: Fetcher, at: datetime
) -> tuple[UsualMetric, ...]:
    pods: set[str] = set()
    if any(metric.value is not None and metric.tolerance is not None for metric in policy.analysis.metrics):
        for label in sorted(set(pod_labels(policy.analysis).values())):
            pods |= await history.pods_by_label(fetcher, label, arms.stable, stable.matchers, at)
    asked = history.preflight_queries(arms.of_stable, arms.stable, sorted(pods), at)
    answers = await fetcher.answers(asked)
    return history.usual_metrics(policy, asked, answers, Replay(policy, arms, at, (), seed="trial").basis)


def _chunks(start: datetime, end: datetime) -> list[datetime]:
    number = max(math.ceil((end - start) / CHUNK), 1)
    return [min(start + CHUNK * (each + 1), end) for each in range(number)]


def _require_distinct(
    wanted: Mapping[ReelKey, Wanted], sides: tuple[Selected, Selected], start: datetime, end: datetime
) -> None:
    """Raises MisuseError where a series is in both arms: shared series alone would make the arms look alike."""
    for (metric, arm, part), one in wanted.items():
        other = wanted.get((metric, STABLE, part)) if arm == CANDIDATE else None
        # An expression may drop the labels, so they say nothing here.
        shared = set(one.reel.strips) & set(other.reel.strips) if other is not None and one.query.step is None else ()
        if shared:
            labels = dict(min(shared))
            shown = ", ".join(f"{name}={value}" for name, value in labels.items() if "pod" in name or "inst" in name)
            raise MisuseError(
                f"candidate and stable overlap: metric {metric} has series of both ({shown or labels}) between "
                f"{in_utc(start)} and {in_utc(end)}; narrow --stable-pods or --stable-selector, or --candidate-…"
            )


def _require_data(
    comparison: CandidateReplay, tape: Tape, wanted: Mapping[ReelKey, Wanted], sides: tuple[Selected, Selected]
) -> None:
    """Raises MisuseError where one arm has no samples of anything: that is a typing mistake, not a result."""
    for side in sides:
        reels = {key: reel for key, reel in tape.reels.items() if key[1] == side.arm}
        if reels and not any(reel.samples for reel in reels.values()):
            query = next(iter(wanted[key].query.promql for key in reels))
            raise MisuseError(
                f"no metric has any sample of {side.arm} between {in_utc(comparison.start)} "
                f"and {in_utc(comparison.end)}: mend --{side.arm}-pods or --{side.arm}-selector, or the time. "
                f"It was asked for {query}"
            )


class _Drawer:
    """Collects the points of curves, chunk by chunk."""

    def __init__(self, policy: Policy, wanted: Mapping[ReelKey, Wanted], start: datetime, end: datetime) -> None:
        self._metrics = {metric.name: metric for metric in policy.analysis.metrics}
        self._wanted, self._from = wanted, start.timestamp()
        interval = policy.analysis.interval.timedelta
        tick = tick_of(interval)
        self._width = (tick * max(math.ceil((end - start) / CURVE_POINTS / tick), 1)).total_seconds()
        self._end = end.timestamp()
        self.back = look_back(interval, policy.analysis.warm_up.timedelta).total_seconds() + self._width

    def draw(self, until: datetime, curves: dict[tuple[str, str], list[tuple[float, float]]]) -> None:
        """From where the last ended to the last whole step before `until`."""
        end = until.timestamp()
        number = int((end - self._from) / self._width + 1e-9)
        edges = np.asarray(self._from + np.arange(number + 1) * self._width, dtype=np.float64)
        if end >= self._end and end - edges[-1] > 1:
            edges = np.append(edges, end)
        if len(edges) < 2:
            return
        back = self.back - self._width
        parts: dict[tuple[str, str], dict[str, Sequence[Series]]] = {}
        for (metric, arm, _), one in self._wanted.items():
            series = one.reel.cut(self._from - back, float(edges[-1]))
            parts.setdefault((metric, arm), {}).update(counted(one.query, series, arm).parts)
        for (metric, arm), found in parts.items():
            values = measured(self._metrics[metric], found, edges, back)
            middles = ((edges[1:] + edges[:-1]) / 2).tolist()
            curves.setdefault((metric, arm), []).extend(zip(middles, values, strict=True))
        self._from = float(edges[-1])


def _share(text: str | None) -> float:
    """34% → 0.34; unknown is 0."""
    return float(text.removesuffix("%")) / 100 if text else 0.0
