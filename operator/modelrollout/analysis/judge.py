"""From answers to verdicts, one for each metric in the order of the spec, and a checkpoint of the tests. Pure.

One error rate covers all metrics, bounds, steps and looks. Every bound has an even share of it. Exact tests condition
on the same past, so they are merged: the mean of their wealths is a wealth, too, and a rollback follows once it reaches
1/α. Three kinds of tests are not merged and use their own share: those that rest on a limit theorem, those that see
less than the others, and those with a calibrated threshold (Vovk & Wang, 1912.06116; Choe & Ramdas, 2402.09698).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelrollout.analysis.conclusions import Demand, conclude, report_missing
from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.error_budget import share_of_bound
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import Evidence, Goal, Intended, LookStart, Missing, Prior
from modelrollout.analysis.evidence.ticks import LONGEST_DELAY, LONGEST_REREAD, Course
from modelrollout.analysis.evidence.tracks import Track, merge_harm, without_step
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.parts import CANDIDATE, STABLE, VALUE
from modelrollout.analysis.samples.counted_series import Counted, counted
from modelrollout.analysis.traffic_share import TrafficShare, traffic_share
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.status import MetricEvidence, MetricVerdict, Verdict
from modelrollout.promql.query import Answer, Query, Series, Unanswered

DEFECTS = (ArithmeticError, LookupError, TypeError, ValueError)
"""Exceptions that a bug of ours, or an edited state, may raise while one metric is judged."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a look starts from except the answers.

    By metric: `basis`, a digest of the fields it is judged by; `kept`, its checkpoint; `thresholds`, ln, calibrated.
    """

    analysis: Analysis
    course: Course
    usual: Mapping[str, Prior]
    kept: Mapping[str, MetricEvidence]
    basis: Mapping[str, str]
    end: float  # of the look, unix seconds
    look_back: float
    thresholds: Mapping[str, float]
    seed: str
    goal: Goal | None = None
    intended: Intended | None = None  # None: the gateway is to split no requests at present

    def before(self, metric: Metric) -> LookStart:
        first, known = self._known(metric)
        return LookStart(
            metric=metric,
            course=self.course,
            prior=self.usual.get(metric.name, Prior()),
            first=first,
            ledger=known,
            end=self.end,
            look_back=self.look_back,
            warm_up=self.analysis.warm_up.timedelta.total_seconds(),
            threshold=self.thresholds.get(metric.name),
            seed=f"{self.seed}/{metric.name}",
            intended=self.intended,
            goal=self.goal if self.goal is not None and self.goal.metric == metric.name else None,
        )

    def _known(self, metric: Metric) -> tuple[int, Ledger]:
        """The tick from which samples are read, and the state of the tests before it.

        After a long outage, and for a new metric, only the last part of the time is read. The tests keep their state,
        except the parts that belong to a step that is over.
        """
        oldest = self.course.ticks(self.end - max(LONGEST_REREAD.total_seconds(), self.look_back))
        kept = self.kept.get(metric.name)
        known = ledger.read(kept.state) if kept is not None and kept.basis == self.basis.get(metric.name, "") else {}
        if kept is None or not known:
            return oldest, {}
        if kept.ticks >= oldest:
            return kept.ticks, known
        left, reached = self.course.time(kept.ticks), self.course.time(oldest)
        is_another_step = any(left < step <= reached for step in self.course.steps)
        return oldest, without_step(known) if is_another_step else known


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict for each metric, in the order of the spec, and the checkpoint of its tests.

    `traffic`: whether requests reach the candidate as intended; None while that is not known.
    """

    verdicts: tuple[MetricVerdict, ...]
    checkpoint: tuple[MetricEvidence, ...]
    traffic: TrafficShare | None = None


def judge(case: Case, asked: Sequence[Query], answers: Mapping[Query, Answer]) -> Judgement:
    """The verdicts at this look. `asked`: the queries that `queries` returned for it; others are ignored."""
    alpha, beta = case.analysis.false_rollback_rate.value, case.analysis.false_promotion_rate.value
    starts = [case.before(metric) for metric in case.analysis.metrics]
    found = [_evidence_on(start, asked, answers) for start in starts]
    pairs = [(b, e) for b, e in zip(starts, found, strict=True) if isinstance(e, Evidence)]
    failed = _broken_bounds(pairs, case.analysis)
    verdicts = []
    for start, evidence in zip(starts, found, strict=True):
        name = start.metric.name
        text = " / ".join(q.promql for q in asked if q.metric == name and q.arm == CANDIDATE) or None
        if isinstance(evidence, Missing):
            verdicts.append(report_missing(start, evidence, text))
            continue
        harm = {track.name: _needed_alone(start, track, case.analysis) for track in evidence.tracks}
        demand = Demand(alpha, beta, harm)
        try:
            verdicts.append(conclude(start, evidence, demand, failed.get(name), text))
        except DEFECTS as defect:
            verdicts.append(report_missing(start, _our_defect(defect), text))
    late = case.course.ticks(case.end - LONGEST_DELAY.total_seconds())
    checkpoint = (_checkpoint(case, start, one, late) for start, one in zip(starts, found, strict=True))
    traffic = traffic_share([(start.metric.name, one.arrivals) for start, one in zip(starts, found, strict=True)])
    return Judgement(tuple(verdicts), tuple(one for one in checkpoint if one is not None), traffic)


