"""Metrics that are any expression: readings of both arms at the same moments, held against every bound. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing, Parts
from modelrollout.analysis.evidence.tracks import Track, Words, carry_over
from modelrollout.analysis.kinds.request_shares import INTERVAL_ALPHA
from modelrollout.analysis.queries import VALUE
from modelrollout.analysis.samples import silent_arms
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.gauges import WARM_UP, Moments, half_width, log_wealth
from modelrollout.sequential.wealth import AT_STEPS

Floats = npt.NDArray[np.float64]
Readings = dict[float, float]

ROUNDING = 1e-9  # 0.3 is not beyond 0.1 + 0.2; without any spread even that would count
SMALLEST_EFFECT = 0.05
"""Of the mean: how much is worth seeing where tolerance and exclude do not say (τ; statistics: 2.4)."""
NO_SPREAD = 1e-12
UNKNOWN_SPREAD = 2.0
"""Without a history readings are taken to vary by this many times what is worth seeing at least. A gauge that is
refreshed every few minutes stands still in between: its readings say no more than one, and their spread is 0."""
LARGEST_READING = 1e120  # its square is still a number


def value_evidence(start: LookStart, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a value. Stable None: it is not compared; Missing: it should be, and cannot."""
    metric = start.metric
    mine = _readings(candidate[VALUE], "the candidate")
    if isinstance(mine, Missing) and not start.ledger:
        return mine
    mine = {} if isinstance(mine, Missing) else mine
    theirs = stable if stable is None or isinstance(stable, Missing) else _readings(stable[VALUE], "stable")
    gap = theirs if isinstance(theirs, Missing) and metric.tolerance is not None else None
    course = start.course
    ends = course.edges(start.first, start.end)[1:]
    ends = ends[: course.ticks(start.end) - start.first]  # a reading belongs to the whole tick that it ends
    own = _at_ends(ends, mine)
    other = _at_ends(ends, theirs) if isinstance(theirs, dict) else np.full(len(ends), math.nan)
    known = start.ledger.get("heard")
    known = np.full(2, course.start) if known is None or known.size != 2 else known
    is_compared = isinstance(theirs, dict) and metric.tolerance is not None
    heard = dict(zip(("the candidate", "stable"), _last_read(known, ends, own, other), strict=True))
    arms = ("the candidate", "stable") if is_compared else ("the candidate",)
    gap = gap or silent_arms.silent_since({who: (heard[who], course.tick) for who in arms}, start.end)
    begins = course.beginnings(np.append(course.time(start.first), ends))
    tests = [_Test(start, name, excess, scale, words, begins) for name, excess, scale, words in
             _excesses(metric, own, other, is_compared=isinstance(theirs, dict), ledger=start.ledger)]  # fmt: skip
    unit = wording.unit_of(metric)
    shown = _means_shown(start, begins, own, other)
    count, mean, usual = shown(len(ends))

    def keep(ticks: int) -> Ledger:
        last = _last_read(known, ends[:ticks], own[:ticks], other[:ticks])
        kept: dict[str, Floats] = dict(carry_over(start.ledger, begins, ticks))
        kept |= {"shown": np.array(shown(ticks)), "heard": np.array(last)}
        for test in tests:
            kept |= test.ledger(ticks)
        return kept

    return Evidence(
        unit="readings",
        what="",
        candidate=wording.text(mean, unit) if count else "nothing",
        stable=(wording.text(usual, unit) if count else "nothing") if is_compared else None,
        samples=count,
        stable_samples=count if is_compared else None,
        tracks=tuple(test.track(metric) for test in tests),
        ticks=len(ends),
        keep=keep,
        seconds=count * course.tick,
        interval=_interval(tests, unit) if is_compared else None,
        gap=gap,
    )


def _readings(series: Sequence[Series], who: str) -> Readings | Missing:
    """The readings that are numbers, by time."""
    if len(series) > 1:
        why = f"the query yields {len(series)} series for {who}; aggregate it to one, for example with avg(…)"
        return Missing(Verdict.UNAVAILABLE, why, mistake=True)
    # Of two values for one moment the larger, so that the order of samples decides nothing.
    readings = {
        at: min(max(value, -LARGEST_READING), LARGEST_READING)
        for one in series
        for at, value in sorted(one.samples)
        if math.isfinite(value)
    }
    return readings or Missing(Verdict.NO_DATA, f"the query yields no number for {who}")


def _at_ends(ends: Floats, readings: Readings) -> Floats:
    """The reading at each tick's end, to the millisecond; NaN where there is none."""
    by_millisecond = {round(at * 1000): value for at, value in readings.items()}
    return np.array([by_millisecond.get(round(end * 1000), math.nan) for end in ends.tolist()])


