"""Every mistake that a spec can hold, and what is said of it: the table for both voices."""

from __future__ import annotations

from typing import Any

from tests.broken import Broken
from tests.broken_analyses import BROKEN_ANALYSES, ONE, metrics
from tests.broken_compares import BROKEN_COMPARES
from tests.broken_routes import BROKEN_ROUTES
from tests.broken_stages import BROKEN_STAGES, STAGES_ONLY_THE_OPERATOR
from tests.builders import GONE, canary, stepwise, value_metric, workload_ref

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
    Broken(
        "two autoscalers",
        {"workload.autoscaling": {"horizontalPodAutoscaler": {"maxReplicas": 5}, "scaledObject": {"triggers": [{}]}}},
        "spec.workload.autoscaling",
        "a version has one autoscaler: set either horizontalPodAutoscaler or scaledObject",
    ),
    Broken(
        "an autoscaler upside down",
        {"workload.autoscaling": {"horizontalPodAutoscaler": {"minReplicas": 6, "maxReplicas": 5}}},
        "spec.workload.autoscaling.horizontalPodAutoscaler",
        "minReplicas is more than maxReplicas: make one of them another",
    ),
    Broken(
        "a budget in two ways",
        {"workload.podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}},
        "spec.workload.podDisruptionBudget",
        "a budget is written in one way: set either minAvailable or maxUnavailable",
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
    Broken("progress deadline of nothing", {"progressDeadline": "999ms"}, "spec.progressDeadline", "1s or longer"),
    Broken(
        "bake in words", {"promotion": {"bake": "a while"}}, "spec.promotion.bake", "not a duration such as 90s, 5m"
    ),
    *BROKEN_ANALYSES,
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
    Broken(
        "half a pod",
        {"workload.podDisruptionBudget": {"minAvailable": "half"}},
        "spec.workload.podDisruptionBudget.minAvailable",
        "this is neither a number of pods nor a percentage of them, such as 1 or 25%",
    ),
    # Of what is in an object without a schema, it knows nothing.
    Broken(
        "one name for the autoscalers of all versions",
        {
            "workload.autoscaling": {
                "scaledObject": {
                    "triggers": [{}],
                    "advanced": {"horizontalPodAutoscalerConfig": {"name": "fraud"}},
                }
            }
        },
        "spec.workload.autoscaling.scaledObject",
        "advanced.horizontalPodAutoscalerConfig.name would be that of two versions at once: leave it out",
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
    Broken("a band of two units", metrics(value_metric(min="2s", max="1")), ONE, "min must be below max"),
)
"""What the API server lets pass and the operator refuses."""
