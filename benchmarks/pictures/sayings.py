"""What verdicts say, by the operator's own engine: the quotes of the page. Nothing in them is left to chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from benchmarks.analysis.trials import Floats
from benchmarks.pictures.lab import (
    ACCURACY,
    CANDIDATE,
    DRIFT,
    ERRORS,
    LATENCY,
    STABLE,
    START,
    Release,
    Store,
    analysis,
    counters,
    even,
    evenly,
    prometheus,
    readings,
    requests,
)
from modelrollout.analysis.evidence import Usual
from modelrollout.analysis.plans import Stretch, sees_a_doubling, sentence
from modelrollout.analysis.queries import Answered, ArmNames, Query, Unanswered
from modelrollout.analysis.sequential.noise import Mode
from modelrollout.api.status import EvidenceStatus, MetricVerdict, ModelRolloutStatus, UsualMetric
from modelrollout.plan.conditions import sensitivity

RPS, WEIGHT, USUAL = 100.0, 0.05, 0.01
KNOWN = Usual(mode=Mode.PLAIN, share=USUAL, rate=RPS)
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Default bucket edges of Prometheus' client libraries, seconds."""


def errors(share: float, seconds: float, *, usual: float = USUAL, known: Usual = KNOWN, **more: Any) -> MetricVerdict:
    """A candidate with this share of errors, after so many seconds at 5 % of 100 requests per second."""
    store = evenly(RPS, share, WEIGHT, seconds, usual=usual)
    return Release(analysis({**ERRORS, **more}), store, usual=known).look(seconds)[0]


def accuracy(right: float, seconds: float) -> MetricVerdict:
    """Of a candidate with so many right answers, where stable has 94 %."""
    arms = ((CANDIDATE, WEIGHT, right), (STABLE, 1 - WEIGHT, 0.94))
    mine, theirs = (_labelled(names, even(RPS * weight, seconds), share) for names, weight, share in arms)
    return Release(analysis(ACCURACY), prometheus(mine, theirs)).look(seconds)[0]


def _labelled(names: ArmNames, total: Floats, right: float) -> list[Any]:
    correct = counters(names, {"": right * total}, name="model_correct_total", label="kind")
    return correct + counters(names, {"": total}, name="model_labelled_total", label="kind")


def latency(slower: float, seconds: float, edges: tuple[float, ...] = EDGES, **more: Any) -> MetricVerdict:
    """Of a candidate whose every request takes so many times as long; stable's median is 50 ms, its p99 202 ms."""
    arms = ((CANDIDATE, WEIGHT, slower), (STABLE, 1 - WEIGHT, 1.0))
    mine, theirs = (_timed(names, even(RPS * weight, seconds), times, edges) for names, weight, times in arms)
    return Release(analysis({**LATENCY, **more}), prometheus(mine, theirs)).look(seconds)[0]


def _timed(names: ArmNames, total: Floats, times: float, edges: tuple[float, ...]) -> list[Any]:
    from benchmarks.analysis.latencies import plain

    within = {f"{edge:g}": total * (1 - float(plain(np.array([edge / times]))[0])) for edge in edges}
    return counters(names, {**within, "+Inf": total}, name="http_request_duration_seconds_bucket", label="le")


def drift(value: float, looks: int) -> MetricVerdict:
    """Of a gauge that swings a little, as gauges do."""
    swing = 0.004 * np.sin(1.7 * np.arange(looks)) + 0.003 * np.cos(0.9 * np.arange(looks))
    store = prometheus(readings(CANDIDATE, (value + swing).tolist()), readings(STABLE, (0.1 - swing).tolist()))
    return Release(analysis(DRIFT), store).look(15.0 * looks)[0]


def _silent() -> MetricVerdict:
    """No user reaches the candidate."""
    stable = requests(STABLE, even(RPS, 300), even(USUAL * RPS, 300))
    return Release(analysis(ERRORS), prometheus([], stable)).look(300)[0]


def _away(why: str, *, rejected: bool) -> MetricVerdict:
    def store(query: Query) -> Unanswered:
        return Unanswered(why, rejected)

    return Release(analysis(ERRORS), store).look(300)[0]
