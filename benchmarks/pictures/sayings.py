"""What verdicts say, by the operator's own engine: the quotes of the page. Nothing in them is left to chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import yaml

from benchmarks.analysis.latencies import plain
from benchmarks.analysis.trials import Floats
from benchmarks.pictures import kinds
from benchmarks.pictures.lab import (
    ACCURACY,
    CANDIDATE,
    DRIFT,
    ERRORS,
    LATENCY,
    STABLE,
    START,
    Release,
    analysis,
    counters,
    even,
    evenly,
    prometheus,
    readings,
    requests,
)
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.queries import ArmNames
from modelrollout.analysis.sensitivity.detectable import Stretch, sees_a_doubling
from modelrollout.analysis.sensitivity.expected_time import outlook
from modelrollout.api.status import EvidenceStatus, MetricVerdict, ModelRolloutStatus, UsualMetric
from modelrollout.plan.conditions import sensitivity
from modelrollout.promql.query import Series, Unanswered
from modelrollout.sequential.noise import Mode

RPS, WEIGHT, USUAL = 100.0, 0.05, 0.01
KNOWN = Prior(mode=Mode.PLAIN, share=USUAL, rate=RPS)
DEFAULT_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of Prometheus' client libraries, seconds."""
FITTING = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.0)
"""Close together where this service's latency is."""


def errors(share: float, seconds: float, *, usual: float = USUAL, known: Prior = KNOWN, **more: Any) -> MetricVerdict:
    """A candidate with this share of errors, after so many seconds at 5 % of 100 requests per second."""
    store = evenly(RPS, share, WEIGHT, seconds, usual=usual)
    return Release(analysis({**ERRORS, **more}), store, usual=known).look(seconds)[0]


def accuracy(right: float, seconds: float) -> MetricVerdict:
    """Of a candidate with so many right answers, where stable has 94 %."""
    arms = ((CANDIDATE, WEIGHT, right), (STABLE, 1 - WEIGHT, 0.94))
    mine, theirs = (_labelled(names, even(RPS * weight, seconds), share) for names, weight, share in arms)
    return Release(analysis(ACCURACY), prometheus(mine, theirs)).look(seconds)[0]


def _labelled(names: ArmNames, total: Floats, right: float) -> list[Series]:
    correct = counters(names, {"": right * total}, name="model_correct_total", label="kind")
    return correct + counters(names, {"": total}, name="model_labelled_total", label="kind")


def latency(slower: float, seconds: float, edges: tuple[float, ...] = FITTING, **more: Any) -> MetricVerdict:
    """Of a candidate whose every request takes so many times as long; stable's median is 50 ms, its p99 202 ms."""
    arms = ((CANDIDATE, WEIGHT, slower), (STABLE, 1 - WEIGHT, 1.0))
    mine, theirs = (_timed(names, even(RPS * weight, seconds), times, edges) for names, weight, times in arms)
    hour = 3600 * RPS
    buckets = {**{edge: hour * _within(edge, 1.0) for edge in edges}, math.inf: hour}
    known = Prior(mode=Mode.PLAIN, share=0.01, rate=RPS, buckets=buckets)
    return Release(analysis({**LATENCY, **more}), prometheus(mine, theirs), usual=known).look(seconds)[0]


def _timed(names: ArmNames, total: Floats, times: float, edges: tuple[float, ...]) -> list[Series]:
    within = {f"{edge:g}": total * _within(edge, times) for edge in edges}
    return counters(names, {**within, "+Inf": total}, name="http_request_duration_seconds_bucket", label="le")


def _within(edge: float, times: float) -> float:
    return 1 - float(plain(np.array([edge / times]))[0])


def drift(value: float, looks: int) -> MetricVerdict:
    """Of a gauge that swings a little, as gauges do; stable's is about 0.1."""
    swing = 0.004 * np.sin(1.7 * np.arange(looks)) + 0.003 * np.cos(0.9 * np.arange(looks))
    store = prometheus(readings(CANDIDATE, (value + swing).tolist()), readings(STABLE, (0.1 - swing).tolist()))
    return Release(analysis(DRIFT), store, usual=Prior(variance=0.02**2)).look(15.0 * looks)[0]


