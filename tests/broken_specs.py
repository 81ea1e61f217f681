"""Every mistake that a spec can hold, and what is said of it: the table for both voices."""

from __future__ import annotations

from typing import Any

from tests.broken import Broken
from tests.broken_compares import BROKEN_COMPARES
from tests.broken_routes import BROKEN_ROUTES
from tests.broken_stages import BROKEN_STAGES, STAGES_ONLY_THE_OPERATOR
from tests.builders import GONE, canary, good_metric, histogram_metric, metric, stepwise, value_metric, workload_ref


def _metrics(*metrics: dict[str, Any]) -> dict[str, Any]:
    return {"analysis.metrics": list(metrics)}


_ONE = "spec.analysis.metrics[0]"
_VALUES = "supported values"
_ONE_ROUTER = (
    "traffic needs exactly one router: set one of traffic.gatewayAPI, traffic.grpc, traffic.routeRef, "
    "traffic.istio and traffic.service"
)


def _workload_refs(*mistakes: tuple[str, dict[str, Any], str, str, str | None]) -> tuple[Broken, ...]:
    """Each a mistake in a reference to a Deployment: what is changed, the field, and what is said of it."""
    return tuple(
        Broken(
            mistake,
            {"workload.template": GONE, "workload.workloadRef": workload_ref(**changes)},
            f"spec.workload.workloadRef.{field}",
            sentence,
            server,
        )
        for mistake, changes, field, sentence, server in mistakes
    )


