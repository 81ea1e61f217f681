"""Stable's history before the first look: rates, noise of its pods, and the plan's sensitivity. Pure.

The result is fixed for the whole rollout: how events are counted must not depend on the events themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.error_budget import chance_of_pods, share_of_bound
from modelrollout.analysis.evidence.look import CHANCE_OF_PODS, Prior
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.kinds.metric_kind import HistoryFinding, StablePast
from modelrollout.analysis.samples.counted_series import counted
from modelrollout.analysis.sensitivity.detectable import Stretch, sees_a_doubling
from modelrollout.analysis.sensitivity.expected_time import outlook
from modelrollout.analysis.sensitivity.unlike_pods import remarks
from modelrollout.analysis.sensitivity.unlike_users import remark
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.status import UsualMetric
from modelrollout.promql.query import Answer, Answered, Query, Series
from modelrollout.sequential import horizon
from modelrollout.sequential.levels import WIDEST
from modelrollout.sequential.noise import Mode, choose_mode
from modelrollout.sequential.wealth import Onsets

Floats = npt.NDArray[np.float64]


def summarise_history(
    analysis: Analysis,
    asked: Sequence[Query],
    answers: Mapping[Query, Answer],
    basis: Mapping[str, str],
    stretches: Sequence[Stretch],
    tick: float,
) -> tuple[UsualMetric, ...]:
    """The record of each metric for status. `asked`: from `history_queries`; queries without an answer are skipped."""
    recorded = []
    for metric in analysis.metrics:
        past, uncounted = _past(metric, asked, answers, tick)
        found = _finding(metric, analysis, past)
        prior = replace(
            found.prior,
            threshold=_threshold(metric, analysis, found.prior, stretches, tick),
            chance=chance_of_pods(metric, analysis),
        )
        recorded.append(
            UsualMetric(
                metric=metric.name,
                mode=prior.mode.value,
                basis=basis.get(metric.name, ""),
                state=ledger.write(_packed(prior)),
                sees=outlook(metric, analysis, prior, stretches),
                is_blind=found.is_blind or not sees_a_doubling(metric, analysis, prior, stretches),
                note="; ".join([*_notes(metric, found, past, stretches), *uncounted]) or None,
            )
        )
    return tuple(recorded)


def _past(
    metric: Metric, asked: Sequence[Query], answers: Mapping[Query, Answer], tick: float
) -> tuple[StablePast, list[str]]:
    """Stable's series, and notes on those that are not counted."""
    own = [query for query in asked if query.metric == metric.name]
    series: dict[tuple[str, str], tuple[Series, ...]] = {}
    notes: list[str] = []
    for query in own:
        answer = answers.get(query)
        if isinstance(answer, Answered):
            found = counted(query, answer.series, "stable")
            notes += filter(None, (*found.notes, found.conflict))
            series |= {(query.arm, part): some for part, some in found.parts.items() if found.conflict is None}
    start = min((query.start.timestamp() for query in own), default=0.0)
    end = max((query.end.timestamp() for query in own), default=0.0)
    return StablePast(series, start, end, tick), list(dict.fromkeys(notes))


def _finding(metric: Metric, analysis: Analysis, past: StablePast) -> HistoryFinding:
    kind = kind_of(metric)
    found = kind.prior(metric, analysis, past) if kind.prior is not None else None
    return found or HistoryFinding(Prior(mode=choose_mode(None, analysis.noise)))


def _notes(metric: Metric, found: HistoryFinding, past: StablePast, stretches: Sequence[Stretch]) -> Iterator[str]:
    """What people should know; of noise and of users only if Prometheus has answered."""
    if found.note is not None:
        yield found.note
    if past.series:
        yield from remarks(metric, found.prior)
        yield from filter(None, [remark(metric, found.prior, stretches)])


def _threshold(
    metric: Metric, analysis: Analysis, prior: Prior, stretches: Sequence[Stretch], tick: float
) -> float | None:
    """The threshold calibrated to the plan, where the user asks for it and the volume is known."""
    is_known = prior.rate is not None and prior.share is not None and prior.mode in (Mode.PLAIN, Mode.ASSUMED)
    sensitivity = kind_of(metric).sensitivity
    if analysis.threshold != "planned" or metric.tolerance is None or not is_known:
        return None
    if sensitivity is None or not sensitivity.is_exact:
        return None
    tolerated = sensitivity.bound(metric)
    if tolerated.margin > 0:
        return None  # with a margin the wealth of equal candidates depends on stable's true rate
    edges, part, seen, restarts = _planned_ticks(stretches, tick)
    events = (prior.rate or 0.0) * (prior.share or 0.0) * np.diff(edges) * seen
    odds = tolerated.factor * part / (tolerated.factor * part + 1 - part)
    alpha = analysis.false_rollback_rate.value * share_of_bound(metric, "tolerance", analysis)
    return horizon.threshold(events * (part < 1), odds, restarts, alpha)


