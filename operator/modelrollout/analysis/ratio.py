"""Ratios of two counters: what share of requests went wrong (or right) in each arm, against every bound. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from modelrollout.analysis import significance, wording
from modelrollout.analysis.counts import Growth, Span, clean, first_scrapes, growth, same_scrapes, shared, span
from modelrollout.analysis.evidence import Bound, Evidence, Missing, Parts
from modelrollout.analysis.queries import BAD, GOOD, TOTAL
from modelrollout.analysis.significance import Count
from modelrollout.api.spec import Metric, Tolerance
from modelrollout.api.status import Verdict

ROUNDING = 1e-12  # two equal shares may differ in their last digit


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's counters, and the time over which they were seen."""

    part: str
    events: tuple[Growth, ...]
    total: tuple[Growth, ...]
    span: Span
    is_counted: bool  # whether any series counts the events

    def count(self, start: float = -math.inf, end: float = math.inf) -> Count | Missing:
        """Events and total of the increments that ended in (start, end]."""
        events = math.fsum(one.between(start, end) for one in self.events)
        total = math.fsum(one.between(start, end) for one in self.total)
        if events <= total + ROUNDING:
            return Count(min(events, total), total)
        why = f"{self.part} grew by {wording.number(events)} and total by {wording.number(total)} only; "
        return Missing(Verdict.NO_DATA, f"{why}{self.part} has to be a part of total", mistake=True)


def ratio_evidence(metric: Metric, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a ratio. Stable None: it is not compared; Missing: it should be, and cannot."""
    part = BAD if BAD in candidate else GOOD
    arm = _arm(part, candidate, "the candidate")
    if isinstance(arm, Missing):
        return arm
    alone = arm.count()
    if isinstance(alone, Missing):
        return alone
    other = stable if stable is None or isinstance(stable, Missing) else _arm(part, stable, "stable")
    pair = _together(arm, other) if isinstance(other, Arm) else other
    limits = _limits(metric, alone)
    if pair is None or isinstance(pair, Missing) or metric.tolerance is None:
        gap = pair if isinstance(pair, Missing) else None
        return Evidence("requests", "", _share(alone), None, alone.total, None, limits, _uncounted(arm, None), gap=gap)
    mine, theirs = pair
    return Evidence(
        unit="requests",
        what="",
        candidate=_share(mine),
        stable=_share(theirs),
        samples=mine.total,
        stable_samples=theirs.total,
        bounds=(_tolerated(metric.tolerance, part, mine, theirs), *limits),
        notes=_uncounted(arm, other if isinstance(other, Arm) else None),
    )


def _arm(part: str, parts: Parts, who: str) -> Arm | Missing:
    events, total = same_scrapes(clean(parts[part]), clean(parts[TOTAL]))
    if (reach := span(total)) is None:
        but = f", though {part} has some" if events else ""
        return Missing(Verdict.NO_DATA, f"total has no samples of {who}{but}")
    if not events and part == GOOD:
        # A wrong selector looks just like this, and would read as "everything went wrong".
        return Missing(Verdict.NO_DATA, f"good has no samples of {who}, though total has some")
    first = first_scrapes(events, total)
    return Arm(
        part=part,
        events=tuple(growth(one, first) for one in events),
        total=tuple(growth(one, first) for one in total),
        span=reach,
        is_counted=bool(events),
    )


def _together(candidate: Arm, stable: Arm) -> tuple[Count, Count] | Missing:
    """Both arms over the time in which both were seen."""
    start, end = shared(candidate.span, stable.span)
    mine, theirs = candidate.count(start, end), stable.count(start, end)
    if isinstance(mine, Missing):
        return mine
    return theirs if isinstance(theirs, Missing) else (mine, theirs)


def _tolerated(tolerance: Tolerance, part: str, candidate: Count, stable: Count) -> Bound:
    """Candidate against stable. A share of what is good is tested as the share of what is not."""
    relative, absolute = tolerance.relative.value, tolerance.absolute.value
    if part == BAD:
        bad, bad_stable, factor, margin = candidate, stable, 1 + relative, absolute
        limit = f"≤ {wording.share(factor * stable.share + margin)}"
    else:
        relative = min(relative, 1.0)
        bad, bad_stable, factor, margin = _rest(candidate), _rest(stable), 1 - relative, relative + absolute
        limit = f"≥ {wording.share(1 - factor * bad_stable.share - margin)}"
    is_kept = bad.share <= factor * bad_stable.share + margin + ROUNDING

    def p_value(growing: float) -> float:
        if is_kept:
            return 1.0
        return significance.beyond(bad.times(growing), bad_stable.times(growing), factor, margin)

    return Bound(limit, is_kept and candidate.total > 0 and stable.total > 0, p_value)


def _uncounted(candidate: Arm, stable: Arm | None) -> tuple[str, ...]:
    """What a counter that nobody shows was taken for: right until the first event, or a selector that is wrong."""
    arms = {"the candidate": candidate, "stable": stable}
    silent = [who for who, arm in arms.items() if arm is not None and not arm.is_counted]
    return (f"no series counts {candidate.part} of {' or '.join(silent)}, taken as 0",) if silent else ()


def _rest(count: Count) -> Count:
    return Count(count.total - count.events, count.total)


def _limits(metric: Metric, seen: Count) -> tuple[Bound, ...]:
    bounds = []
    if metric.max is not None:
        is_kept = seen.total > 0 and seen.share <= metric.max.value + ROUNDING
        bounds.append(Bound(f"≤ {metric.max}", is_kept, partial(_too_high, seen, metric.max.value)))
    if metric.min is not None:
        is_kept = seen.total > 0 and seen.share >= metric.min.value - ROUNDING
        bounds.append(Bound(f"≥ {metric.min}", is_kept, partial(_too_low, seen, metric.min.value)))
    return tuple(bounds)


def _too_high(seen: Count, limit: float, growing: float) -> float:
    return significance.at_least(seen.times(growing), limit) if seen.share > limit else 1.0


def _too_low(seen: Count, limit: float, growing: float) -> float:
    return significance.at_most(seen.times(growing), limit) if seen.total > 0 and seen.share < limit else 1.0


def _share(count: Count) -> str:
    return wording.share(count.share) if count.total > 0 else "nothing"
