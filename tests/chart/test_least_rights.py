"""An operator with nothing but the chart's ServiceAccount releases models of every sort: none of its requests is
forbidden, and it has no right that it does not use.

On a real kube-apiserver with RBAC, with Kubernetes' own controllers, Envoy and Prometheus.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yaml

from demo.playground import EXAMPLES
from modelrollout.api.base import API_VERSION
from modelrollout.api.status import Phase
from modelrollout.objects.access import Integration
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import (
    CUSTOM_RESOURCES,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    MODEL_ROLLOUTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SCALED_OBJECTS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from tests.chart.helm import CHART, RELEASE, Values, rendered
from tests.chart.installed import Right, Site, site
from tests.chart.test_rules import certificates, leases, operators, rights
from tests.integration.releases import Place, Release, comes_true

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

EVERYTHING: Values = {
    "replicas": 0,
    "integrations": dict.fromkeys(Integration, True),
    "webhook": {"enabled": True},
    "log": {"format": "text"},
}
"""No pod of the operator's runs here: a process does what it would do."""
ASKED_BY_ADMISSION: set[Right] = {("modelrollout.dev", "modelrollouts/finalizers", "update")}
"""The audit log has requests. Of this right OwnerReferencesPermissionEnforcement asks whenever an object is made."""

CANARY = [{"name": "canary", "canary": {"weights": [50, 100], "hold": "2s"}}]
PARENTS = [{"name": "sandbox", "namespace": "default"}]
SERIES = 'http_requests_total{namespace="{{ namespace }}",pod=~"{{ pods }}"'
ERRORS = {"bad": f'{SERIES},code=~"5.."}}', "total": f"{SERIES}}}"}
TEMPLATES = ("MetricTemplate", "ClusterMetricTemplate")


def plain(kind: str, version: str = "{{ model.version }}") -> Manifest:
    """A workload whose pods cost little: they answer and nothing else."""
    host = {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    server = {
        "name": "server",
        "image": f"test/plain:{version}",
        "args": ["--notes", "/nowhere"],
        "env": [host],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    pod = {"spec": {"containers": [server], "terminationGracePeriodSeconds": 1}}
    return {"apiVersion": "apps/v1", "kind": kind, "spec": {"replicas": 1, "template": pod}}


async def begun(release: Release, **changes: Any) -> None:
    """Version v1 serves; judged by readiness alone, and old pods go soon."""
    quick = {
        "workload": {"template": plain("Deployment")},
        "analysis": {"readinessOnly": True, "interval": "2s"},
        "stages": CANARY,
        "promotion": {"bake": "2s", "keepOld": "2s"},
    }
    await release.begin(**{**quick, **changes})
    await release.serves("v1", 120)


def digits() -> Manifest:
    """A workload that answers what it is asked, and counts that."""
    workload: Manifest = yaml.safe_load((EXAMPLES / "digits.yaml").read_text())["spec"]["workload"]
    workload["template"]["spec"]["replicas"] = 1
    return workload


async def has_pods(release: Release, number: int) -> bool:
    return len((await release.place.local.cluster.list(PODS, release.namespace)).items) == number


async def replaced(release: Release, **changes: Any) -> None:
    """Version v1 serves, v2 takes its place, and nothing of v1 is left."""
    await begun(release, **changes)
    await release.version("v2")
    status = await release.serves("v2", 180)
    cluster, workload = release.place.local.cluster, status.stable.workload if status.stable else ""

    async def is_alone() -> bool:
        kinds = (DEPLOYMENTS, STATEFUL_SETS, SERVICES)
        found = [one["metadata"] for kind in kinds for one in (await cluster.list(kind, release.namespace)).items]
        versions = {one["labels"].get("modelrollout.dev/revision") for one in found if "labels" in one} - {None}
        return len(versions) == 1 and workload in {one["name"] for one in found}

    await comes_true(is_alone, 90)


async def a_canary_of_a_service_account_and_then_another_router(release: Release) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": release.namespace, "name": "it"}}
    await release.place.local.cluster.create(account)
    template = plain("Deployment")
    template["spec"]["template"]["spec"]["serviceAccountName"] = "it"
    await replaced(release, workload={"template": template})
    await release.patch({"traffic": {"gatewayAPI": None, "service": {}}})
    await comes_true(lambda: release.has_none(HTTP_ROUTES), 90)


async def a_rollback_that_somebody_is_told_of(release: Release) -> None:
    told = [{"name": "chat", "secretRef": {"name": "alerts"}}]  # a Secret that is not there is asked for as well
    slow = [{"name": "canary", "canary": {"weights": [50, 100], "hold": "1m"}}]
    await begun(release, stages=slow, notifications=told)
    crashing = {**plain("Deployment")["spec"]["template"]["spec"]["containers"][0], "args": ["--nothing-of-the-kind"]}
    await release.patch({"workload": {"template": {"spec": {"template": {"spec": {"containers": [crashing]}}}}}})
    await release.until(lambda status: status.phase is Phase.ROLLED_BACK, 180)


async def a_shadow_with_a_comparer_templates_of_metrics_and_a_secret(release: Release) -> None:
    place = {"namespace": release.namespace, "name": "prometheus"}
    shown = {"apiVersion": "v1", "kind": "Secret", "metadata": place, "stringData": {"headers": "X-Scope-OrgID: ml"}}
    await release.place.local.cluster.create(shown)
    for kind in TEMPLATES:
        metric = {"name": kind.lower(), "ratio": ERRORS, "tolerance": {"absolute": "50%"}, "max": "90%"}
        place = {"namespace": release.namespace} if kind == TEMPLATES[0] else {}
        template = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "errors", **place}}
        await release.place.local.cluster.create({**template, "spec": {"metrics": [metric]}})
    compare = {"minAgreement": "80%", "agreement": {"path": "$.label"}}
    shadow = {"name": "shadow", "shadow": {"methods": ["POST"], "hold": "5s", "compare": compare}}
    templates = [{"name": "errors", "kind": kind} for kind in TEMPLATES]
    server = {"secretRef": {"name": "prometheus"}}
    analysis = {"interval": "2s", "noise": "independent", "templates": templates, "prometheus": server}
    async with release.users():
        await replaced(release, workload=digits(), stages=[shadow, *CANARY], analysis=analysis)


