"""Stable against stable: each pod plays the candidate against the others, so every rollback is a false alarm.

Rollouts follow one another over the whole range, each as long as the plan. At 100 % the operator does not
compare, and neither does this.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scipy.special import chdtri

from modelrollout.analysis.evidence.ticks import look_back, tick_of
from modelrollout.analysis.parts import ONE_POD, OTHER_PODS, VALUE
from modelrollout.analysis.queries import MOST_POINTS
from modelrollout.analysis.samples.own_pods import without_other_namespaces
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.status import UsualMetric, Verdict
from modelrollout.cli.backtest import history
from modelrollout.cli.backtest.arms import Selected, narrowed, past_arm, pod_labels
from modelrollout.cli.backtest.fetch import Fetcher, Wanted
from modelrollout.cli.backtest.moments import in_utc, length
from modelrollout.cli.backtest.policy import Policy
from modelrollout.cli.backtest.progress import Progress
from modelrollout.cli.backtest.replay import LONGEST_STRIDE, PROMOTED, Arms, Replay
from modelrollout.cli.backtest.sources import POOL, Among, wanted_of
from modelrollout.cli.backtest.tape import Reel, ReelKey, Tape
from modelrollout.cli.backtest.trouble import MisuseError
from modelrollout.plan.history import stretches
from modelrollout.promql.query import Answer, Answered, Query, Series
from modelrollout.promql.strings import as_regex

CHUNK = timedelta(hours=3)
"""How often stable's past is read again, and pods are drawn to play the candidate."""
FEWEST_PODS = 2
WEEK = timedelta(days=7)
CONFIDENCE = 0.95
SLACK = 60.0
"""A pod whose last sample is at most so many seconds before the end of a time counts as there until the end."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An equal candidate that would have been taken back."""

    at: datetime
    began: datetime
    pod: str
    weight: int
    metrics: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A rollout that was not finished when its time was over."""

    weight: int
    metrics: tuple[str, ...]  # that did not pass


@dataclass(slots=True)
class Alarms:
    """The results of all rollouts. `modes`: by metric, how often its noise was treated in which way."""

    policy: Policy
    start: datetime
    end: datetime
    window: timedelta
    rollouts: int = 0
    promoted: int = 0
    exposure: timedelta = timedelta()
    alarms: list[Alarm] = field(default_factory=list)
    left: Counter[Unfinished] = field(default_factory=Counter)
    modes: dict[str, Counter[str]] = field(default_factory=dict)
    notes: Counter[tuple[str, str]] = field(default_factory=Counter)
    sees: dict[str, str] = field(default_factory=dict)
    pods: set[str] = field(default_factory=set)
    skipped: int = 0  # windows with too few pods
    without_data: Counter[str] = field(default_factory=Counter)  # by metric: rollouts that ended with none

    @property
    def per_week(self) -> tuple[float, float, float]:
        """Alarms per week of rollouts in progress: counted, and the exact Poisson interval around it."""
        weeks = max(self.exposure / WEEK, 1e-12)
        low, high = poisson(len(self.alarms))
        return len(self.alarms) / weeks, low / weeks, high / weeks


def poisson(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact limits for the mean of a Poisson count (Garwood, Biometrika 1936)."""
    tail = (1 - confidence) / 2
    low = float(chdtri(2 * count, 1 - tail)) / 2 if count else 0.0
    return low, float(chdtri(2 * count + 2, tail)) / 2


async def count_alarms(
    policy: Policy,
    stable: Selected,
    fetcher: Fetcher,
    progress: Progress,
    *,
    start: datetime,
    end: datetime,
    most_pods: int,
    label: str | None,
) -> Alarms:
    """Replays all rollouts and counts the false alarms. Raises BacktestError."""
    window = window_of(policy)
    if end - start < window:
        raise MisuseError(
            f"from --start to --end is {length(end - start)}, and the plan takes {length(window)}: give it more time."
        )
    found = Alarms(policy, start, end, window)
    stage = _Stage(policy, stable, fetcher, start, most_pods, label)
    windows = [start + window * number for number in range(int((end - start) / window + 1e-9))]
    each = max(int(min(CHUNK, _most(policy)) / window), 1)
    for first in range(0, len(windows), each):
        begins = windows[first : first + each]
        ends = begins[-1] + window
        following = windows[first + each : first + 2 * each]
        await stage.fetch(ends)
        ahead = asyncio.create_task(stage.fetch(following[-1] + window)) if following else None
        try:
            players = await stage.players(begins[0], ends)
            if len(stage.present) < FEWEST_PODS:
                found.skipped += len(begins)
            else:
                await _play(found, stage, players, begins, progress)
            if ahead is not None:
                await ahead
        finally:
            if ahead is not None:
                ahead.cancel()
        stage.forget(ends)
        progress.seen((ends - start) / (end - start))
    if not found.rollouts:
        raise MisuseError(_nobody(stage, stable, start, end))
    return found