def _planned_ticks(stretches: Sequence[Stretch], tick: float) -> tuple[Floats, Floats, Floats, Floats]:
    """The bounds of the plan's ticks (at most `horizon.TICKS`), the candidate's part of what both see in each, how much
    that is as a multiple of the traffic, and its restarts."""
    planned = sum(one.seconds for one in stretches)
    edges = np.linspace(0.0, planned, min(horizon.TICKS, max(round(planned / tick), 1)) + 1)
    begins = np.cumsum([one.seconds for one in stretches])
    place = np.minimum(np.searchsorted(begins, edges[:-1] + 1e-9, side="right"), len(stretches) - 1)
    part = np.array([stretches[at].part for at in place.tolist()])
    seen = np.array([stretches[at].seen for at in place.tolist()])
    onsets = Onsets(0.0, len(stretches) - 1, planned, is_late_expected=False)
    return edges, part, seen, onsets.restarts(edges, begins[:-1].tolist())


def prior_of(recorded: UsualMetric) -> Prior:
    """The prior that status records. Anybody may have edited it: a part that cannot be read is unknown."""
    kept = ledger.read(recorded.state)
    try:
        how = Mode(recorded.mode)
    except ValueError:
        how = Mode.ASSUMED
    edges, within = kept.get("edges"), kept.get("within")
    buckets = None
    if edges is not None and within is not None and edges.size + 1 == within.size:
        buckets = dict(zip([*edges.tolist(), math.inf], within.tolist(), strict=True))
    return Prior(
        mode=how,
        dispersion=max(_one(kept, "dispersion") or 1.0, 1.0),
        share=_one(kept, "share"),
        rate=_one(kept, "rate"),
        variance=_one(kept, "variance"),
        buckets=buckets,
        threshold=_one(kept, "threshold"),
        load=_one(kept, "load"),
        reach=min(max(_one(kept, "reach") or 0.0, 0.0), WIDEST),
        reaches=_reaches(kept),
        pods=_count(kept, "pods"),
        seen=max(_one(kept, "seen") or 0.0, 0.0),
        chance=chance if 0 < (chance := _one(kept, "chance") or 0.0) < 1 else CHANCE_OF_PODS,
    )


def _packed(prior: Prior) -> dict[str, Floats]:
    single = {
        "dispersion": prior.dispersion,
        "share": prior.share,
        "rate": prior.rate,
        "variance": prior.variance,
        "threshold": prior.threshold,
        "load": prior.load,
        "reach": prior.reach or None,
        "pods": prior.pods,
        "seen": prior.seen or None,
        "chance": prior.chance,
    }
    kept = {name: np.array([value]) for name, value in single.items() if value is not None}
    if prior.reaches:
        kept["tails"], kept["reaches"] = np.array(list(prior.reaches)), np.array(list(prior.reaches.values()))
    if prior.buckets:
        finite = [edge for edge in prior.buckets if edge < math.inf]
        kept["edges"] = np.array(finite)
        kept["within"] = np.array([prior.buckets[edge] for edge in finite] + [prior.buckets.get(math.inf, 0.0)])
    return kept


def _reaches(kept: Mapping[str, Floats]) -> dict[float, float] | None:
    tails, reaches = kept.get("tails"), kept.get("reaches")
    if tails is None or reaches is None or not 0 < tails.size == reaches.size:
        return None
    return dict(zip(tails.tolist(), np.clip(reaches, 0.0, WIDEST).tolist(), strict=True))


def _count(kept: Mapping[str, Floats], name: str) -> int | None:
    found = _one(kept, name)
    return round(found) if found is not None and found >= 0 else None


def _one(kept: Mapping[str, Floats], name: str) -> float | None:
    found = kept.get(name)
    return float(found[0]) if found is not None and found.size == 1 and math.isfinite(found[0]) else None
