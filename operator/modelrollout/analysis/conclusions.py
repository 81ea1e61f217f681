"""The verdict on one metric, from its evidence, in a sentence for whoever is woken by it. Pure.

A bound that is broken beyond chance is a Fail, with however few samples: `minSamples` only guards a Pass. A Fail of
`min` or `max` needs no stable. Otherwise an arm that cannot be seen is NoData or Unavailable, whatever the other arm
shows. A candidate passes once everything unacceptable is ruled out, on enough samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing
from modelrollout.analysis.evidence.tracks import Track
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.api.metric import Metric
from modelrollout.api.status import ASKS_WRONGLY, QUERY_REJECTED, MetricVerdict, Verdict
from modelrollout.sequential.noise import Mode

LEAST_SEEN = 0.5  # fewer samples than this are none: increments are split among ticks
INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Demand:
    """The thresholds of evidence, in natural logarithms: `harm` for each track to fail alone, `good` to pass."""

    alpha: float
    beta: float
    harm: dict[str, float]

    @property
    def good(self) -> float:
        return math.log(1 / self.beta)


def report_missing(start: LookStart, missing: Missing, query: str | None) -> MetricVerdict:
    """The verdict when an arm cannot be judged."""
    metric = start.metric
    return MetricVerdict(
        metric=metric.name,
        verdict=missing.verdict,
        reason=QUERY_REJECTED if missing.mistake else None,
        message=_message(metric, missing.why, is_mistake=missing.mistake),
        query=query,
        window_start=_moment(start.course.step_start),
        window_end=_moment(start.end),
    )


def conclude(
    start: LookStart, evidence: Evidence, demand: Demand, failed: Track | None, query: str | None
) -> MetricVerdict:
    """The verdict on the evidence. `failed`: the track that broke its bound, if one did."""
    metric = start.metric
    verdict, track, says = _conclusion(start, evidence, demand, failed)
    track = track or next(iter(evidence.tracks), None)
    gap = evidence.gap if verdict is not Verdict.FAIL else None
    unseen = evidence.unseen if verdict is not Verdict.FAIL else ()
    compared = (evidence.interval,) if evidence.interval and verdict in (Verdict.FAIL, Verdict.PASS) else ()
    is_mistake = gap is not None and gap.mistake
    goal = (f"shown, {start.goal}",) if start.goal is not None and verdict is Verdict.PASS else ()
    notes = "".join(f"; {note}" for note in (*goal, *compared, *evidence.notes, *unseen, *_noise(start)))
    return MetricVerdict(
        metric=metric.name,
        verdict=verdict,
        reason=QUERY_REJECTED if is_mistake else None,
        candidate=evidence.candidate,
        stable=evidence.stable,
        bound=track.words.bound if track else None,
        difference=evidence.interval,
        evidence=_percent_reached(max((t.highest / demand.harm[t.name] for t in evidence.tracks), default=0.0)),
        ruled_out=_percent_reached(evidence.good / demand.good) if evidence.tracks else None,
        samples=_whole(evidence.samples),
        stable_samples=None if evidence.stable_samples is None else _whole(evidence.stable_samples),
        message=_message(metric, f"{says}{notes}", is_mistake=is_mistake),
        query=query,
        window_start=_moment(start.course.step_start),
        window_end=_moment(start.end),
    )


def _message(metric: Metric, says: str, *, is_mistake: bool) -> str:
    return f"{metric.name}{ASKS_WRONGLY if is_mistake else ': '}{says}."


def _conclusion(
    start: LookStart, evidence: Evidence, demand: Demand, failed: Track | None
) -> tuple[Verdict, Track | None, str]:
    """The verdict, the bound that decided it, and the sentence."""
    seen = _shown(evidence)
    if failed is not None:
        seen = seen if evidence.samples >= LEAST_SEEN else "what was seen before this step"
        return Verdict.FAIL, failed, f"{seen}{_failure(failed, demand)}"
    if evidence.gap is not None:
        return evidence.gap.verdict, None, f"{evidence.gap.why}; the candidate shows {seen}"
    if shortage := _shortage(start.metric, evidence):
        return Verdict.INCONCLUSIVE, None, f"{seen}{shortage}"
    open_ = [track for track in evidence.tracks if track.good < demand.good]
    if open_:
        track = min(open_, key=lambda one: one.good)
        return Verdict.INCONCLUSIVE, track, f"{seen}{_doubt(evidence, demand, track)}"
    worse = [track for track in evidence.tracks if not track.is_kept]
    within = " and ".join(track.words.bound for track in evidence.tracks if track.is_kept)
    if (nearest := _soon_told(start, evidence, demand, worse)) is not None:
        return Verdict.INCONCLUSIVE, nearest, f"{seen}{_beyond(evidence, demand, nearest)}"
    if worse:
        words = worse[0].words
        more = f" is beyond {words.bound}, but not by more than chance does, and {words.unacceptable} is ruled out"
        return Verdict.PASS, worse[0], f"{seen}{more}"
    return Verdict.PASS, None, f"{seen} is within {within}" if within else f"{seen}, with nothing to compare it with"


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


def _percent_reached(reached: float) -> str | None:
    """0.342 → 34%; at most 100%."""
    return f"{math.floor(100 * min(max(reached, 0.0), 1.0))}%" if math.isfinite(reached) else None


def _whole(samples: float) -> int:
    return min(round(samples), INT64)


def _shown(evidence: Evidence) -> str:
    if evidence.samples < LEAST_SEEN:
        return f"no {evidence.unit} yet"
    seen = f"{evidence.what}{evidence.candidate} over {wording.number(evidence.samples)} {evidence.unit}"
    if evidence.stable is None or evidence.stable_samples is None:
        return seen
    return f"{seen} (stable {evidence.stable} over {wording.number(evidence.stable_samples)})"


def _failure(track: Track, demand: Demand) -> str:
    by_chance = wording.odds(min(math.exp(-min(track.highest, 700.0)), demand.alpha))
    how = (
        f" breaks the limit {track.words.bound}"
        if not track.is_kept
        else f", and its evidence breaks {track.words.bound}"
    )
    return f"{how}; {by_chance} equal candidates would ever look like this"


def _shortage(metric: Metric, evidence: Evidence) -> str:
    """How many samples are missing before anything may pass; empty when there are enough."""
    stable = math.inf if evidence.stable_samples is None else evidence.stable_samples
    arm, samples = ("stable ", stable) if stable < evidence.samples else ("", evidence.samples)
    more = kind_of(metric).fewest_samples(metric) - samples
    if more <= 0:
        return ""
    return f"; {arm}needs {_more(evidence, more)}{_wait(evidence, more, samples)}"


def _doubt(evidence: Evidence, demand: Demand, track: Track) -> str:
    """The number of samples still needed for a verdict, if both arms go on as they are."""
    passing = _growth(demand.good - track.good, track.good_drift)
    failing = _growth(demand.harm[track.name] - track.highest, track.harm_drift)
    if track.is_kept or passing <= failing:
        how = (
            f" is within {track.words.bound} so far"
            if track.is_kept
            else f" is beyond {track.words.bound}, perhaps by chance"
        )
        if passing < math.inf:
            more = f"{_more(evidence, passing)}{_wait(evidence, passing, evidence.samples)}"
            return f"{how}; needs {more} to rule out {track.words.unacceptable}"
        return f"{how}; too little happens to rule out {track.words.unacceptable}"
    return _beyond(evidence, demand, track)


def _beyond(evidence: Evidence, demand: Demand, track: Track) -> str:
    """That the estimate lies beyond the bound, and how many samples it takes to tell whether by chance."""
    more = _growth(demand.harm[track.name] - track.highest, track.harm_drift)
    needs = f"needs {_more(evidence, more)}{_wait(evidence, more, evidence.samples)} to tell"
    return f" is beyond {track.words.bound}, perhaps by chance; {needs}"


def _soon_told(start: LookStart, evidence: Evidence, demand: Demand, worse: Sequence[Track]) -> Track | None:
    """A bound that the estimate lies beyond, if another hold at most would show whether by chance.

    Everything unacceptable is ruled out by then; but whoever names a tolerance wants no candidate beyond it.
    """
    left = start.course.step_start + 2 * start.course.hold - start.end
    if evidence.samples <= 0 or evidence.seconds <= 0:
        return None
    within_reach = left * evidence.samples / evidence.seconds  # samples

    def missing(track: Track) -> float:
        return _growth(demand.harm[track.name] - track.highest, track.harm_drift)

    nearest = min(worse, key=missing, default=None)
    return nearest if nearest is not None and missing(nearest) <= within_reach else None


def _growth(missing: float, drift: float) -> float:
    """Samples until the missing evidence has grown at this drift per sample."""
    return max(missing, 0.0) / drift if drift > 1e-12 else math.inf


def _more(evidence: Evidence, samples: float) -> str:
    samples = max(math.ceil(samples), 1)
    unit = evidence.unit.removesuffix("s") if samples == 1 else evidence.unit
    return f"about {wording.number(wording.rounded(samples))} more {unit}"


def _wait(evidence: Evidence, more: float, samples: float) -> str:
    """The expected time for so many samples at the rate so far; empty when it is unknown."""
    if samples <= 0 or evidence.seconds <= 0:
        return ""
    seconds = more / samples * evidence.seconds
    return f" (about {wording.duration(timedelta(seconds=seconds))})" if seconds < 30 * 86_400 else ""


def _noise(start: LookStart) -> tuple[str, ...]:
    """A note on noise of single pods, where it changes how events are counted."""
    match start.prior.mode:
        case Mode.DISPERSED:
            by = start.prior.inflation
            return (f"its pods are noisy by themselves, so events count for {by:.1f} times fewer",)
        case Mode.RANKED:
            return ("its pods are noisy by themselves, so their ranks are compared",)
        case Mode.STRICT | Mode.PLAIN | Mode.ASSUMED:
            return ()