async def blue_green_with_a_preview(release: Release) -> None:
    preview = {"preview": {"header": {"name": "x-preview", "value": "1"}}, "previewHold": "2s", "hold": "2s"}
    await replaced(release, stages=[{"name": "switch", "blueGreen": preview}])


async def an_ab_test(release: Release) -> None:
    test = {
        "percent": 50,
        "sticky": {"bucketHeader": {"name": "x-bucket", "prefix": "b"}},
        "goal": {"metric": "errors", "superiority": True},
        "minDuration": "1h",
        "maxDuration": "2h",
    }
    metrics = [{"name": "errors", "ratio": ERRORS, "tolerance": {"absolute": "50%"}}]
    analysis = {"interval": "2s", "noise": "independent", "metrics": metrics}
    await begun(release, stages=[{"name": "test", "abTest": test}], analysis=analysis)
    await release.version("v2")
    await release.until(lambda status: status.phase is Phase.PROGRESSING, 120)
    await release.version("v1")
    await release.serves("v1")


async def stateful_sets_behind_a_service_with_a_preview(release: Release) -> None:
    stages = [{"name": "switch", "blueGreen": {"preview": {}, "previewHold": "2s", "hold": "2s"}}]
    workload = {"template": plain("StatefulSet")}
    await replaced(release, traffic={"port": 8080, "service": {}}, workload=workload, stages=stages)
    await release.patch({"workload": {"template": {"spec": {"replicas": 2}}}})
    await comes_true(lambda: has_pods(release, 2), 90)


async def a_grpc_route(release: Release) -> None:
    await replaced(release, traffic={"port": 8080, "grpc": {"parentRefs": PARENTS, "hostnames": [release.host]}})


async def a_virtual_service(release: Release) -> None:
    await replaced(release, traffic={"port": 8080, "istio": {"hosts": [release.host]}})


async def a_rule_of_a_users_route(release: Release) -> None:
    rule = {"name": "digits", "backendRefs": [{"name": "before", "port": 80}]}
    route = {
        "apiVersion": HTTP_ROUTES.api_version,
        "kind": HTTP_ROUTES.kind,
        "metadata": {"name": "users", "namespace": release.namespace},
        "spec": {"parentRefs": PARENTS, "hostnames": [release.host], "rules": [rule]},
    }
    await release.place.local.cluster.create(route)
    await replaced(release, traffic={"port": 8080, "routeRef": {"name": "users", "rule": "digits"}})


async def what_serves_already(release: Release, kind: str) -> None:
    before, labels = plain(kind, "v1"), {"app": "before"}
    before["metadata"] = {"name": "before", "namespace": release.namespace}
    before["spec"] |= {"selector": {"matchLabels": labels}}
    before["spec"]["template"]["metadata"] = {"labels": labels}
    await release.place.local.cluster.create(before)
    await begun(release, workload={"workloadRef": {"kind": kind, "name": "before", "whenManaged": "ScaleToZero"}})
    await comes_true(lambda: has_pods(release, 1), 90)


async def a_deployment_that_serves_already(release: Release) -> None:
    await what_serves_already(release, "Deployment")


async def a_stateful_set_that_serves_already(release: Release) -> None:
    await what_serves_already(release, "StatefulSet")