def uncounted() -> MetricVerdict:
    """Nobody has failed yet, so the counter of failures is not there."""
    mine, theirs = (
        counters(names, {"200": even(RPS * weight, 900)}, name="http_requests_total", label="code")
        for names, weight in ((CANDIDATE, WEIGHT), (STABLE, 1 - WEIGHT))
    )
    return Release(analysis(ERRORS), prometheus(mine, theirs), usual=Prior(mode=Mode.PLAIN, share=0.0, rate=RPS)).look(
        900
    )[0]


def silent() -> MetricVerdict:
    """No user reaches the candidate."""
    stable = requests(STABLE, even(RPS, 300), even(USUAL * RPS, 300))
    return Release(analysis(ERRORS), prometheus([], stable)).look(300)[0]


def unanswered(why: str, *, rejected: bool) -> MetricVerdict:
    """Prometheus is away, or refuses the query."""
    return Release(analysis(ERRORS), lambda _: Unanswered(why, rejected)).look(300)[0]


def sensitive(rps: float, share: float) -> str:
    """The condition before a release of 5, 25 and 50 %, a quarter of an hour each, and a bake."""
    wished = analysis(ERRORS)
    (metric,) = wished.metrics
    usual = Prior(mode=Mode.PLAIN, share=share, rate=rps)
    plan = [*(Stretch(weight, 900.0) for weight in (0.05, 0.25, 0.5)), Stretch(1.0, 600.0)]
    noted = UsualMetric(
        metric=metric.name,
        mode=usual.mode.value,
        basis="",
        sees=outlook(metric, wished, usual, plan),
        is_blind=not sees_a_doubling(metric, wished, usual, plan),
    )
    told = sensitivity(ModelRolloutStatus(evidence=EvidenceStatus(at=START, usual=(noted,))))
    if told is None:
        raise ValueError("this plan has something to say")
    return f"Sensitive={told[0]}, {told[1].reason}: {told[1].message}"


SAYINGS: Mapping[str, Callable[[], MetricVerdict]] = {
    "pass": lambda: errors(0.0105, 900),
    "pass-beyond": lambda: errors(0.015, 1400),
    "fail": lambda: errors(0.03, 300),
    "fail-few": lambda: errors(0.2, 30),
    "few": lambda: errors(0.0, 15),
    "not-yet": lambda: errors(0.01, 90),
    "perhaps": lambda: errors(0.018, 600),
    "shared": lambda: errors(0.08, 300, usual=0.08),
    "limit": lambda: errors(0.04, 600, usual=0.04, max="2%"),
    "noisy": lambda: errors(0.02, 900, known=Prior(mode=Mode.DISPERSED, dispersion=2.2, share=USUAL, rate=RPS)),
    "ranked": lambda: errors(0.02, 300, known=Prior(mode=Mode.RANKED, dispersion=2.2, share=USUAL, rate=RPS)),
    "learning": lambda: errors(0.02, 300, known=Prior()),
    "apart": lambda: errors(0.02, 900, known=Prior(mode=Mode.PLAIN, share=USUAL, rate=RPS, reach=0.5, pods=12)),
    "accuracy": lambda: accuracy(0.9, 600),
    "accuracy-not-yet": lambda: accuracy(0.91, 45),
    "uncounted": uncounted,
    "latency": lambda: latency(1.6, 300),
    "coarse": lambda: latency(1.6, 600, DEFAULT_EDGES),
    "no-edge": lambda: latency(1.0, 600, FITTING[:-4], max="500ms"),
    "gauge": lambda: drift(0.13, 40),
    "group": lambda: kinds.groups(0.5),
    "mean": lambda: kinds.mean(36.0),
    "pairs": lambda: kinds.pairs(6.0, 2.0),
    "silent": silent,
    "away": lambda: unanswered("connection refused", rejected=False),
    "mistake": lambda: unanswered('parse error: unexpected "("', rejected=True),
}
"""By the name that the page quotes them under."""


def quote(name: str) -> str:
    """The verdict and its sentence, as Markdown."""
    told = SAYINGS[name]()
    return f"> **{told.verdict.value}** {told.message}"


def as_status(name: str) -> str:
    """The verdict as it stands in status, but for the query and the moments."""
    told = SAYINGS[name]().to_wire()
    shown = {key: value for key, value in told.items() if key not in ("query", "windowStart", "windowEnd")}
    text = yaml.safe_dump({"verdicts": [shown]}, sort_keys=False, allow_unicode=True, width=100)
    return f"```yaml\n{text}```"
