"""Every mistake that `analysis` can hold, and what is said of it: a part of the table in broken_specs."""

from __future__ import annotations

from typing import Any

from tests.broken import Broken
from tests.builders import GONE, canary, good_metric, histogram_metric, metric, value_metric


def metrics(*found: dict[str, Any]) -> dict[str, Any]:
    return {"analysis.metrics": list(found)}


ONE = "spec.analysis.metrics[0]"
_VALUES = "supported values"

BROKEN_ANALYSES = (
    Broken(
        "nothing to judge by",
        {"analysis": {}},
        "spec.analysis",
        "analysis needs metrics, presets or templates; to release on readiness alone say so with readinessOnly: true",
    ),
    Broken(
        "empty presets",
        {"analysis": {"presets": [], "templates": []}},
        "spec.analysis",
        "analysis needs metrics, presets or templates",
    ),
    Broken(
        "presets and readiness only",
        {"analysis": {"presets": [{"name": "http"}], "readinessOnly": True}},
        "spec.analysis",
        "readinessOnly: true and none of them",
    ),
    Broken(
        "templates and readiness only",
        {"analysis": {"templates": [{"name": "ours"}], "readinessOnly": True}},
        "spec.analysis",
        "readinessOnly: true and none of them",
    ),
    Broken(
        "an unheard-of preset",
        {"analysis.presets": [{"name": "vlm"}]},
        "spec.analysis.presets[0].name",
        "this is not a preset; known: bentoml, envoy, fastapi, http",
        'supported values: "bentoml", "envoy"',
    ),
    Broken(
        "a preset twice",
        {"analysis.presets": [{"name": "http"}, {"name": "http"}]},
        "spec.analysis.presets",
        "each name may stand here once",
        "Duplicate value",
    ),
    Broken(
        "an argument that is a number",
        {"analysis.presets": [{"name": "envoy", "arguments": {"maxLatencyMilliseconds": 300}}]},
        "spec.analysis.presets[0].arguments.maxLatencyMilliseconds",
        'this must be text, so put it in quotes: "300"',
        "type string",
    ),
    Broken(
        "no metric to take",
        {"analysis.presets": [{"name": "http", "include": []}]},
        "spec.analysis.presets[0].include",
        "needs at least 1 element",
        "at least 1 items",
    ),
    Broken(
        "a template of another kind",
        {"analysis.templates": [{"name": "ours", "kind": "AnalysisTemplate"}]},
        "spec.analysis.templates[0].kind",
        "this must be 'MetricTemplate' or 'ClusterMetricTemplate'",
        'supported values: "MetricTemplate", "ClusterMetricTemplate"',
    ),
    Broken(
        "a template that cannot be called so",
        {"analysis.templates": [{"name": "Our Latency"}]},
        "spec.analysis.templates[0].name",
        "this is not the name of an object",
    ),
    Broken(
        "a template without a name",
        {"analysis.templates": [{"kind": "MetricTemplate"}]},
        "spec.analysis.templates[0].name",
        "is missing: add it",
        "Required value",
    ),
    Broken("no analysis", {"analysis": GONE}, "spec.analysis", "is missing: add it", "Required value"),
    Broken("metrics and readiness only", {"analysis.readinessOnly": True}, "spec.analysis", "analysis needs metrics"),
    Broken("readiness only as text", {"analysis.readinessOnly": "yes"}, "spec.analysis.readinessOnly", "", "boolean"),
    Broken("interval of nothing", {"analysis.interval": "0s"}, "spec.analysis.interval", "this must be 1s or longer"),
    Broken("interval in days", {"analysis.interval": "1x"}, "spec.analysis.interval", "not a duration such as 90s, 5m"),
    Broken(
        "deadline before the first look",
        {"analysis.interval": "10s", "analysis.stepDeadline": "9s", "stages": [canary(5, hold="1s")]},
        "spec.analysis",
        "stepDeadline is shorter than interval",
    ),
    Broken(
        "no false rollback at all",
        {"analysis.falseRollbackRate": "0%"},
        "spec.analysis.falseRollbackRate",
        'this must be above 0% and at most 50%, such as 1% or "0.01"',
    ),
    Broken(
        "a coin would do better",
        {"analysis.falseRollbackRate": "0.51"},
        "spec.analysis.falseRollbackRate",
        "this must be above 0% and at most 50%",
    ),
    Broken(
        "an unheard-of way out",
        {"analysis.onInconclusive": "wait"},
        "spec.analysis.onInconclusive",
        "this must be 'hold', 'promote' or 'rollback'",
        'supported values: "hold", "promote", "rollback"',
    ),
    Broken(
        "Prometheus without http",
        {"analysis.prometheus": {"url": "prometheus:9090"}},
        "spec.analysis.prometheus.url",
        "this is not an address such as http://prometheus.monitoring.svc:9090",
    ),
    Broken(
        "Prometheus with a password in its address",
        {"analysis.prometheus": {"url": "http://us:pass@prometheus.monitoring.svc:9090"}},
        "spec.analysis.prometheus.url",
        "without user, password or query",
    ),
    Broken(
        "Prometheus that is none",
        {"analysis.prometheus": {}},
        "spec.analysis.prometheus",
        "prometheus is empty: set url or secretRef",
    ),
    Broken(
        "two metrics of one name",
        metrics(metric(), metric(max="5%")),
        "spec.analysis.metrics",
        "each name may stand here once: rename the second one",
        "Duplicate value",
    ),
    Broken(
        "two kinds of metric",
        metrics(metric(histogram='a{pod=~"{{ pods }}"}')),
        ONE,
        "a metric needs exactly one of ratio, histogram, value, mean and pairs",
    ),
    Broken(
        "no kind of metric",
        metrics(metric(ratio=None)),
        ONE,
        "exactly one of ratio, histogram, value, mean and pairs",
    ),
    Broken(
        "a ratio of good and bad",
        metrics(metric(ratio={part: f'{part}_total{{pod=~"{{{{ pods }}}}"}}' for part in ("good", "bad", "total")})),
        f"{ONE}.ratio",
        "a ratio needs total and exactly one of bad and good",
    ),
    Broken("neither good nor bad", metrics(metric(ratio={"total": "a{}"})), f"{ONE}.ratio", "exactly one of bad and"),
    Broken(
        "rate() around a counter",
        metrics(metric(ratio={"bad": "rate(errors_total[5m])", "total": "all_total"}, tolerance=None, max="5%")),
        f"{ONE}.ratio.bad",
        "the raw samples are read, so leave out rate(), sum() and [5m]",
    ),
    Broken(
        "a window behind a histogram",
        metrics(histogram_metric(histogram='a_bucket{pod=~"{{ pods }}"}[5m]')),
        f"{ONE}.histogram",
        "this is not a series selector such as",
    ),
    Broken(
        "quantile of a ratio",
        metrics(metric(quantile="0.99")),
        ONE,
        "quantile belongs to a histogram: remove it, or set histogram",
    ),
    Broken(
        "quantile in percent",
        metrics(histogram_metric(quantile="99")),
        f"{ONE}.quantile",
        'a quantile lies between 0 and 1, such as "0.99"',
    ),
    Broken("quantile 0", metrics(histogram_metric(quantile="0.00")), f"{ONE}.quantile", "lies between 0 and 1"),
    Broken(
        "value without a direction",
        metrics(value_metric(betterWhen=None)),
        ONE,
        "betterWhen is needed with value and mean, and only there",
    ),
    Broken(
        "ratio with a direction",
        metrics(metric(betterWhen="lower")),
        ONE,
        "betterWhen is needed with value and mean, and only",
    ),
    Broken(
        "no bound",
        metrics(metric(tolerance=None)),
        ONE,
        "a metric decides nothing without a bound: set tolerance, min or max",
    ),
    Broken(
        "exclude within the tolerance",
        metrics(metric(tolerance={"relative": "25%"}, exclude={"relative": "20%"})),
        ONE,
        "exclude must lie beyond tolerance",
    ),
    Broken(
        "exclude that is the tolerance",
        metrics(metric(tolerance={"relative": "25%"}, exclude={"relative": "0.25"})),
        ONE,
        "exclude must lie beyond tolerance",
    ),
    Broken(
        "exclude without a tolerance",
        metrics(metric(tolerance=None, max="5%", exclude={"relative": "20%"})),
        ONE,
        "exclude says what must be ruled out beyond tolerance: set tolerance",
    ),
    Broken(
        "pairs with a limit",
        metrics(metric(ratio=None, pairs={"candidateWrong": "a", "stableWrong": "b"}, tolerance={}, max="5%")),
        ONE,
        "pairs are judged by tolerance.relative alone",
    ),
    Broken(
        "a single group",
        metrics(
            metric(
                ratio={
                    "bad": 'a{pod=~"{{ pods }}"}',
                    "total": 'b{pod=~"{{ pods }}"}',
                    "groups": {"label": "region", "values": ["eu"]},
                }
            )
        ),
        f"{ONE}.ratio.groups.values",
        "2",
    ),
    Broken("noise by ear", {"analysis": {"metrics": [metric()], "noise": "low"}}, "spec.analysis.noise", "auto"),
    Broken(
        "a warm-up in words", {"analysis": {"metrics": [metric()], "warmUp": "long"}}, "spec.analysis.warmUp", "90s"
    ),
    Broken(
        "both arms read as one",
        metrics(value_metric(value="avg(accuracy)")),
        ONE,
        "every query must tell them apart: use {{ pods }}",
    ),
    Broken(
        "total of both arms",
        metrics(metric(ratio={"bad": 'errors_total{pod=~"{{ pods }}"}', "total": "requests_total"})),
        ONE,
        "every query must tell them apart: use {{ pods }}",
    ),
    Broken(
        "negative tolerance",
        metrics(value_metric(tolerance={"absolute": "-1%"})),
        f"{ONE}.tolerance.absolute",
        "it is never negative: remove the -",
    ),
    Broken(
        "tolerance in words",
        metrics(metric(tolerance={"relative": "a quarter"})),
        f"{ONE}.tolerance.relative",
        'this is not a ratio such as 2% or "0.02"',
    ),
    Broken(
        "tolerance of everything",
        metrics(good_metric(tolerance={"relative": "100%"})),
        ONE,
        "where higher is better, tolerance.relative must be below 100%",
    ),
    Broken("errors at least", metrics(metric(min="1%")), ONE, "this limit is on the better side"),
    Broken("accuracy at most", metrics(good_metric(max="92%")), ONE, "this limit is on the better side"),
    Broken("score at most", metrics(value_metric(max="0.9")), ONE, "set min where higher is better, max where lower"),
    Broken("the least latency", metrics(histogram_metric(min="1ms", max="2s")), ONE, "remove min, or use value"),
    Broken("2 for 2 %", metrics(metric(max="2")), ONE, "a ratio lies between 0% and 100%: write its min, max and"),
    Broken("a ratio in seconds", metrics(metric(max="300ms")), ONE, "a ratio lies between 0% and 100%"),
    Broken("an empty band", metrics(value_metric(min="0.9", max="80%")), ONE, "min must be below max"),
    Broken(
        "limit in words",
        metrics(value_metric(min="high")),
        f"{ONE}.min",
        'this is not a limit such as 2%, "0.92" or 300ms',
    ),
    Broken(
        "samples as text",
        metrics(metric(minSamples="50")),
        f"{ONE}.minSamples",
        "whole number, without quotes",
        "integer",
    ),
)