def window_of(policy: Policy) -> timedelta:
    """As long as the plan, in whole ticks and whole seconds."""
    planned = timedelta(seconds=sum(one.seconds for one in stretches(policy.wish)))
    tick = tick_of(policy.analysis.interval.timedelta)
    unit = timedelta(milliseconds=math.lcm(round(tick / timedelta(milliseconds=1)), 1000))
    return max(math.ceil(planned / unit), 1) * unit


def _most(policy: Policy) -> timedelta:
    return tick_of(policy.analysis.interval.timedelta) * MOST_POINTS


class _Stage:
    """Where the rollouts are played: what was fetched, and who is there."""

    def __init__(
        self, policy: Policy, stable: Selected, fetcher: Fetcher, start: datetime, most: int, label: str | None
    ) -> None:
        self.policy, self.stable, self.fetcher, self.most = policy, stable, fetcher, most
        self.analysis = narrowed(policy.analysis, stable)
        self.labels = {name: label or own for name, own in pod_labels(policy.analysis).items()}
        for metric in policy.analysis.metrics:
            if metric.name not in self.labels or metric.pairs is not None:
                why = "compares the answers of two versions" if metric.pairs else "has no selector with {{ pods }}"
                raise MisuseError(
                    f"spec.analysis.metrics[{metric.name}] {why}, so no single pod can play the candidate in it: "
                    f"replay a candidate against stable instead (--candidate-pods or --candidate-selector), or leave "
                    f"it out with --without {metric.name}."
                )
        everybody = Selected("candidate", stable.pods, stable.matchers, stable.names)  # all parts of all metrics
        self.pool = past_arm(everybody, policy)
        wanted = wanted_of(self.analysis, self.pool, start, as_arm=POOL, labels=self.labels)
        self.counters = {key: one for key, one in wanted.items() if key[2] != VALUE}
        self.tape = Tape({key: one.reel for key, one in self.counters.items()})
        interval = policy.analysis.interval.timedelta
        self.back = look_back(interval, policy.analysis.warm_up.timedelta)
        self.present: list[str] = []

    @property
    def values(self) -> list[Metric]:
        return [metric for metric in self.analysis.metrics if metric.value is not None]

    async def fetch(self, until: datetime) -> None:
        await self.fetcher.fill(self.counters.values(), until.timestamp())

    def forget(self, until: datetime) -> None:
        self.tape.forget((until - self.back - LONGEST_STRIDE).timestamp())

    async def players(self, start: datetime, end: datetime) -> list[str]:
        """The pods that play the candidate: the first by hash, so the choice varies but is reproducible."""
        there: set[str] = set()
        for one in self.counters.values():
            pods = one.reel.pods(start.timestamp(), end.timestamp() - SLACK)
            there |= {pod for pod in pods if without_other_namespaces(one.query, one.reel.shown_by(pod), "stable")[0]}
        if not self.counters:
            for name in sorted(set(self.labels.values())):
                there |= await history.pods_by_label(self.fetcher, name, self.pool, self.stable.matchers, start)
        self.present = sorted(there)
        return sorted(there, key=lambda pod: hashlib.sha256(f"{pod}/{start:%s}".encode()).hexdigest())[: self.most]

    def arms(self, pod: str) -> Arms:
        others = [one for one in self.present if one != pod]
        matchers = self.stable.matchers
        mine = Selected("candidate", as_regex(pod), matchers, self.stable.names)
        theirs = Selected("stable", "|".join(map(as_regex, others)), matchers, self.stable.names)
        return Arms(past_arm(mine, self.policy), past_arm(theirs, self.policy), self.analysis, self.analysis)


