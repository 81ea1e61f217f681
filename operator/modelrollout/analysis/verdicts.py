"""From answers to verdicts: one for each metric, in the order of the spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelrollout.analysis.conclusions import Look, concluded, nothing
from modelrollout.analysis.evidence import Evidence, Missing, Parts
from modelrollout.analysis.latency import histogram_evidence
from modelrollout.analysis.queries import CANDIDATE, STABLE, VALUE, Answer, Query, Unanswered, Window
from modelrollout.analysis.ratio import ratio_evidence
from modelrollout.analysis.spending import level
from modelrollout.analysis.values import value_evidence
from modelrollout.api.spec import Analysis, Metric
from modelrollout.api.status import MetricVerdict, Verdict


def judge(
    analysis: Analysis,
    asked: Sequence[Query],
    answers: Mapping[Query, Answer],
    window: Window,
    *,
    stretches: int,
    earlier: int = 0,
) -> tuple[MetricVerdict, ...]:
    """What each metric says, in the order of the spec. `asked` is what `queries` returned for this window.

    `stretches`: how many windows the whole rollout judges (all steps, and the bake). `earlier`: looks that this very
    step had before its window began anew, as after a loss of readiness; else each beginning spends their share again.
    """
    compared = {query.metric for query in asked if query.arm == STABLE}
    bounds = {metric.name: _count_bounds(metric, metric.name in compared) for metric in analysis.metrics}
    interval = analysis.interval.timedelta

    def share(metric: Metric) -> float:
        return level(
            analysis.false_rollback_rate.value,
            stretches=stretches,
            metrics=sum(count > 0 for count in bounds.values()),
            bounds=bounds[metric.name],
            look=earlier + max(window.look, 1),
        )

    return tuple(
        _judged(
            Look(metric, share(metric), window.recent(interval), interval),
            [query for query in asked if query.metric == metric.name],
            answers,
        )
        for metric in analysis.metrics
    )


def _count_bounds(metric: Metric, is_compared: bool) -> int:
    """How many bounds this metric is held against at this look."""
    return (is_compared and metric.tolerance is not None) + (metric.max is not None) + (metric.min is not None)


def _judged(look: Look, asked: Sequence[Query], answers: Mapping[Query, Answer]) -> MetricVerdict:
    candidate = _heard([query for query in asked if query.arm == CANDIDATE], answers)
    stable = _heard([query for query in asked if query.arm == STABLE], answers)
    if candidate is None:
        return nothing(look, Missing(Verdict.UNAVAILABLE, "it was not asked for"), None)
    text = " / ".join(query.promql for query in asked if query.arm == CANDIDATE)
    found = candidate if isinstance(candidate, Missing) else _evidence(look, candidate, stable)
    return nothing(look, found, text) if isinstance(found, Missing) else concluded(look, found, text)


def _heard(asked: Sequence[Query], answers: Mapping[Query, Answer]) -> Parts | Missing | None:
    """All parts of one arm, or why one of them is not there; None when nothing of this arm was asked."""
    parts = {}
    for query in asked:
        answer = answers.get(query)
        if answer is None:
            return Missing(Verdict.UNAVAILABLE, f"{query.part} was not answered")
        if isinstance(answer, Unanswered):
            return Missing(Verdict.UNAVAILABLE, _refusal(query, answer), mistake=answer.rejected)
        parts[query.part] = answer.series
    return parts or None


def _refusal(query: Query, answer: Unanswered) -> str:
    why = answer.why.rstrip(". \n")
    if "parse error" in why and query.part != VALUE:
        return f"{why} ({query.part} is a series selector, without rate() or sum())"
    return why


def _evidence(look: Look, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    if look.metric.ratio is not None:
        return ratio_evidence(look.metric, candidate, stable)
    if look.metric.histogram is not None:
        return histogram_evidence(look.metric, candidate, stable)
    return value_evidence(look.metric, candidate, stable, look.needed)
