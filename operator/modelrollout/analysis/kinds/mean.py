"""Means per user, such as revenue: the arms' means are compared tick by tick, so that odd hours cancel. Pure.

With n_c and n_s users in a tick and h = n_c·n_s/(n_c + n_s), the sum of h·(difference of means)/σ² has the variance
Σh/σ² for equal arms: a normal mixture over it holds at any time, asymptotically (statistics: 2.4). The unit is the
user, because requests of one user depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import NO_BETTER, Evidence, Goal, LookStart, Missing, Parts
from modelrollout.analysis.evidence.tracks import Track, Words, carry_over
from modelrollout.analysis.kinds.excess_tests import SMALLEST_EFFECT, excluded
from modelrollout.analysis.kinds.metric_kind import Form, MetricKind, Part
from modelrollout.analysis.kinds.request_shares import INTERVAL_ALPHA
from modelrollout.analysis.parts import SQUARES, SUM, TOTAL
from modelrollout.analysis.samples import silent_arms
from modelrollout.analysis.samples.counters import SampleWindow, Scrapes, clean, scrapes_of, total_growth
from modelrollout.analysis.samples.over_time import SeriesOfArm, quotients
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.api.status import Verdict
from modelrollout.sequential.gauges import half_width, log_wealth

Floats = npt.NDArray[np.float64]

NOTHING = Tolerance()
FEWEST_USERS = 100.0
"""The fewest users of each arm for any evidence: the normal limit needs some."""


@dataclass(frozen=True, slots=True)
class _ArmUsers:
    """One arm's users in each tick: sums, sums of squares, and how many (all arrays: ticks)."""

    sums: Floats
    squares: Floats
    users: Floats

    def rows(self) -> Floats:
        return np.stack((self.sums, self.squares, self.users))