BROKEN = (
    Broken("no model", {"model": GONE}, "spec.model", "is missing: add it", "Required value"),
    Broken("version is a number", {"model.version": 12}, "spec.model.version", 'put it in quotes: "12"', "type string"),
    Broken("empty version", {"model.version": ""}, "spec.model.version", "must not be empty", "at least 1"),
    Broken("no workload", {"workload": GONE}, "spec.workload", "is missing: add it", "Required value"),
    Broken(
        "neither a template nor a workload",
        {"workload.template": GONE},
        "spec.workload",
        "set either workload.template or workload.workloadRef",
    ),
    Broken(
        "a template beside a workload",
        {"workload.workloadRef": {"kind": "Deployment", "name": "fraud"}},
        "spec.workload",
        "a workload is described once: set either workload.template or workload.workloadRef",
    ),
    *_workload_refs(
        (
            "a workload that is no server",
            {"kind": "Job"},
            "kind",
            "this must be 'Deployment' or 'StatefulSet'",
            _VALUES,
        ),
        ("a workload without a kind", {"kind": None}, "kind", "is missing: add it", "Required value"),
        ("a workload without a name", {"name": None}, "name", "is missing: add it", "Required value"),
        (
            "a workload that cannot be called so",
            {"name": "Fraud v1"},
            "name",
            "this is not the name of an object",
            None,
        ),
        ("a workload of an old API", {"apiVersion": "apps/v1beta1"}, "apiVersion", "this must be 'apps/v1'", _VALUES),
        ("a workload's end in words", {"whenManaged": "Delete"}, "whenManaged", "'Keep' or 'ScaleToZero'", _VALUES),
    ),
    Broken(
        "two routers",
        {"traffic.service": {}},
        "spec.traffic",
        _ONE_ROUTER,
    ),
    Broken(
        "a route for HTTP and one for gRPC",
        {"traffic.grpc": {"parentRefs": [{"name": "inference"}]}},
        "spec.traffic",
        _ONE_ROUTER,
    ),
    Broken(
        "no router",
        {"traffic.gatewayAPI": GONE},
        "spec.traffic",
        "set one of traffic.gatewayAPI, traffic.grpc, traffic.routeRef, traffic.istio and",
    ),
    Broken("port 0", {"traffic.port": 0}, "spec.traffic.port", "must be 1 or more", "greater than or equal to 1"),
    Broken("port is text", {"traffic.port": "80"}, "spec.traffic.port", "a whole number, without quotes", "integer"),
    *BROKEN_ROUTES,
    *BROKEN_COMPARES,
    *BROKEN_STAGES,
    Broken("no stages", {"stages": []}, "spec.stages", "needs at least 1 element", "at least 1 items"),
    Broken(
        "two stages of one name",
        {"stages": [canary(5), canary(50)]},
        "spec.stages",
        "each name may stand here once: rename the second one",
        "Duplicate value",
    ),
    Broken(
        "stage named with a space",
        {"stages": [canary(5, name="first one")]},
        "spec.stages[0].name",
        "a name is made of lower-case letters, digits and -",
    ),
    Broken(
        "weights and steps",
        {"stages": [canary(5, steps=[{"weight": 5}])]},
        "spec.stages[0].canary",
        "a canary needs either weights, such as [5, 25, 50, 100], or steps, not both",
    ),
    Broken(
        "neither weights nor steps",
        {"stages": [{"name": "a", "canary": {}}]},
        "spec.stages[0].canary",
        "a canary needs either weights, such as [5, 25, 50, 100], or steps, not both",
    ),
    Broken(
        "first weight at most below the first weight",
        {"stages": [canary(25, 50, firstWeightAtMost=20)]},
        "spec.stages[0].canary",
        "firstWeightAtMost is below the first weight, which it may only raise",
    ),
    Broken(
        "first weight at most below the first step",
        {"stages": [{"name": "a", "canary": {"steps": [{"weight": 5}], "firstWeightAtMost": 4}}]},
        "spec.stages[0].canary",
        "firstWeightAtMost is below the first weight, which it may only raise",
    ),
    Broken(
        "weights fall",
        {"stages": [canary(5, 3)]},
        "spec.stages[0].canary.weights",
        "weights must rise from one to the next, such as [5, 25, 50, 100]",
    ),
    Broken(
        "a weight twice", {"stages": [canary(5, 5)]}, "spec.stages[0].canary.weights", "must rise from one to the next"
    ),
    Broken(
        "weight above 100",
        {"stages": [canary(5, 120)]},
        "spec.stages[0].canary.weights[1]",
        "must be 100 or less",
        "less than or equal to 100",
    ),
    Broken(
        "the weights of steps fall",
        {"stages": [stepwise(25, 5)]},
        "spec.stages[0].canary.steps",
        "the weights of steps must rise from one to the next",
    ),
    Broken(
        "a stage that does nothing",
        {"stages": [{"name": "a"}]},
        "spec.stages[0]",
        "a stage does exactly one thing: set canary",
    ),
    Broken(
        "hold without a unit",
        {"stages": [canary(5, hold="30")]},
        "spec.stages[0].canary.hold",
        "this is not a duration such as 90s, 5m, 1h30m or 7d",
    ),
    Broken(
        "hold longer than the deadline",
        {"stages": [canary(5, hold="3h")]},
        "spec",
        "a canary's hold is longer than analysis.stepDeadline",
    ),
    Broken(
        "a step's hold longer than the deadline",
        {"stages": [{"name": "a", "canary": {"steps": [{"weight": 5, "hold": "121m"}]}}]},
        "spec",
        "make hold shorter or stepDeadline longer",
    ),
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
        "this is not an address such as http://prometheus.monitoring:9090",
    ),
    Broken("progress deadline of nothing", {"progressDeadline": "999ms"}, "spec.progressDeadline", "1s or longer"),
    Broken(
        "bake in words", {"promotion": {"bake": "a while"}}, "spec.promotion.bake", "not a duration such as 90s, 5m"
    ),
    Broken(
        "two metrics of one name",
        _metrics(metric(), metric(max="5%")),
        "spec.analysis.metrics",
        "each name may stand here once: rename the second one",
        "Duplicate value",
    ),
    Broken(
        "two kinds of metric",
        _metrics(metric(histogram='a{pod=~"{{ pods }}"}')),
        _ONE,
        "a metric needs exactly one of ratio, histogram, value, mean and pairs",
    ),
    Broken(
        "no kind of metric",
        _metrics(metric(ratio=None)),
        _ONE,
        "exactly one of ratio, histogram, value, mean and pairs",
    ),
    Broken(
        "a ratio of good and bad",
        _metrics(metric(ratio={part: f'{part}_total{{pod=~"{{{{ pods }}}}"}}' for part in ("good", "bad", "total")})),
        f"{_ONE}.ratio",
        "a ratio needs total and exactly one of bad and good",
    ),
    Broken("neither good nor bad", _metrics(metric(ratio={"total": "a{}"})), f"{_ONE}.ratio", "exactly one of bad and"),
    Broken(
        "rate() around a counter",
        _metrics(metric(ratio={"bad": "rate(errors_total[5m])", "total": "all_total"}, tolerance=None, max="5%")),
        f"{_ONE}.ratio.bad",
        "the raw samples are read, so leave out rate(), sum() and [5m]",
    ),
    Broken(
        "a window behind a histogram",
        _metrics(histogram_metric(histogram='a_bucket{pod=~"{{ pods }}"}[5m]')),
        f"{_ONE}.histogram",
        "this is not a series selector such as",
    ),
    Broken(
        "quantile of a ratio",
        _metrics(metric(quantile="0.99")),
        _ONE,
        "quantile belongs to a histogram: remove it, or set histogram",
    ),
    Broken(
        "quantile in percent",
        _metrics(histogram_metric(quantile="99")),
        f"{_ONE}.quantile",
        'a quantile lies between 0 and 1, such as "0.99"',
    ),
    Broken("quantile 0", _metrics(histogram_metric(quantile="0.00")), f"{_ONE}.quantile", "lies between 0 and 1"),
    Broken(
        "value without a direction",
        _metrics(value_metric(betterWhen=None)),
        _ONE,
        "betterWhen is needed with value and mean, and only there",
    ),
    Broken(
        "ratio with a direction",
        _metrics(metric(betterWhen="lower")),
        _ONE,
        "betterWhen is needed with value and mean, and only",
    ),
    Broken(
        "no bound",
        _metrics(metric(tolerance=None)),
        _ONE,
        "a metric decides nothing without a bound: set tolerance, min or max",
    ),
    Broken(
        "exclude within the tolerance",
        _metrics(metric(tolerance={"relative": "25%"}, exclude={"relative": "20%"})),
        _ONE,
        "exclude must lie beyond tolerance",
    ),
    Broken(
        "exclude that is the tolerance",
        _metrics(metric(tolerance={"relative": "25%"}, exclude={"relative": "0.25"})),
        _ONE,
        "exclude must lie beyond tolerance",
    ),
    Broken(
        "exclude without a tolerance",
        _metrics(metric(tolerance=None, max="5%", exclude={"relative": "20%"})),
        _ONE,
        "exclude says what must be ruled out beyond tolerance: set tolerance",
    ),
    Broken(
        "pairs with a limit",
        _metrics(metric(ratio=None, pairs={"candidateWrong": "a", "stableWrong": "b"}, tolerance={}, max="5%")),
        _ONE,
        "pairs are judged by tolerance.relative alone",
    ),
    Broken(
        "a single group",
        _metrics(
            metric(
                ratio={
                    "bad": 'a{pod=~"{{ pods }}"}',
                    "total": 'b{pod=~"{{ pods }}"}',
                    "groups": {"label": "region", "values": ["eu"]},
                }
            )
        ),
        f"{_ONE}.ratio.groups.values",
        "2",
    ),
    Broken("noise by ear", {"analysis": {"metrics": [metric()], "noise": "low"}}, "spec.analysis.noise", "auto"),
    Broken(
        "a warm-up in words", {"analysis": {"metrics": [metric()], "warmUp": "long"}}, "spec.analysis.warmUp", "90s"
    ),
    Broken(
        "both arms read as one",
        _metrics(value_metric(value="avg(accuracy)")),
        _ONE,
        "every query must tell them apart: use {{ pods }}",
    ),
    Broken(
        "total of both arms",
        _metrics(metric(ratio={"bad": 'errors_total{pod=~"{{ pods }}"}', "total": "requests_total"})),
        _ONE,
        "every query must tell them apart: use {{ pods }}",
    ),
    Broken(
        "negative tolerance",
        _metrics(value_metric(tolerance={"absolute": "-1%"})),
        f"{_ONE}.tolerance.absolute",
        "it is never negative: remove the -",
    ),
    Broken(
        "tolerance in words",
        _metrics(metric(tolerance={"relative": "a quarter"})),
        f"{_ONE}.tolerance.relative",
        'this is not a ratio such as 2% or "0.02"',
    ),
    Broken(
        "tolerance of everything",
        _metrics(good_metric(tolerance={"relative": "100%"})),
        _ONE,
        "where higher is better, tolerance.relative must be below 100%",
    ),
    Broken("errors at least", _metrics(metric(min="1%")), _ONE, "this limit is on the better side"),
    Broken("accuracy at most", _metrics(good_metric(max="92%")), _ONE, "this limit is on the better side"),
    Broken("score at most", _metrics(value_metric(max="0.9")), _ONE, "set min where higher is better, max where lower"),
    Broken("the least latency", _metrics(histogram_metric(min="1ms", max="2s")), _ONE, "remove min, or use value"),
    Broken("2 for 2 %", _metrics(metric(max="2")), _ONE, "a ratio lies between 0% and 100%: write its min, max and"),
    Broken("a ratio in seconds", _metrics(metric(max="300ms")), _ONE, "a ratio lies between 0% and 100%"),
    Broken("an empty band", _metrics(value_metric(min="0.9", max="80%")), _ONE, "min must be below max"),
    Broken(
        "limit in words",
        _metrics(value_metric(min="high")),
        f"{_ONE}.min",
        'this is not a limit such as 2%, "0.92" or 300ms',
    ),
    Broken(
        "samples as text",
        _metrics(metric(minSamples="50")),
        f"{_ONE}.minSamples",
        "whole number, without quotes",
        "integer",
    ),
)