def _last_read(known: Floats, ends: Floats, *arms: Floats) -> list[float]:
    """When each arm was last read, with when that was before these ticks."""
    return [
        float(max(so_far, ends[~np.isnan(read)].max(initial=-math.inf)))
        for so_far, read in zip(known.tolist(), arms, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Excess:
    """By how much each reading is beyond a bound, and beyond what is unacceptable, up is worse; NaN: no reading."""

    tolerated: Floats
    unacceptable: Floats


def _excesses(
    metric: Metric, own: Floats, other: Floats, *, is_compared: bool, ledger: Ledger
) -> list[tuple[str, _Excess, float, Words]]:
    found = []
    sign = 1.0 if metric.better_when == "lower" else -1.0
    if metric.tolerance is not None and is_compared:
        worse = sign * (own - other)
        allowed = _allowed(metric.tolerance, other)
        beyond = _allowed(excluded(metric), other)
        scale = _scale(ledger, "tolerance", beyond - allowed, other)
        at = other[~np.isnan(own - other)]
        usual = float(at.mean()) if at.size else math.nan
        unit = wording.unit_of(metric)
        limits = [wording.text(usual + sign * float(_allowed(one, np.array([usual]))[0]), unit) if at.size else "stable"
                  for one in (metric.tolerance, excluded(metric))]  # fmt: skip
        words = Words(*(f"{relation} {limit}" for relation, limit in zip(_relations(sign), limits, strict=True)))
        found.append(("tolerance", _Excess(worse - allowed, worse - beyond), scale, words))
    for name, limit, direction in (("max", metric.max, 1.0), ("min", metric.min, -1.0)):
        if limit is None:
            continue
        room = max(abs(limit.value) * SMALLEST_EFFECT, 1e-9)
        excess = direction * (own - limit.value)
        relations = _relations(direction)
        words = Words(f"{relations[0]} {limit}", f"{relations[1]} {limit.value + direction * room:.4g}")
        found.append((name, _Excess(excess, excess - room), room, words))
    return found


def _relations(sign: float) -> tuple[str, str]:
    return ("≤", "≥") if sign > 0 else ("≥", "≤")


def _allowed(tolerance: Tolerance, stable: Floats) -> Floats:
    return np.asarray(tolerance.relative.value * np.abs(stable) + tolerance.absolute.value, dtype=np.float64)


def excluded(metric: Metric) -> Tolerance:
    """What has to be ruled out before a step ends: as the user says, else twice what is tolerated."""
    if metric.exclude is not None:
        return metric.exclude
    tolerance = metric.tolerance or Tolerance()
    relative, absolute = 2 * tolerance.relative.value, 2 * tolerance.absolute.value
    if relative == 0 and absolute == 0:
        relative = 2 * SMALLEST_EFFECT
    return Tolerance.model_validate({"relative": f"{relative:.9f}", "absolute": f"{absolute:.12f}"})


def _scale(ledger: Ledger, name: str, room: Floats, other: Floats) -> float:
    """τ, fixed with the first readings: what lies between the tolerated and the unacceptable."""
    kept = ledger.get(f"{name}.scale")
    if kept is not None and kept.size == 1:
        return float(kept[0])
    there = room[~np.isnan(room)]
    return max(float(there[0]), 1e-12) if there.size else math.nan


class _Test:
    """One bound's two normal mixtures: of the excess over what is tolerated, and of what is missing to the
    unacceptable.

    The second begins anew with every step. The first is a mean of one over the whole rollout and of one over each later
    step, which find what only breaks under load: a part is kept for them, in even shares, or each would be a chance of
    its own to be wrong.
    """

    def __init__(
        self, start: LookStart, name: str, excess: _Excess, scale: float, words: Words, begins: Sequence[int]
    ) -> None:
        self.name, self.words, self.scale, self._begins = name, words, scale, begins
        self._excess, self._variance = excess, start.prior.variance
        self._course, self._first = start.course, start.first
        self._whole = _kept(start.ledger, f"{name}.whole")
        self._step = _kept(start.ledger, f"{name}.step")
        self._other = _kept(start.ledger, f"{name}.good")
        self._harm_before = self._harm(0)

    def _moments(self, kept: Moments, values: Floats, ticks: int, *, anew: bool) -> Moments:
        begun = [at for at in self._begins if at <= ticks] if anew else []
        first = begun[-1] if begun else 0
        some = values[first:ticks]
        return (Moments() if begun else kept).after(some[~np.isnan(some)])

    @property
    def everything(self) -> Moments:
        return self.whole(self._excess.tolerated.size)

    def whole(self, ticks: int) -> Moments:
        return self._moments(self._whole, self._excess.tolerated, ticks, anew=False)

    def _harm(self, ticks: int) -> float:
        whole = self._log(self.whole(ticks), 1.0)
        planned = self._course.later_steps
        if not planned:
            return whole
        begun = bisect_right(sorted(self._course.steps), self._course.time(self._first + ticks) + 1e-9)
        to_come = max(planned - begun, 0) / planned
        later = math.log(to_come) if to_come else -math.inf
        if 0 < begun <= planned:  # what the steps before had is given up: less is always allowed
            step = self._moments(self._step, self._excess.tolerated, ticks, anew=True)
            later = float(np.logaddexp(later, self._log(step, 1.0) - math.log(planned)))
        return float(np.logaddexp(math.log(1 - AT_STEPS) + whole, math.log(AT_STEPS) + later))

    def _good(self, ticks: int) -> float:
        missing = self._moments(self._other, self._excess.unacceptable, ticks, anew=True)
        if missing.count >= WARM_UP and missing.squares == 0 == self.whole(ticks).squares:
            return missing.count  # 0 in both arms, with a relative tolerance: there is nothing that could be worse
        return self._log(missing, -1.0)

    def _log(self, moments: Moments, sign: float) -> float:
        variance = self.variance(moments)
        if variance is None or moments.count < WARM_UP or math.isnan(self.scale):
            return 0.0
        return float(
            log_wealth(np.array(sign * moments.total / variance), np.array(moments.count / variance), self.scale)
        )

    def variance(self, moments: Moments) -> float | None:
        """Of one reading, long-run: as stable's history says, else as they vary themselves; None while nobody knows."""
        own = moments.long_run_variance
        if own is None or math.isnan(self.scale):
            return None
        if self._variance is not None:
            return max(self._variance, NO_SPREAD)
        return max(own, (UNKNOWN_SPREAD * self.scale) ** 2)

    def track(self, metric: Metric) -> Track:
        ticks = self._excess.tolerated.size
        whole = self.everything
        variance = self.variance(whole) or 0.0
        harm = np.array([self._harm(tick) for tick in range(1, ticks + 1)])
        good = self._good(ticks)
        missing = self._moments(self._other, self._excess.unacceptable, ticks, anew=True)
        return Track(
            name=self.name,
            words=self.words,
            harm=harm,
            before=self._harm_before,
            good=good,
            is_kept=whole.count > 0 and whole.mean <= ROUNDING * max(abs(whole.last), 1.0),
            joint=False,
            harm_drift=max(whole.mean, 0.0) ** 2 / (2 * variance) if variance > 0 and whole.count else 0.0,
            good_drift=max(-missing.mean, 0.0) ** 2 / (2 * variance) if variance > 0 and missing.count else 0.0,
        )

    def ledger(self, ticks: int) -> dict[str, Floats]:
        kept = {
            f"{self.name}.whole": _packed(self.whole(ticks)),
            f"{self.name}.step": _packed(self._moments(self._step, self._excess.tolerated, ticks, anew=True)),
            f"{self.name}.good": _packed(self._moments(self._other, self._excess.unacceptable, ticks, anew=True)),
        }
        return kept if math.isnan(self.scale) else {**kept, f"{self.name}.scale": np.array([self.scale])}


def _kept(ledger: Ledger, name: str) -> Moments:
    kept = ledger.get(name)
    return Moments(*kept.tolist()) if kept is not None and kept.size == 6 else Moments()


def _packed(one: Moments) -> Floats:
    return np.array([one.count, one.total, one.squares, one.neighbours, one.first, one.last])


def _means_shown(
    start: LookStart, begins: Sequence[int], own: Floats, other: Floats
) -> Callable[[int], tuple[float, float, float]]:
    """Readings at this step, the candidate's mean and stable's, after so many ticks."""
    kept = start.ledger.get("shown")
    known = kept.tolist() if kept is not None and kept.size == 3 else [0.0, 0.0, 0.0]

    def shown(ticks: int) -> tuple[float, float, float]:
        begun = [at for at in begins if at <= ticks]
        count, mean, usual = (0.0, 0.0, 0.0) if begun else known
        mine, theirs = own[begun[-1] if begun else 0 : ticks], other[begun[-1] if begun else 0 : ticks]
        there = ~np.isnan(mine) if np.isnan(theirs).all() else ~np.isnan(mine - theirs)
        more = float(there.sum())
        if not more:
            return count, mean, usual
        theirs = np.where(np.isnan(theirs), usual, theirs)
        return (
            count + more,
            (count * mean + _sum(mine[there])) / (count + more),
            (count * usual + _sum(theirs[there])) / (count + more),
        )

    return shown


def _sum(values: Floats) -> float:
    return math.fsum(values.tolist())


def _interval(tests: Sequence[_Test], unit: wording.Unit) -> str | None:
    """Candidate minus bound, between what and what: the tolerance's own test tells it."""
    test = next((one for one in tests if one.name == "tolerance"), None)
    if test is None:
        return None
    whole = test.everything
    variance = test.variance(whole)
    if variance is None or variance <= 0 or whole.count < WARM_UP or math.isnan(test.scale):
        return None
    return wording.beyond(whole.mean, half_width(whole.count, variance, test.scale, INTERVAL_ALPHA), unit)