def mean_evidence(start: LookStart, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a mean. Stable None: it is not compared; Missing: it should be, and cannot."""
    window = SampleWindow(start.since, start.look_back, start.warm_up)
    mine = _scrapes(candidate, "the candidate", window)
    if isinstance(mine, Missing):
        return mine
    theirs = stable if stable is None or isinstance(stable, Missing) else _scrapes(stable, "stable", window)
    other = theirs if isinstance(theirs, Scrapes) and start.metric.tolerance is not None else None
    frontier = min(mine.frontier, other.frontier if other else mine.frontier, start.end)
    edges = start.course.edges(start.first, frontier)
    sides = [_users(candidate, edges, mine, window)]
    if other is not None and isinstance(stable, dict):
        sides.append(_users(stable, edges, other, window))
    gap = theirs if isinstance(theirs, Missing) and start.metric.tolerance is not None else None
    gap = gap or silent_arms.silent_arm({"the candidate": mine, "stable": other}, start.end)
    start = replace(start, ledger=start.ledger_for_goal("tolerance.beyond.excess"))
    return _MeanJudge(start, edges, sides).evidence(gap)


def _scrapes(parts: Parts, who: str, window: SampleWindow) -> Scrapes | Missing:
    counted = [clean(parts[part]) for part in (TOTAL, SUM, SQUARES)]
    arm = scrapes_of(counted, window)
    if arm is None or not all(counted):
        missing = next((name for name, part in zip(("count", "sum", "squares"), counted, strict=True) if not part), "")
        return Missing(Verdict.NO_DATA, f"{missing} has no samples of {who}")
    return arm


def _users(parts: Parts, edges: Floats, arm: Scrapes, window: SampleWindow) -> _ArmUsers:
    return _ArmUsers(*(total_growth(clean(parts[part]), edges, arm, window) for part in (SUM, SQUARES, TOTAL)))


class _MeanJudge:
    """Turns both arms' sums into evidence. The state is sums only, so any number of ticks is added at once."""

    def __init__(self, start: LookStart, edges: Floats, sides: Sequence[_ArmUsers]) -> None:
        self._start, self._edges, self._sides = start, edges, sides
        self._begins = start.course.beginnings(edges)
        self._sign = 1.0 if start.metric.better_when == "lower" else -1.0

    def evidence(self, gap: Missing | None) -> Evidence:
        metric, ticks = self._start.metric, len(self._edges) - 1
        unit = wording.unit_of_bounds(metric)
        step = self._moments(ticks, anew=True)
        means = [_mean(row) for row in step]
        is_compared = len(self._sides) == 2
        bounds = self._bounds(is_compared=is_compared)
        return Evidence(
            unit="users",
            what="",
            candidate=wording.text(means[0], unit) if step[0][2] > 0 else "nothing",
            stable=(wording.text(means[1], unit) if step[1][2] > 0 else "nothing") if is_compared else None,
            samples=float(step[0][2]),
            stable_samples=float(step[1][2]) if is_compared else None,
            tracks=tuple(self._track(name, *bound) for name, bound in bounds.items()),
            ticks=ticks,
            keep=self._keep,
            seconds=self._seconds(ticks),
            interval=self._interval(unit) if is_compared else None,
            gap=gap,
        )

    def _bounds(self, *, is_compared: bool) -> dict[str, tuple[Tolerance | float, Tolerance | float, Words]]:
        metric = self._start.metric
        found: dict[str, tuple[Tolerance | float, Tolerance | float, Words]] = {}
        if is_compared and metric.tolerance is not None:
            usual = _mean(self._moments(len(self._edges) - 1, anew=True)[1])
            beyond = _to_rule_out(metric, self._start.goal)
            unacceptable = NO_BETTER if beyond is NOTHING else self._words(beyond, usual, is_bound=False)
            words = Words(self._words(metric.tolerance, usual, is_bound=True), unacceptable)
            found["tolerance"] = (metric.tolerance, beyond, words)
        for name, limit, sign in (("max", metric.max, 1.0), ("min", metric.min, -1.0)):
            if limit is not None:
                room = sign * max(abs(limit.value) * SMALLEST_EFFECT, 1e-12)
                relations = ("≤", "≥") if sign > 0 else ("≥", "≤")
                words = Words(f"{relations[0]} {limit}", f"{relations[1]} {limit.value + room:.4g}")
                found[name] = (limit.value, limit.value + room, words)
        return found

    def _words(self, tolerance: Tolerance, usual: float, *, is_bound: bool) -> str:
        relation = "≤" if (self._sign > 0) == is_bound else "≥"
        if math.isnan(usual):
            return "what is tolerated" if is_bound else "what is unacceptable"
        at = usual + self._sign * (tolerance.relative.value * abs(usual) + tolerance.absolute.value)
        return f"{relation} {wording.text(at, wording.unit_of_bounds(self._start.metric))}"

    def _track(self, name: str, bound: Tolerance | float, beyond: Tolerance | float, words: Words) -> Track:
        ticks = len(self._edges) - 1
        harm = np.array([self._log(name, bound, beyond, tick, 1.0) for tick in range(ticks + 1)])
        excess, information, variance = self._excess(name, bound, ticks, anew=False)
        missing, known, _ = self._excess(f"{name}.beyond", beyond, ticks, anew=True)
        users = float(self._moments(ticks, anew=True)[0][2])
        each = information / users if users > 0 else 0.0
        return Track(
            name=name,
            words=words,
            harm=harm[1:],
            before=float(harm[0]),
            good=self._log(f"{name}.beyond", beyond, bound, ticks, -1.0),
            is_kept=information > 0 and excess <= 0,
            joint=False,
            harm_drift=_drift(excess, information, variance) * each,
            good_drift=_drift(-missing, known, variance) * each,
        )

    def _log(self, name: str, bound: Tolerance | float, other: Tolerance | float, ticks: int, sign: float) -> float:
        excess, information, variance = self._excess(name, bound, ticks, anew=sign < 0)
        users = [float(row[2]) for row in self._moments(ticks, anew=False)]
        if min(users) < FEWEST_USERS or variance <= 0 or information <= 0:
            return 0.0
        scale = abs(self._distance(other) - self._distance(bound)) or SMALLEST_EFFECT * abs(self._usual())
        if scale <= 0:
            return 0.0
        return float(log_wealth(np.array(sign * excess / variance), np.array(information / variance), scale))

    def _usual(self) -> float:
        """Stable's mean over the whole rollout so far; the candidate's where there is no stable."""
        return _mean(self._moments(len(self._edges) - 1, anew=False)[-1])

    def _distance(self, bound: Tolerance | float) -> float:
        if isinstance(bound, Tolerance):
            return bound.relative.value * abs(self._usual()) + bound.absolute.value
        return bound

    def _excess(self, name: str, bound: Tolerance | float, ticks: int, *, anew: bool) -> tuple[float, float, float]:
        """Σh·excess and Σh of all ticks so far (with `anew`, of the step), and the variance of a user's value."""
        kept = self._start.ledger.get(f"{name}.excess")
        begun = [at for at in self._begins if at <= ticks] if anew else []
        known = np.zeros(2) if begun or kept is None or kept.size != 2 else kept
        first = begun[-1] if begun else 0
        weight, excess = self._in_ticks(name, bound, first, ticks)
        total = known + np.array([(weight * excess).sum(), weight.sum()])
        return float(total[0]), float(total[1]), self._variance(ticks)

    def _in_ticks(self, name: str, bound: Tolerance | float, first: int, end: int) -> tuple[Floats, Floats]:
        mine = self._sides[0]
        own, users = mine.sums[first:end], mine.users[first:end]
        mean = np.divide(own, users, out=np.zeros_like(own), where=users > 0)
        if not isinstance(bound, Tolerance):
            direction = 1.0 if name.startswith("max") else -1.0
            return users, np.where(users > 0, direction * (mean - bound), 0.0)
        theirs = self._sides[1]
        others = theirs.users[first:end]
        usual = np.divide(theirs.sums[first:end], others, out=np.zeros_like(others), where=others > 0)
        both = users + others
        weight = np.divide(users * others, both, out=np.zeros_like(both), where=both > 0)
        allowed = bound.relative.value * np.abs(usual) + bound.absolute.value
        return weight, np.where(weight > 0, self._sign * (mean - usual) - allowed, 0.0)

    def _moments(self, ticks: int, *, anew: bool) -> list[Floats]:
        """Sums, sums of squares and users of each arm."""
        kept = self._start.ledger.get("step" if anew else "whole")
        begun = [at for at in self._begins if at <= ticks] if anew else []
        size = 3 * len(self._sides)
        known = np.zeros(size) if begun or kept is None or kept.size < size else kept[:size]
        first = begun[-1] if begun else 0
        rows = [side.rows()[:, first:ticks].sum(axis=1) for side in self._sides]
        return [known[3 * place : 3 * place + 3] + row for place, row in enumerate(rows)]

    def _variance(self, ticks: int) -> float:
        """The variance of a user's value, pooled over both arms."""
        rows = self._moments(ticks, anew=False)
        users = sum(float(row[2]) for row in rows)
        spread = sum(max(float(row[1]) - float(row[0]) ** 2 / float(row[2]), 0.0) for row in rows if row[2] > 0)
        return spread / (users - len(rows)) if users > len(rows) else 0.0

    def _seconds(self, ticks: int) -> float:
        begun = [at for at in self._begins if at <= ticks]
        kept = self._start.ledger.get("seconds")
        known = 0.0 if begun or kept is None or kept.size != 1 else float(kept[0])
        return known + float(self._edges[ticks] - self._edges[begun[-1] if begun else 0])

    def _interval(self, unit: wording.Unit) -> str | None:
        metric, ticks = self._start.metric, len(self._edges) - 1
        if metric.tolerance is None:
            return None
        excess, information, variance = self._excess("tolerance", metric.tolerance, ticks, anew=False)
        scale = SMALLEST_EFFECT * abs(self._usual())
        if information <= 0 or variance <= 0 or scale <= 0:
            return None
        return wording.beyond(excess / information, half_width(information, variance, scale, INTERVAL_ALPHA), unit)

    def _keep(self, ticks: int) -> Ledger:
        kept: dict[str, Floats] = {
            "step": self._kept_moments(ticks, anew=True),
            "whole": self._kept_moments(ticks, anew=False),
            "seconds": np.array([self._seconds(ticks)]),
            **self._start.goal_mark,
        }
        for name, (bound, beyond, _) in self._bounds(is_compared=len(self._sides) == 2).items():
            kept[f"{name}.excess"] = np.array(self._excess(name, bound, ticks, anew=False)[:2])
            kept[f"{name}.beyond.excess"] = np.array(self._excess(f"{name}.beyond", beyond, ticks, anew=True)[:2])
        return {**carry_over(self._start.ledger, self._begins, ticks), **kept}

    def _kept_moments(self, ticks: int, *, anew: bool) -> Floats:
        """The moments of both arms; stable keeps its old ones while it cannot be seen."""
        own = np.concatenate(self._moments(ticks, anew=anew))
        kept = self._start.ledger.get("step" if anew else "whole")
        if kept is None or (anew and any(at <= ticks for at in self._begins)):
            return own
        return np.concatenate((own, kept[own.size :]))


def _to_rule_out(metric: Metric, goal: Goal | None) -> Tolerance:
    """The loss that must be ruled out; NOTHING where the candidate has to be better."""
    if goal is None:
        return excluded(metric)
    return goal.margin if goal.margin is not None else NOTHING


def _drift(excess: float, information: float, variance: float) -> float:
    """The expected growth of ln E with each further piece of information."""
    if information <= 0 or variance <= 0:
        return 0.0
    return max(excess / information, 0.0) ** 2 / (2 * variance)


def _mean(row: Floats) -> float:
    return float(row[0] / row[2]) if row[2] > 0 else math.nan


def _parts(metric: Metric) -> list[Part]:
    mean = metric.mean
    if mean is None:
        return []
    return [
        Part(SUM, mean.sum, "mean.sum"),
        Part(SQUARES, mean.squares, "mean.squares"),
        Part(TOTAL, mean.count, "mean.count"),
    ]


def _over_time(metric: Metric, parts: SeriesOfArm, edges: Floats, window: SampleWindow) -> list[float]:
    return quotients(parts.get(SUM, ()), parts.get(TOTAL, ()), edges, window)


KIND = MetricKind(
    form=Form.COUNTERS, parts=_parts, evidence=mean_evidence, over_time=_over_time, unit=wording.unit_of_bounds
)