async def versions_with(release: Release, autoscaling: Manifest, most: str, resource: Resource) -> None:
    """What somebody made of the autoscaler and the budget is put back with the next version."""
    template, cluster = plain("Deployment"), release.place.local.cluster
    del template["spec"]["replicas"]
    beside = {"autoscaling": autoscaling, "podDisruptionBudget": {"maxUnavailable": 1}}
    await begun(release, workload={"template": template, **beside})
    for kind, edit in ((resource, {most: 9}), (POD_DISRUPTION_BUDGETS, {"maxUnavailable": 2})):
        (one,) = (await cluster.list(kind, release.namespace)).items
        await cluster.patch(kind, release.namespace, one["metadata"]["name"], {"spec": edit})
    await release.version("v2")
    await release.serves("v2", 180)

    async def are_alone() -> bool:
        kinds = (DEPLOYMENTS, resource, POD_DISRUPTION_BUDGETS)
        return [len((await cluster.list(kind, release.namespace)).items) for kind in kinds] == [1, 1, 1]

    await comes_true(are_alone, 90)


async def autoscalers_of_kubernetes(release: Release) -> None:
    wished = {"horizontalPodAutoscaler": {"maxReplicas": 3}}
    await versions_with(release, wished, "maxReplicas", HORIZONTAL_POD_AUTOSCALERS)


async def autoscalers_of_keda(release: Release) -> None:
    triggers = [{"type": "cpu", "metadata": {"value": "60"}}]
    wished = {"scaledObject": {"triggers": triggers, "maxReplicaCount": 3}}
    await versions_with(release, wished, "maxReplicaCount", SCALED_OBJECTS)


SCENARIOS = (
    a_canary_of_a_service_account_and_then_another_router,
    a_rollback_that_somebody_is_told_of,
    a_shadow_with_a_comparer_templates_of_metrics_and_a_secret,
    blue_green_with_a_preview,
    an_ab_test,
    stateful_sets_behind_a_service_with_a_preview,
    a_grpc_route,
    a_virtual_service,
    a_rule_of_a_users_route,
    a_deployment_that_serves_already,
    a_stateful_set_that_serves_already,
    autoscalers_of_kubernetes,
    autoscalers_of_keda,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with site(tmp_path_factory.mktemp("site")) as ground:
        yield ground


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forbidden_and_used(ground: Site) -> tuple[list[str], set[Right]]:
    """Everything is released at once, as most of the time is waiting; one process leads, and another takes over."""
    ground.helm("install", RELEASE, str(CHART), values=EVERYTHING)
    cluster, logs = ground.local.cluster, ground.local.directory
    async with (
        ground.operator(EVERYTHING, logs / "leader.log") as leader,
        ground.operator(EVERYTHING, logs / "standby.log"),
    ):
        releases = [Release(Place(ground.local, leader)) for _ in SCENARIOS]
        async with asyncio.TaskGroup() as together:
            for scenario, release in zip(SCENARIOS, releases, strict=True):
                await release.settle()
                together.create_task(scenario(release))
        await leader.stop()
        for release in releases:
            await cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)
        for release in releases:
            await comes_true(lambda release=release: release.has_none(MODEL_ROLLOUTS), 90)
    asked = [*ground.asked()]
    return [one.what for one in asked if one.code == 403], {right for one in asked for right in one.rights}


async def test_no_request_is_forbidden(forbidden_and_used: tuple[list[str], set[Right]]) -> None:
    forbidden, used = forbidden_and_used
    assert used
    assert forbidden == []


async def test_no_right_is_unused(forbidden_and_used: tuple[list[str], set[Right]]) -> None:
    _, used = forbidden_and_used
    objects = rendered(EVERYTHING)
    granted = rights([*operators(objects, "ClusterRole"), *leases(objects), *certificates(objects)])
    assert granted - used - ASKED_BY_ADMISSION == set()


async def test_with_namespaces_it_serves_these_and_asks_for_nothing_elsewhere(
    ground: Site, forbidden_and_used: tuple[list[str], set[Right]]
) -> None:
    before = len([*ground.asked()])
    cluster, values = ground.local.cluster, {**EVERYTHING, "watchNamespaces": ["narrow"]}
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "narrow"}})
    ground.helm("uninstall", RELEASE)
    assert await cluster.read(CUSTOM_RESOURCES, None, "modelrollouts.modelrollout.dev")  # they stay
    ground.helm("install", RELEASE, str(CHART), values=values)
    async with ground.operator(values, ground.local.directory / "narrow.log") as running:
        place = Place(ground.local, running)
        within, beyond = Release(place, "narrow"), Release(place)
        await beyond.create()
        await blue_green_with_a_preview(within)  # which asks what the Gateway's class can do
        assert (await beyond.status()).phase is None
        await cluster.delete(MODEL_ROLLOUTS, within.namespace, within.name)
        await comes_true(lambda: within.has_none(MODEL_ROLLOUTS), 90)
    asked = [*ground.asked()][before:]
    assert [one.what for one in asked if one.code == 403] == []
    elsewhere = {one.right[1] for one in asked if one.namespace != "narrow"}
    assert elsewhere == {"gateways", "gatewayclasses", "leases", "validatingwebhookconfigurations"}