def _share_of_track(start: LookStart, track: Track, analysis: Analysis) -> float:
    """The share of the error rate that a track may use."""
    return share_of_bound(start.metric, track.name, analysis) * track.share


def _needed_alone(start: LookStart, track: Track, analysis: Analysis) -> float:
    """ln of the wealth at which a track fails alone."""
    if track.threshold is not None:
        return track.threshold
    return -math.log(analysis.false_rollback_rate.value * _share_of_track(start, track, analysis))


def _broken_bounds(found: Sequence[tuple[LookStart, Evidence]], analysis: Analysis) -> dict[str, Track]:
    """The metrics that broke a bound, each with the track that shows it."""
    tracks = [(start, track) for start, evidence in found for track in evidence.tracks]
    failed: dict[str, Track] = {}
    for start, track in sorted(
        tracks, key=lambda one: one[1].highest
    ):  # the last one, and so the clearest, of each metric stays
        if track.highest >= _needed_alone(start, track, analysis):
            failed[start.metric.name] = track
    joint = [(start, track) for start, track in tracks if track.joint and track.threshold is None]
    if failed or not joint:
        return failed
    logs = [math.log(_share_of_track(start, track, analysis)) for start, track in joint]
    together = merge_harm([(start.first, track) for start, track in joint], logs)
    if together.max() < -math.log(analysis.false_rollback_rate.value):
        return {}
    largest = max(range(len(joint)), key=lambda at: joint[at][1].highest + logs[at])
    start, track = joint[largest]
    return {start.metric.name: track}


def _evidence_on(start: LookStart, asked: Sequence[Query], answers: Mapping[Query, Answer]) -> Evidence | Missing:
    own = [query for query in asked if query.metric == start.metric.name]
    try:
        candidate = _read_arm([query for query in own if query.arm == CANDIDATE], answers, "the candidate")
        stable = _read_arm([query for query in own if query.arm == STABLE], answers, "stable")
        if candidate is None:
            return Missing(Verdict.UNAVAILABLE, "it was not asked for")
        if isinstance(candidate, Missing):
            return candidate
        other = stable.parts if isinstance(stable, Counted) else stable
        found = kind_of(start.metric).evidence(start, candidate.parts, other)
    except DEFECTS as defect:
        return _our_defect(defect)
    return _with_notes(found, [arm for arm in (candidate, stable) if isinstance(arm, Counted)])


def _with_notes(found: Evidence | Missing, arms: Sequence[Counted]) -> Evidence | Missing:
    """The same, with what has to be known of series that were left out, or that are not there at all."""
    notes = tuple(note for arm in arms for note in arm.notes)
    if isinstance(found, Evidence):
        return replace(found, notes=(*found.notes, *notes))
    is_nothing_there = not any(series for arm in arms for series in arm.parts.values())
    hints = {arm.hint for arm in arms if arm.hint is not None} if is_nothing_there else set()
    return replace(found, why="; ".join((found.why, *notes, *sorted(hints))))


def _our_defect(defect: Exception) -> Missing:
    """A bug of ours in one metric must not stop the other metrics from rolling back."""
    why = f"it could not be judged, which is a defect of ModelRollout ({type(defect).__name__}: {defect})"
    return Missing(Verdict.UNAVAILABLE, why)


def _read_arm(asked: Sequence[Query], answers: Mapping[Query, Answer], who: str) -> Counted | Missing | None:
    """The series of one arm, or why some of them are missing; None when this arm was not asked for."""
    parts: dict[str, tuple[Series, ...]] = {}
    notes: list[str] = []
    hint = None
    for query in asked:
        answer = answers.get(query)
        if answer is None:
            return Missing(Verdict.UNAVAILABLE, f"{query.part} was not answered")
        if isinstance(answer, Unanswered):
            return Missing(Verdict.UNAVAILABLE, _refusal(query, answer), mistake=answer.rejected)
        found = counted(query, answer.series, who)
        if found.conflict is not None:
            return Missing(Verdict.NO_DATA, found.conflict)
        parts, notes, hint = {**parts, **found.parts}, [*notes, *found.notes], found.hint or hint
    return Counted(parts, tuple(dict.fromkeys(notes)), hint=hint) if parts else None


def _refusal(query: Query, answer: Unanswered) -> str:
    why = answer.why.rstrip(". \n")
    if "parse error" in why and query.part != VALUE:
        what = " and ".join(part for part, _ in query.parts) or query.part
        return f"{why} (as {what} only series selectors can stand, without rate() or sum())"
    return why


def _checkpoint(case: Case, start: LookStart, evidence: Evidence | Missing, late: int) -> MetricEvidence | None:
    """The checkpoint of a metric, up to the last tick for which no sample can still arrive.

    It stays where it is while an arm cannot be asked: the samples are read later. Samples that arrive too late are
    lost.
    """
    name = start.metric.name
    kept = case.kept.get(name)
    if isinstance(evidence, Missing) or (evidence.gap is not None and evidence.gap.verdict is Verdict.UNAVAILABLE):
        return kept
    ticks = min(late - start.first, evidence.ticks)
    if ticks <= 0:
        return kept
    try:
        state = ledger.write(evidence.keep(ticks))
    except DEFECTS:  # the verdict says so, now or at the next look
        return kept
    return MetricEvidence(metric=name, basis=case.basis.get(name, ""), ticks=start.first + ticks, state=state)