async def _play(
    found: Alarms, stage: _Stage, players: Sequence[str], begins: Sequence[datetime], progress: Progress
) -> None:
    start, ends = begins[0], begins[-1] + found.window
    arms = {pod: stage.arms(pod) for pod in players}
    reels, usual = await asyncio.gather(_values(stage, arms, start, ends), _preflights(stage, arms, start))
    for noted in usual.values():
        _note(found, noted)
    for begin in begins:
        cache: dict[tuple[ReelKey, float, float, str], tuple[Series, ...]] = {}
        for pod in players:
            others = frozenset(one for one in stage.present if one != pod)
            source = Among(stage.tape, reels, pod, others, cache)
            replay = Replay(stage.policy, arms[pod], begin, usual[pod], seed=f"{pod}/{begin:%s}", grain=LONGEST_STRIDE)
            for _ in replay.looks(begin + found.window, source.ask):
                await asyncio.sleep(0)
            _count(found, replay, pod, begin)
        progress.seen((begin + found.window - found.start) / (found.end - found.start))


def _count(found: Alarms, replay: Replay, pod: str, begin: datetime) -> None:
    found.rollouts += 1
    found.pods.add(pod)
    last, turn = replay.last, replay.turns[-1]
    found.exposure += (turn.at if replay.is_over else begin + found.window) - begin
    verdicts = last.verdicts if last else ()
    for verdict in verdicts:
        if verdict.verdict is Verdict.NO_DATA:
            found.without_data[verdict.metric] += 1
    if replay.is_taken_back and last is not None:
        failed = tuple(one.metric for one in verdicts if one.verdict is Verdict.FAIL)
        found.alarms.append(Alarm(turn.at, begin, pod, last.weight, failed, turn.why))
    elif turn.stage == PROMOTED:
        found.promoted += 1
    else:
        open_ = tuple(one.metric for one in verdicts if one.verdict is not Verdict.PASS)
        found.left[Unfinished(turn.weight, open_)] += 1


def _note(found: Alarms, noted: Iterable[UsualMetric]) -> None:
    for one in noted:
        found.modes.setdefault(one.metric, Counter())[history.noise_of(one)] += 1
        if one.note:
            found.notes[one.metric, one.note] += 1
        if one.sees:
            found.sees[one.metric] = one.sees


async def _values(stage: _Stage, arms: Mapping[str, Arms], start: datetime, end: datetime) -> dict[ReelKey, Reel]:
    """The values of expressions for each player, and for the other pods."""
    if not stage.values:
        return {}
    only = _only(stage.analysis, stage.values)
    wanted: dict[ReelKey, Wanted] = {}
    for pod, pair in arms.items():
        for arm in (pair.candidate, pair.stable):
            for (metric, name, _), one in wanted_of(only, arm, start).items():
                wanted[metric, name, pod] = one
    await stage.fetcher.fill(wanted.values(), end.timestamp())
    return {key: one.reel for key, one in wanted.items()}


async def _preflights(stage: _Stage, arms: Mapping[str, Arms], at: datetime) -> dict[str, tuple[UsualMetric, ...]]:
    """For each player, the history of the other pods. Counters are queried once for all."""
    whole = history.preflight_queries(stage.analysis, stage.pool, (), at)
    known = await stage.fetcher.answers(whole)
    series = {
        (query.metric, query.part): answer.series for query in whole if isinstance(answer := known[query], Answered)
    }
    found = {}
    for pod, pair in arms.items():
        others = [one for one in stage.present if one != pod]
        asked = history.preflight_queries(stage.analysis, pair.stable, others, at)
        answers: dict[Query, Answer] = {
            query: Answered(
                tuple(
                    one
                    for one in series.get((query.metric, query.part), ())
                    if one.labels.get(stage.labels[query.metric], "") in others
                )
            )
            for query in asked
            if query.part != VALUE
        }
        answers |= await stage.fetcher.answers([one for one in asked if one.arm in (ONE_POD, OTHER_PODS)])
        basis = Replay(stage.policy, pair, at, (), seed=pod).basis
        found[pod] = history.usual_metrics(stage.policy, asked, answers, basis)
        await asyncio.sleep(0)
    return found


def _only(analysis: Analysis, metrics: Sequence[Metric]) -> Analysis:
    return analysis.model_copy(update={"metrics": tuple(metrics)})


def _nobody(stage: _Stage, stable: Selected, start: datetime, end: datetime) -> str:
    query = next((one.query.promql for one in stage.counters.values()), "its metrics")
    return (
        f"there are never {FEWEST_PODS} pods of stable at a time between {in_utc(start)} and {in_utc(end)} "
        f"(--stable-pods is {stable.pods!r}): mend it, or the time. It was asked for {query}"
    )