ONLY_THE_OPERATOR = (
    # Of a value that may be a text or a number, CEL cannot bound the cost.
    *(
        Broken(
            f"a rule of a route that is called {rule!r}",
            {"traffic.gatewayAPI": GONE, "traffic.routeRef": {"name": "models", "rule": rule}},
            "spec.traffic.routeRef.rule",
            "this is neither the name of a rule nor its place in the route, from 0 to 15",
        )
        for rule in ("Fraud v1", 16, -1)
    ),
    *STAGES_ONLY_THE_OPERATOR,
    # What each preset takes and brings.
    Broken(
        "an argument that a preset does not have",
        {"analysis.presets": [{"name": "kserve", "arguments": {"maxErrors": "1%"}}]},
        "spec.analysis.presets[0]",
        "maxErrors is not an argument here; known: arm, matchers, latencyTolerance, maxLatency, quantile",
    ),
    Broken(
        "a unit twice",
        {"analysis.presets": [{"name": "envoy", "arguments": {"maxLatencyMilliseconds": "300ms"}}]},
        "spec.analysis.presets[0]",
        'maxLatencyMilliseconds is in that unit already: write a plain number, such as "300"',
    ),
    Broken(
        "a metric that a preset does not bring",
        {"analysis.presets": [{"name": "http", "include": ["throughput"]}]},
        "spec.analysis.presets[0]",
        "include: throughput is not a metric here; known: errors, latency",
    ),
    # What CEL cannot compare: its durations know no days, and numbers are no durations.
    Broken("hold of days", {"stages": [canary(5, hold="1d")]}, "spec", "a canary's hold is longer than"),
    Broken("a band of two units", _metrics(value_metric(min="2s", max="1")), _ONE, "min must be below max"),
)
"""What the API server lets pass and the operator refuses."""
