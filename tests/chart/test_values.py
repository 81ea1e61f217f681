"""The chart's values: each is described, known to the schema, has an effect, and is refused where it makes no sense."""

from __future__ import annotations

import json
from functools import cache, reduce
from typing import Any

import pytest
import yaml

from charts.value_table import Value, described
from modelrollout.objects.manifests import merged
from tests.chart.helm import CHART, Values, container, helm, needs_helm, of_kind, only, refusal, rendered, text
from tests.places import ROOT

DEFAULTS = {one.path: one.default for one in described((CHART / "values.yaml").read_text()) if isinstance(one, Value)}
EVERYTHING: Values = yaml.safe_load((ROOT / "tests/chart/everything.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

SHOWS: Values = {
    "crds": {"enabled": False},  # they are long
    "comparer": {"enabled": True},
    "rbac": {"create": True, "aggregate": True},
    "serviceAccount": {"create": True},
    "podDisruptionBudget": {"enabled": True},
    "metrics": {"service": {"enabled": True}, "podMonitor": {"enabled": False}},
}
"""Changes of `everything`, by which a value shows that another one hides."""
MONITORS_PODS = {"metrics": {"serviceMonitor": {"enabled": False}, "podMonitor": {"enabled": True}}}
OWN_CERTIFICATE = {"webhook": {"certManager": {"enabled": False}}}
SHOWS_BY = {
    "image.tag": {"image": {"digest": ""}},
    "crds.keep": {"crds": {"enabled": True}},
    "webhook.secretName": OWN_CERTIFICATE,
    "webhook.caBundle": OWN_CERTIFICATE,
    "metrics.podMonitor.enabled": MONITORS_PODS,
    "metrics.podMonitor.labels": MONITORS_PODS,
    "metrics.podMonitor.interval": MONITORS_PODS,
    "metrics.podMonitor.endpoint": MONITORS_PODS,
    "metrics.service.enabled": {"metrics": {"serviceMonitor": {"enabled": False}}},
    "nameOverride": {"fullnameOverride": ""},
}
REQUIRED = {"webhook.caBundle": "-----BEGIN CERTIFICATE-----\nother"}
"""Values without which what shows them is refused, and so others than their default."""


def at(values: Values, path: str) -> Any:
    return reduce(lambda part, name: part[name], path.split("."), values)


def set_to(values: Values, path: str, value: Any) -> Values:
    """The values with one of them exchanged, not merged."""
    first, _, rest = path.partition(".")
    return {**values, first: set_to(values.get(first) or {}, rest, value) if rest else value}


def is_known(path: str) -> bool:
    schema = SCHEMA
    for name in path.split("."):
        schema = (schema.get("properties") or {}).get(name)
        if schema is None:
            return False
    return True


def open_objects(schema: Values, path: str = "") -> set[str]:
    """The paths of those parts of the schema that list names and take others as well."""
    parts = schema.get("properties") or {}
    here = {path} if parts and schema.get("additionalProperties") is not False else set()
    return here.union(*(open_objects(part, f"{path}.{name}") for name, part in parts.items()))


def names(schema: Values, path: str = "") -> set[str]:
    """The paths of all leaves."""
    parts = schema.get("properties")
    return {path[1:]} if not parts else set().union(*(names(part, f"{path}.{name}") for name, part in parts.items()))


def test_the_schema_knows_every_value_and_no_other() -> None:
    assert [path for path in DEFAULTS if not is_known(path)] == []
    assert open_objects(SCHEMA) == set()
    unknown = {name for name in names(SCHEMA) if not any(f"{name}.".startswith(f"{path}.") for path in DEFAULTS)}
    assert unknown == {"global"}  # which a chart that has this one as a part may set


def test_every_value_is_set_to_something_else_in_everything() -> None:
    assert [path for path, default in DEFAULTS.items() if at(EVERYTHING, path) == default] == []


@needs_helm
def test_the_chart_passes_helms_own_lint() -> None:
    linted = helm("lint", "--strict", str(CHART))
    assert linted.returncode == 0, linted.stdout


@cache
def _shown(by: str) -> tuple[Values, str]:
    values = merged(merged(EVERYTHING, SHOWS), json.loads(by))
    return values, text(values)


@needs_helm
@pytest.mark.parametrize("path", DEFAULTS)
def test_a_value_has_an_effect(path: str) -> None:
    values, before = _shown(json.dumps(SHOWS_BY.get(path, {})))
    default = REQUIRED.get(path, DEFAULTS[path])
    other = at(EVERYTHING, path) if at(values, path) == default else default
    assert text(set_to(values, path, other)) != before


BAD: list[tuple[str, Any, str]] = [
    ("image.pullPolicy", "Sometimes", "image.pullPolicy must be one of the following"),
    ("image.digest", "sha256:12", "image.digest: Does not match pattern"),
    ("image.repository", "", "image.repository: String length must be greater than or equal to 1"),
    ("image.regsitry", "example", "image: Additional property regsitry is not allowed"),
    ("replicaCount", 3, "(root): Additional property replicaCount is not allowed"),
    ("watchNamespaces", "ml", "watchNamespaces: Invalid type. Expected: array, given: string"),
    ("watchNamespaces", ["Team_A"], "watchNamespaces.0: Does not match pattern"),
    ("integrations.linkerd", True, "integrations: Additional property linkerd is not allowed"),
    ("integrations.istio", "yes", "integrations.istio: Invalid type. Expected: boolean, given: string"),
    ("prometheus.url", "prometheus:9090", "prometheus.url: Does not match pattern"),
    ("prometheus.token", "secret", "prometheus: Additional property token is not allowed"),
    ("resync", "often", "resync: Does not match pattern"),
    ("resync", 300, "resync: Invalid type. Expected: string, given: integer"),
    ("replicas", -1, "replicas: Must be greater than or equal to 0"),
    ("leaderElection.duration", "15", "leaderElection.duration: Does not match pattern"),
    ("podDisruptionBudget.maxUnavailable", "half", "podDisruptionBudget.maxUnavailable: Does not match pattern"),
    ("log.level", "loud", "log.level must be one of the following"),
    ("webhook.port", 70000, "webhook.port: Must be less than or equal to 65535"),
    ("webhook.timeoutSeconds", 60, "webhook.timeoutSeconds: Must be less than or equal to 30"),
    ("webhook.caBundle", "MIIB", "webhook.caBundle: Does not match pattern"),
    ("podLabels", {"tier": 1}, "podLabels.tier: Invalid type. Expected: string, given: integer"),
    ("imagePullSecrets", ["registry"], "imagePullSecrets.0: Invalid type. Expected: object, given: string"),
    ("resources.cpu", "1", "resources: Additional property cpu is not allowed"),
    ("affinity.zone", {}, "affinity: Additional property zone is not allowed"),
    ("metrics.serviceMonitor.interval", "30", "metrics.serviceMonitor.interval: Does not match pattern"),
    ("extraArgs", [1], "extraArgs.0: Invalid type. Expected: string, given: integer"),
]


@needs_helm
@pytest.mark.parametrize(("path", "value", "why"), BAD, ids=[f"{path}-{value}" for path, value, _ in BAD])
def test_a_bad_value_is_refused_with_its_path(path: str, value: Any, why: str) -> None:
    assert why in refusal(set_to({}, path, value))


@needs_helm
@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"webhook": {"enabled": True, "secretName": "own"}}, "webhook.caBundle: give the authority"),
        (
            {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
            "metrics.serviceMonitor needs metrics.service.enabled",
        ),
        (
            {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}},
            "enable one of them",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused_with_the_mend(values: Values, why: str) -> None:
    assert why in refusal(values)


@needs_helm
def test_by_default_it_installs_an_operator_its_definitions_and_its_permissions() -> None:
    kinds = sorted(f"{one['kind']} {one['metadata']['name']}" for one in rendered())
    assert kinds == [
        "ClusterRole modelrollout",
        "ClusterRole modelrollout-edit",
        "ClusterRole modelrollout-view",
        "ClusterRoleBinding modelrollout",
        "CustomResourceDefinition clustermetrictemplates.modelrollout.dev",
        "CustomResourceDefinition metrictemplates.modelrollout.dev",
        "CustomResourceDefinition modelrollouts.modelrollout.dev",
        "Deployment modelrollout",
        "Pod modelrollout-test",
        "PodDisruptionBudget modelrollout",
        "Role modelrollout-lease",
        "RoleBinding modelrollout-lease",
        "Service modelrollout-metrics",
        "ServiceAccount modelrollout",
    ]


@needs_helm
def test_targets_of_all_rollouts_come_from_a_secret_that_is_mounted() -> None:
    link = "https://grafana.example/d/1?var-rollout={{ rollout }}"
    objects = rendered({"notifications": {"secret": "alerts", "linkTemplate": link}})
    told = container(objects)
    assert {"--notifications=/notifications/targets.yaml", f"--link-template={link}"} <= {*told["args"]}
    assert told["volumeMounts"] == [{"name": "notifications", "mountPath": "/notifications", "readOnly": True}]
    (deployment,) = of_kind(objects, "Deployment")
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert volumes == [{"name": "notifications", "secret": {"secretName": "alerts"}}]


@needs_helm
def test_the_operator_is_told_what_the_values_say() -> None:
    values = {
        "watchNamespaces": ["ml", "fraud"],
        "prometheus": {"url": "http://prometheus"},
        "extraArgs": ["--host=::"],
    }
    assert container(rendered(values))["args"] == [
        "run",
        "--port=8080",
        "--log-level=info",
        "--log-format=json",
        "--resync=5m",
        "--metrics-rollouts=1000",
        "--lease=modelrollout",
        "--lease-namespace=modelrollout",
        "--lease-duration=15s",
        "--namespaces=ml,fraud",
        "--without=istio,keda,secrets",
        "--prometheus-url=http://prometheus",
        "--prometheus-allowed=*.{{namespace}}.svc,*.monitoring.svc",
        "--comparer-image=modelrollout.dev/modelrollout:0.1.0",
        "--host=::",
    ]


@needs_helm
def test_definitions_are_those_of_the_folder_and_stay_when_the_chart_goes() -> None:
    own = [yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    kept = [merged(one, {"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}}) for one in own]
    assert of_kind(rendered(), "CustomResourceDefinition") == kept
    assert of_kind(rendered({"crds": {"keep": False}}), "CustomResourceDefinition") == own


@needs_helm
def test_a_constraint_of_spread_is_about_the_operators_own_pods() -> None:
    spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
    objects = rendered({"crds": {"enabled": False}, "topologySpreadConstraints": spread})
    deployment = only(objects, "Deployment")
    (constraint,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert constraint == {**spread[0], "labelSelector": deployment["spec"]["selector"]}


@needs_helm
@pytest.mark.parametrize("release", ["modelrollout", "prod", "a" * 53])
def test_names_stay_within_the_limits_of_kubernetes(release: str) -> None:
    values = merged(merged(EVERYTHING, SHOWS), {"fullnameOverride": "", "crds": {"enabled": False}})
    for one in rendered(values, release):
        assert len(one["metadata"]["name"]) <= 63
        assert all(len(text) <= 63 for text in one["metadata"].get("labels", {}).values())
