"""Metrics by any PromQL expression: readings of both arms at the same moments, against every bound. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing, Parts, Prior
from modelrollout.analysis.evidence.tracks import Keep, carry_over, keep_all
from modelrollout.analysis.kinds.excess_tests import ExcessTest, excesses, interval
from modelrollout.analysis.kinds.metric_kind import Form, HistoryFinding, MetricKind, Part, StablePast
from modelrollout.analysis.parts import ONE_POD, OTHER_PODS, VALUE
from modelrollout.analysis.samples import silent_arms
from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.analysis.samples.over_time import SeriesOfArm, means
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.gauges import BATCH, long_run_variance

Floats = npt.NDArray[np.float64]
Readings = dict[float, float]

FEWEST_READINGS = 10
LARGEST_READING = 1e120  # its square is still a number


@dataclass(frozen=True, slots=True)
class _Read:
    """Both arms' readings at the ends of the new ticks (NaN: none), and the places at which a later step begins."""

    start: LookStart
    ends: Floats
    own: Floats
    other: Floats
    begins: Sequence[int]


def value_evidence(start: LookStart, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a value. Stable None: it is not compared; Missing: it should be, and cannot."""
    mine = _readings(candidate[VALUE], "the candidate")
    if isinstance(mine, Missing) and not start.ledger:
        return mine
    theirs = stable if stable is None or isinstance(stable, Missing) else _readings(stable[VALUE], "stable")
    is_seen = isinstance(theirs, dict)
    read = _read(start, {} if isinstance(mine, Missing) else mine, theirs if isinstance(theirs, dict) else {})
    has_tolerance = start.metric.tolerance is not None
    gap = theirs if isinstance(theirs, Missing) and has_tolerance else None
    gap = gap or _silence(read, is_compared=is_seen and has_tolerance)
    found = excesses(start.metric, read.own, read.other, start.ledger, is_compared=is_seen)
    tests = [ExcessTest(start, excess, read.begins) for excess in found]
    return _evidence(read, tests, gap, is_compared=is_seen and has_tolerance)


def _read(start: LookStart, mine: Readings, theirs: Readings) -> _Read:
    course = start.course
    ends = course.edges(start.first, start.end)[1:]
    ends = ends[: course.ticks(start.end) - start.first]  # a reading belongs to the whole tick that it ends
    begins = course.beginnings(np.append(course.time(start.first), ends))
    return _Read(start, ends, _at_ends(ends, mine), _at_ends(ends, theirs), begins)


def _evidence(read: _Read, tests: Sequence[ExcessTest], gap: Missing | None, *, is_compared: bool) -> Evidence:
    unit = wording.unit_of_bounds(read.start.metric)
    count, mean, usual = _means(read)(len(read.ends))
    tracks = tuple(test.track() for test in tests)
    is_beyond = count >= FEWEST_READINGS and any(one.name == "tolerance" and not one.is_kept for one in tracks)
    return Evidence(
        unit="readings",
        what="",
        candidate=wording.text(mean, unit) if count else "nothing",
        stable=(wording.text(usual, unit) if count else "nothing") if is_compared else None,
        samples=count,
        stable_samples=count if is_compared else None,
        tracks=tracks,
        ticks=len(read.ends),
        keep=_keeper(read, tests),
        seconds=count * read.start.course.tick,
        interval=interval(tests, unit) if is_compared else None,
        notes=(UNKNOWN_READINGS,) if is_beyond and read.start.prior.variance is None else (),
        gap=gap,
    )


def _keeper(read: _Read, tests: Sequence[ExcessTest]) -> Keep:
    shown, keep_tests = _means(read), keep_all([test.ledger for test in tests])

    def keep(ticks: int) -> Ledger:
        return {
            **carry_over(read.start.ledger, read.begins, ticks),
            "shown": np.array(shown(ticks)),
            "heard": np.array(_last_read(read, ticks)),
            **keep_tests(ticks),
        }

    return keep


def _readings(series: Sequence[Series], who: str) -> Readings | Missing:
    """The finite readings, by time."""
    if len(series) > 1:
        why = f"the query yields {len(series)} series for {who}; aggregate it to one, for example with avg(…)"
        return Missing(Verdict.UNAVAILABLE, why, mistake=True)
    # Of two values for one moment the larger, so that the order of samples does not matter.
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


def _silence(read: _Read, *, is_compared: bool) -> Missing | None:
    """Why an arm cannot be judged now: it fell silent."""
    last = _last_read(read, len(read.ends))
    arms = ("the candidate", "stable") if is_compared else ("the candidate",)
    spacing = read.start.course.tick
    return silent_arms.silent_since({who: (at, spacing) for who, at in zip(arms, last, strict=False)}, read.start.end)


def _last_read(read: _Read, ticks: int) -> list[float]:
    """The time of each arm's last reading, up to so many ticks."""
    kept = read.start.ledger.get("heard")
    known = [read.start.course.start] * 2 if kept is None or kept.size != 2 else kept.tolist()
    ends = read.ends[:ticks]
    return [
        float(max(before, ends[~np.isnan(arm[:ticks])].max(initial=-math.inf)))
        for before, arm in zip(known, (read.own, read.other), strict=True)
    ]


def _means(read: _Read) -> Callable[[int], tuple[float, float, float]]:
    """Number of readings, the candidate's mean and stable's, at the step after so many ticks."""
    kept = read.start.ledger.get("shown")
    known = kept.tolist() if kept is not None and kept.size == 3 else [0.0, 0.0, 0.0]

    def shown(ticks: int) -> tuple[float, float, float]:
        begun = [at for at in read.begins if at <= ticks]
        count, mean, usual = (0.0, 0.0, 0.0) if begun else known
        first = begun[-1] if begun else 0
        mine, theirs = read.own[first:ticks], read.other[first:ticks]
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


UNKNOWN_READINGS = (
    "an hour of history is needed to know how its readings wander by themselves, so its tolerance takes no traffic back"
)
BOTH_WANDER = 4.0
"""The variance of the difference of two pods is at most this many times that of one pod's readings."""


def _variance_of_difference(one: Sequence[Series], others: Sequence[Series], tick: float) -> float | None:
    """The long-run variance of one tick's difference between one pod's reading and the others'.

    Where stable has one pod only, all that moves its readings counts, as if a second pod moved the other way.
    """
    if len(one) != 1 or len(others) > 1:
        return None
    theirs = dict(others[0].samples) if others else dict.fromkeys((at for at, _ in one[0].samples), 0.0)
    mine = dict(one[0].samples)
    times = np.array(sorted(at for at in mine.keys() & theirs.keys() if math.isfinite(mine[at] - theirs[at])))
    if times.size < 2:
        return None
    step = float(np.median(np.diff(times)))
    differences = np.array([mine[at] - theirs[at] for at in times.tolist()])
    found = long_run_variance(differences, max(round(BATCH / step), 1))
    if found is None:
        return None
    # A tick longer than a step of the history averages the noise only if the noise forgets: it may not.
    return found * max(step / tick, 1.0) * (1.0 if others else BOTH_WANDER)


def _prior(metric: Metric, analysis: Analysis, past: StablePast) -> HistoryFinding | None:
    """The variance of the difference between one of stable's pods and the others; a note where it is unknown."""
    one, others = past.series.get((ONE_POD, VALUE), ()), past.series.get((OTHER_PODS, VALUE), ())
    variance = _variance_of_difference(one, others, past.tick)
    if variance is None and metric.tolerance is not None:
        return HistoryFinding(Prior(), UNKNOWN_READINGS, is_blind=True)
    return HistoryFinding(Prior(variance=variance))


def _parts(metric: Metric) -> list[Part]:
    return [Part(VALUE, metric.value, VALUE)] if metric.value is not None else []


def _over_time(metric: Metric, parts: SeriesOfArm, edges: Floats, window: SampleWindow) -> list[float]:
    return means(parts.get(VALUE, ()), edges)


KIND = MetricKind(
    form=Form.EXPRESSION,
    parts=_parts,
    evidence=value_evidence,
    over_time=_over_time,
    unit=wording.unit_of_bounds,
    default_samples=FEWEST_READINGS,
    least_samples=FEWEST_READINGS,
    prior=_prior,
)
