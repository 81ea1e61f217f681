"""The kinds that every cluster has, as far as the operator and the sandbox lean on them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from tests.contract.api_server.api_server_client import (
    STRATEGIC,
    TABLE,
    Answer,
    Api,
    config,
    deployment,
    path,
    widget,
    widgets,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLUSTER_IPS = ipaddress.ip_network("127.96.0.0/16")


def service(name: str, **spec: Any) -> dict[str, Any]:
    wish = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": wish}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    wish = {"containers": [{"name": "server", "image": "example/a:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": wish}


def event(name: str, namespace: str, about: str = "a") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "name": about, "namespace": namespace, "uid": "u-1"},
        "reason": "Promoted",
        "message": "all traffic is on the new version",
        "type": "Normal",
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "source": {"component": "modelrollout"},
    }


def refused(answer: Answer, field: str, reason: str = "FieldValueInvalid") -> None:
    assert answer.status == 422, answer.body
    assert (field, reason) in answer.causes


# StatefulSets


def stateful_set(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod(name)["spec"]}
    wish = {"serviceName": name, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": wish}


async def test_a_stateful_set_is_filled_in(api: Api, namespace: str) -> None:
    made = await api.made(path("apps/v1/statefulsets", namespace), stateful_set("a"))
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["podManagementPolicy"] == "OrderedReady"
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert (made["metadata"]["generation"], made["status"]) == (1, {"availableReplicas": 0, "replicas": 0})
    strategy = {"type": "OnDelete"}
    other = await api.made(path("apps/v1/statefulsets", namespace), stateful_set("b", updateStrategy=strategy))
    assert other["spec"]["updateStrategy"] == strategy


async def test_a_stateful_set_is_scaled_by_its_scale(api: Api, namespace: str) -> None:
    where = path("apps/v1/statefulsets", namespace, "a")
    await api.made(path("apps/v1/statefulsets", namespace), stateful_set("a"))
    answer = await api.patch(f"{where}/scale", {"spec": {"replicas": 3}})
    assert (answer.status, answer.body["status"]["selector"]) == (200, "app=a")
    found = (await api.get(where)).body
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (3, 2)


async def test_most_of_a_stateful_set_is_for_ever(api: Api, namespace: str) -> None:
    where = path("apps/v1/statefulsets", namespace, "a")
    await api.made(path("apps/v1/statefulsets", namespace), stateful_set("a"))
    refused(await api.patch(where, {"spec": {"serviceName": "other"}}), "spec", "FieldValueForbidden")
    refused(await api.patch(where, {"spec": {"podManagementPolicy": "Parallel"}}), "spec", "FieldValueForbidden")
    assert (await api.patch(where, {"spec": {"minReadySeconds": 5}})).status == 200


async def test_a_stateful_sets_policies_are_one_of_two(api: Api, namespace: str) -> None:
    where = path("apps/v1/statefulsets", namespace)
    refused(await api.post(where, stateful_set("a", podManagementPolicy="Random")), "spec.podManagementPolicy")
    refused(await api.post(where, stateful_set("a", updateStrategy={"type": "Recreate"})), "spec.updateStrategy")
    mixed = {"type": "OnDelete", "rollingUpdate": {"partition": 1}}
    refused(await api.post(where, stateful_set("a", updateStrategy=mixed)), "spec.updateStrategy.rollingUpdate")


# Deployments


async def test_a_deployment_is_filled_in(api: Api, namespace: str) -> None:
    made = await api.made(path("apps/v1/deployments", namespace), deployment("a", "example/a"))
    spec = made["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert made["status"] == {}
    pods = spec["template"]["spec"]
    assert {key: value for key, value in pods.items() if key != "containers"} == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }
    assert pods["containers"] == [
        {
            "name": "server",
            "image": "example/a",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always",
        }
    ]


async def test_probes_ports_and_environment_are_filled_in(api: Api, namespace: str) -> None:
    manifest = deployment("a")
    manifest["spec"]["template"]["spec"]["containers"] = [
        {
            "name": "server",
            "image": "example/a:1",
            "ports": [{"containerPort": 8080}],
            "readinessProbe": {"httpGet": {"port": 8080}},
            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "resources": {"limits": {"cpu": 1}},
        }
    ]
    made = await api.made(path("apps/v1/deployments", namespace), manifest)
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 8080, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["resources"] == {"limits": {"cpu": "1"}}
    assert container["imagePullPolicy"] == "IfNotPresent"


async def test_what_says_nothing_is_not_kept(api: Api, namespace: str) -> None:
    manifest = deployment("a", paused=False, minReadySeconds=0)
    manifest["metadata"] |= {"labels": {}, "annotations": None}
    made = await api.made(path("apps/v1/deployments", namespace), manifest)
    assert not {"paused", "minReadySeconds"} & set(made["spec"])
    assert not {"labels", "annotations"} & set(made["metadata"])


async def test_a_deployments_generation_counts_its_wishes_only(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace, "a")
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    labelled = await api.patch(where, {"metadata": {"labels": {"x": "y"}}}, STRATEGIC)
    assert labelled.body["metadata"]["generation"] == 1
    scaled = await api.patch(where, {"spec": {"replicas": 3}}, STRATEGIC)
    assert scaled.body["metadata"]["generation"] == 2
    status = {"observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "unavailableReplicas": 1}
    told = await api.patch(f"{where}/status", {"status": status})
    assert (told.body["metadata"]["generation"], told.body["status"]) == (2, status)


async def test_a_deployments_annotations_count_as_a_wish(api: Api, namespace: str) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    patch = {"metadata": {"annotations": {"example.com/note": "1"}}}
    answer = await api.patch(path("apps/v1/deployments", namespace, "a"), patch)
    assert answer.body["metadata"]["generation"] == 2


async def test_zeros_in_a_status_are_not_kept(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace, "a")
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    zeros = dict.fromkeys(
        ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "unavailableReplicas"), 0
    )
    answer = await api.patch(f"{where}/status", {"status": {"observedGeneration": 1, **zeros}})
    assert answer.body["status"] == {"observedGeneration": 1}


async def test_a_deployments_selector_must_fit_and_stay(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace)
    misfit = deployment("a", selector={"matchLabels": {"app": "other"}})
    answer = await api.post(where, misfit)
    refused(answer, "spec.template.metadata.labels")
    assert "`selector` does not match template `labels`" in answer.message
    await api.made(where, deployment("a"))
    labels = {"app": "a", "more": "1"}
    patch = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    answer = await api.patch(f"{where}/a", patch)
    refused(answer, "spec.selector")
    assert "field is immutable" in answer.message


async def test_a_deployment_needs_its_parts(api: Api, namespace: str) -> None:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {}}
    answer = await api.post(path("apps/v1/deployments", namespace), manifest)
    refused(answer, "spec.selector", "FieldValueRequired")
    refused(answer, "spec.template.spec.containers", "FieldValueRequired")


async def test_a_container_needs_an_image(api: Api, namespace: str) -> None:
    manifest = deployment("a")
    del manifest["spec"]["template"]["spec"]["containers"][0]["image"]
    answer = await api.post(path("apps/v1/deployments", namespace), manifest)
    refused(answer, "spec.template.spec.containers[0].image", "FieldValueRequired")


async def test_a_deployment_cannot_have_less_than_no_replicas(api: Api, namespace: str) -> None:
    answer = await api.post(path("apps/v1/deployments", namespace), deployment("a", replicas=-1))
    refused(answer, "spec.replicas")


async def test_a_deployment_that_recreates_does_not_roll(api: Api, namespace: str) -> None:
    strategy = {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}
    answer = await api.post(path("apps/v1/deployments", namespace), deployment("a", strategy=strategy))
    refused(answer, "spec.strategy.rollingUpdate", "FieldValueForbidden")


async def test_a_containers_ports_have_names_of_their_own(api: Api, namespace: str) -> None:
    manifest = deployment("a")
    ports = [{"containerPort": number, "name": "http"} for number in (80, 81)]
    manifest["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    answer = await api.post(path("apps/v1/deployments", namespace), manifest)
    refused(answer, "spec.template.spec.containers[0].ports[1].name", "FieldValueDuplicate")


async def test_a_deployment_is_scaled(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace, "a")
    await api.made(path("apps/v1/deployments", namespace), deployment("a", replicas=2))
    scale = (await api.get(f"{where}/scale")).body
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 0, "selector": "app=a"})
    answer = await api.put(f"{where}/scale", {**scale, "spec": {"replicas": 4}})
    assert (answer.status, answer.body["spec"]) == (200, {"replicas": 4})
    assert (await api.get(where)).body["spec"]["replicas"] == 4
    assert (await api.put(f"{where}/scale", {**scale, "spec": {"replicas": 5}})).status == 409


# Services


async def test_a_service_gets_an_address(api: Api, namespace: str) -> None:
    made = await api.made(path("services", namespace), service("a"))
    spec = made["spec"]
    assert ipaddress.ip_address(spec["clusterIP"]) in CLUSTER_IPS
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert made["status"] == {"loadBalancer": {}}


async def test_each_service_has_an_address_of_its_own(api: Api, namespace: str) -> None:
    made = [await api.made(path("services", namespace), service(f"a{number}")) for number in range(5)]
    assert len({each["spec"]["clusterIP"] for each in made}) == 5


async def test_a_service_keeps_its_address(api: Api, namespace: str) -> None:
    where = path("services", namespace, "a")
    made = await api.made(path("services", namespace), service("a"))
    moved = {**made, "spec": {**made["spec"], "clusterIP": "127.96.1.1", "clusterIPs": ["127.96.1.1"]}}
    answer = await api.put(where, moved)
    refused(answer, "spec.clusterIPs[0]")
    assert "may not change once set" in answer.message
    silent = service("a", selector={"app": "b"})
    answer = await api.put(where, silent)
    assert answer.body["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert answer.body["spec"]["selector"] == {"app": "b"}


async def test_a_given_address_is_taken_or_refused(api: Api, namespace: str) -> None:
    made = await api.made(path("services", namespace), service("a"))
    answer = await api.post(path("services", namespace), service("b", clusterIP=made["spec"]["clusterIP"]))
    refused(answer, "spec.clusterIPs")
    assert "provided IP is already allocated" in answer.message
    answer = await api.post(path("services", namespace), service("b", clusterIP="10.1.2.3"))
    refused(answer, "spec.clusterIPs")


async def test_an_address_is_free_again_when_its_service_is_gone(api: Api, namespace: str) -> None:
    made = await api.made(path("services", namespace), service("a"))
    await api.delete(path("services", namespace, "a"))
    again = await api.made(path("services", namespace), service("b", clusterIP=made["spec"]["clusterIP"]))
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]


async def test_a_headless_service_has_none(api: Api, namespace: str) -> None:
    made = await api.made(path("services", namespace), service("a", clusterIP="None"))
    assert (made["spec"]["clusterIP"], made["spec"]["clusterIPs"]) == ("None", ["None"])


async def test_a_service_needs_ports_with_names_when_there_are_several(api: Api, namespace: str) -> None:
    where = path("services", namespace)
    refused(await api.post(where, service("a", ports=[])), "spec.ports", "FieldValueRequired")
    answer = await api.post(where, service("a", ports=[{"port": 80}, {"port": 81}]))
    refused(answer, "spec.ports[0].name", "FieldValueRequired")
    refused(await api.post(where, service("a", ports=[{"port": 0}])), "spec.ports[0].port")


async def test_a_services_selector_can_be_switched(api: Api, namespace: str) -> None:
    await api.made(path("services", namespace), service("a", selector={"app": "a", "arm": "stable"}))
    patch = {"spec": {"selector": {"arm": "candidate"}}}
    answer = await api.patch(path("services", namespace, "a"), patch, STRATEGIC)
    assert answer.body["spec"]["selector"] == {"app": "a", "arm": "candidate"}


async def test_endpoints_may_not_lie_on_this_machine(api: Api, namespace: str) -> None:
    manifest = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "a"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.64.0.1"]}],
        "ports": [{"port": 80}],
    }
    where = path("discovery.k8s.io/v1/endpointslices", namespace)
    answer = await api.post(where, manifest)
    refused(answer, "endpoints[0].addresses[0]")
    assert "may not be in the loopback range (127.0.0.0/8, ::1/128)" in answer.message
    made = await api.made(where, {**manifest, "endpoints": [{"addresses": ["10.1.2.3"]}]})
    assert made["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {}}]
    assert made["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]


# Pods


async def test_a_pod_waits_to_be_run(api: Api, namespace: str) -> None:
    made = await api.made(path("pods", namespace), pod("a"))
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["enableServiceLinks"] is True


async def test_a_pods_status_is_its_nodes(api: Api, namespace: str) -> None:
    await api.made(path("pods", namespace), pod("a", nodeName="sandbox"))
    status = {
        "phase": "Running",
        "podIP": "127.64.0.1",
        "podIPs": [{"ip": "127.64.0.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {
                "name": "server",
                "ready": True,
                "restartCount": 0,
                "image": "example/a:1",
                "imageID": "",
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                "lastState": {},
            }
        ],
    }
    answer = await api.patch(path("pods", namespace, "a", "status"), {"status": status})
    assert answer.status == 200, answer.body
    found = answer.body["status"]
    assert (found["phase"], found["podIP"]) == ("Running", "127.64.0.1")
    assert found["conditions"][0]["status"] == "True"
    assert found["containerStatuses"][0]["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


async def test_conditions_of_a_pod_merge_by_type(api: Api, namespace: str) -> None:
    await api.made(path("pods", namespace), pod("a", nodeName="sandbox"))
    where = path("pods", namespace, "a", "status")
    for kind in ("Ready", "Initialized"):
        await api.patch(where, {"status": {"conditions": [{"type": kind, "status": "True"}]}}, STRATEGIC)
    answer = await api.patch(where, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, STRATEGIC)
    assert {each["type"]: each["status"] for each in answer.body["status"]["conditions"]} == {
        "Ready": "False",
        "Initialized": "True",
    }


async def test_pods_are_selected_by_node_and_phase(api: Api, namespace: str) -> None:
    await api.made(path("pods", namespace), pod("a", nodeName="sandbox"))
    await api.made(path("pods", namespace), pod("b"))
    await api.patch(path("pods", namespace, "a", "status"), {"status": {"phase": "Running"}})

    async def found(selector: str) -> list[str]:
        items = (await api.get(path("pods", namespace), fieldSelector=selector)).body["items"]
        return [each["metadata"]["name"] for each in items]

    assert await found("spec.nodeName=sandbox") == ["a"]
    assert await found("status.phase=Running") == ["a"]
    assert await found("status.phase!=Running") == ["b"]


async def test_what_a_pod_runs_is_fixed_but_for_its_image(api: Api, namespace: str) -> None:
    await api.made(path("pods", namespace), pod("a"))
    image = {"spec": {"containers": [{"name": "server", "image": "example/a:2"}]}}
    assert (await api.patch(path("pods", namespace, "a"), image, STRATEGIC)).status == 200
    command = {"spec": {"containers": [{"name": "server", "command": ["x"]}]}}
    answer = await api.patch(path("pods", namespace, "a"), command, STRATEGIC)
    refused(answer, "spec", "FieldValueForbidden")
    assert "pod updates may not change fields other than" in answer.message


async def test_a_running_pod_is_given_time_to_go(api: Api, namespace: str) -> None:
    await api.made(path("pods", namespace), pod("a", nodeName="sandbox", terminationGracePeriodSeconds=20))
    answer = await api.delete(path("pods", namespace, "a"))
    assert (answer.status, answer.body["kind"]) == (200, "Pod")
    going = (await api.get(path("pods", namespace, "a"))).body["metadata"]
    assert (going["deletionGracePeriodSeconds"], "deletionTimestamp" in going) == (20, True)
    shorter = await api.delete(path("pods", namespace, "a"), {"gracePeriodSeconds": 3})
    assert shorter.body["metadata"]["deletionGracePeriodSeconds"] == 3
    answer = await api.delete(path("pods", namespace, "a"), {"gracePeriodSeconds": 0})
    assert answer.status == 200
    assert (await api.get(path("pods", namespace, "a"))).status == 404


async def test_a_pod_on_no_node_goes_at_once(api: Api, namespace: str) -> None:
    await api.made(path("pods", namespace), pod("a"))
    answer = await api.delete(path("pods", namespace, "a"))
    assert (answer.status, answer.body["kind"]) == (200, "Pod")
    assert (await api.get(path("pods", namespace, "a"))).status == 404


async def test_a_pod_that_has_ended_goes_at_once(api: Api, namespace: str) -> None:
    await api.made(path("pods", namespace), pod("a", nodeName="sandbox"))
    await api.patch(path("pods", namespace, "a", "status"), {"status": {"phase": "Succeeded"}})
    await api.delete(path("pods", namespace, "a"))
    assert (await api.get(path("pods", namespace, "a"))).status == 404


async def test_a_pod_with_a_finalizer_outlives_its_grace(api: Api, namespace: str) -> None:
    manifest = pod("a", nodeName="sandbox")
    manifest["metadata"]["finalizers"] = ["example.com/hold"]
    await api.made(path("pods", namespace), manifest)
    await api.delete(path("pods", namespace, "a"), {"gracePeriodSeconds": 0})
    held = (await api.get(path("pods", namespace, "a"))).body
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    await api.patch(path("pods", namespace, "a"), {"metadata": {"finalizers": None}})
    assert (await api.get(path("pods", namespace, "a"))).status == 404


# Jobs


async def test_a_job_selects_its_own_pods(api: Api, namespace: str) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "check", "image": "example/check:1"}]}}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"template": template}}
    made = await api.made(path("batch/v1/jobs", namespace), manifest)
    uid, spec = made["metadata"]["uid"], made["spec"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert spec["template"]["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] == uid
    assert spec["template"]["metadata"]["labels"]["job-name"] == "a"
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 6)
    answer = await api.patch(path("batch/v1/jobs", namespace, "a"), {"spec": {"template": {"spec": {"priority": 5}}}})
    assert answer.status == 422


async def test_a_jobs_pods_may_not_restart_for_ever(api: Api, namespace: str) -> None:
    template = {"spec": {"containers": [{"name": "check", "image": "example/check:1"}]}}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"template": template}}
    answer = await api.post(path("batch/v1/jobs", namespace), manifest)
    refused(answer, "spec.template.spec.restartPolicy", "FieldValueRequired")


# Config, secrets, leases


async def test_a_secret_is_written_plainly_and_kept_encoded(api: Api, namespace: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"token": "abc"}}
    made = await api.made(path("secrets", namespace), manifest)
    assert (made["type"], made["data"]) == ("Opaque", {"token": "YWJj"})
    assert "stringData" not in made


async def test_what_is_immutable_stays(api: Api, namespace: str) -> None:
    await api.made(path("configmaps", namespace), {**config("a", x="1"), "immutable": True})
    answer = await api.patch(path("configmaps", namespace, "a"), {"data": {"x": "2"}})
    refused(answer, "data", "FieldValueForbidden")


async def test_a_lease_is_taken_by_whoever_saw_its_last_state(api: Api, namespace: str) -> None:
    spec = {"holderIdentity": "one", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    manifest = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}, "spec": spec}
    where = path("coordination.k8s.io/v1/leases", namespace)
    made = await api.made(where, manifest)
    assert made["spec"] == spec
    taken = await api.put(f"{where}/a", {**made, "spec": {**spec, "holderIdentity": "two"}})
    assert (taken.status, taken.body["spec"]["holderIdentity"]) == (200, "two")
    late = await api.put(f"{where}/a", {**made, "spec": {**spec, "holderIdentity": "three"}})
    assert (late.status, late.body["reason"]) == (409, "Conflict")


async def test_a_lease_that_is_gone_is_not_made_again_by_renewing_it(api: Api, namespace: str) -> None:
    where = path("coordination.k8s.io/v1/leases", namespace)
    manifest = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}, "spec": {}}
    made = await api.made(where, manifest)
    await api.delete(f"{where}/a")
    late = await api.put(f"{where}/a", made)
    assert (late.status, late.body["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition" in late.body["message"]
    assert (await api.put(f"{where}/a", manifest)).status == 201


# Events


async def test_events_are_found_by_what_they_are_about(api: Api, namespace: str) -> None:
    for name, about in (("e1", "a"), ("e2", "b")):
        await api.made(path("events", namespace), event(name, namespace, about))

    async def found(selector: str) -> list[str]:
        items = (await api.get(path("events", namespace), fieldSelector=selector)).body["items"]
        return [each["metadata"]["name"] for each in items]

    assert await found("involvedObject.name=a") == ["e1"]
    assert await found("involvedObject.kind=Pod,involvedObject.name=b") == ["e2"]
    assert await found(f"involvedObject.uid=u-1,involvedObject.namespace={namespace}") == ["e1", "e2"]
    assert await found("reason=Promoted,type=Normal") == ["e1", "e2"]


async def test_an_event_stands_where_its_object_does(api: Api, namespace: str) -> None:
    answer = await api.post(path("events", namespace), event("e1", "default"))
    refused(answer, "involvedObject.namespace")


async def test_both_kinds_of_events_are_one(api: Api, namespace: str) -> None:
    await api.made(path("events", namespace), event("e1", namespace))
    found = (await api.get(path("events.k8s.io/v1/events", namespace, "e1"))).body
    assert (found["apiVersion"], found["regarding"]["name"]) == ("events.k8s.io/v1", "a")
    assert (found["note"], found["deprecatedCount"]) == ("all traffic is on the new version", 1)
    assert found["deprecatedSource"] == {"component": "modelrollout"}
    newer = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e2"},
        "regarding": {"kind": "Pod", "name": "b", "namespace": namespace},
        "reason": "Held",
        "note": "weight held",
        "type": "Warning",
        "action": "Hold",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "modelrollout.dev/operator",
        "reportingInstance": "one",
    }
    await api.made(path("events.k8s.io/v1/events", namespace), newer)
    older = (await api.get(path("events", namespace, "e2"))).body
    assert (older["involvedObject"]["name"], older["message"]) == ("b", "weight held")
    assert older["reportingComponent"] == "modelrollout.dev/operator"


async def test_an_event_is_counted_up(api: Api, namespace: str) -> None:
    await api.made(path("events", namespace), event("e1", namespace))
    answer = await api.patch(path("events", namespace, "e1"), {"count": 2, "lastTimestamp": "2026-01-01T00:01:00Z"})
    assert (answer.body["count"], answer.body["lastTimestamp"]) == (2, "2026-01-01T00:01:00Z")


async def test_an_event_can_be_applied_again_and_again(api: Api, namespace: str) -> None:
    where = path("events", namespace, "e1")
    first = await api.apply(where, event("e1", namespace), "operator")
    again = await api.apply(where, event("e1", namespace), "operator")
    assert (first.status, again.status, again.body) == (201, 200, first.body)


# Access


async def test_whoever_has_the_token_may_do_everything(api: Api) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "patch", "resource": "services", "namespace": "default"}},
    }
    answer = await api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert (answer.status, answer.body["status"]["allowed"]) == (201, True)


async def test_roles_are_stored(api: Api, namespace: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "a:b"}, "rules": rules}
    made = await api.made(path("rbac.authorization.k8s.io/v1/roles", namespace), role)
    assert made["rules"] == rules


# Tables


async def _row(api: Api, where: str) -> dict[str, Any]:
    table = (await api.get(where, accept=TABLE)).body
    [row] = table["rows"]
    names = [each["name"] for each in table["columnDefinitions"]]
    return dict(zip(names, row["cells"], strict=True))


async def test_a_deployments_row_counts_its_pods(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace)
    await api.made(where, deployment("a", replicas=3))
    status = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1, "unavailableReplicas": 2}
    await api.patch(f"{where}/a/status", {"status": status})
    row = await _row(api, where)
    assert (row["Name"], row["Ready"], row["Up-to-date"], row["Available"]) == ("a", "2/3", 3, 1)
    assert (row["Containers"], row["Images"], row["Selector"]) == ("server", "example/a:1", "app=a")


async def test_a_pods_row_tells_how_it_is(api: Api, namespace: str) -> None:
    where = path("pods", namespace)
    await api.made(where, pod("a", nodeName="sandbox"))
    assert (await _row(api, where))["Status"] == "Pending"
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    container = {"name": "server", "ready": False, "restartCount": 3, "image": "", "imageID": "", "state": waiting}
    await api.patch(f"{where}/a/status", {"status": {"phase": "Running", "containerStatuses": [container]}})
    row = await _row(api, where)
    assert (row["Ready"], row["Status"], row["Restarts"]) == ("0/1", "CrashLoopBackOff", "3")
    running = {**container, "ready": True, "state": {"running": {}}}
    status = {"podIP": "127.64.0.9", "podIPs": [{"ip": "127.64.0.9"}], "containerStatuses": [running]}
    await api.patch(f"{where}/a/status", {"status": status})
    row = await _row(api, where)
    assert (row["Ready"], row["Status"], row["IP"], row["Node"]) == ("1/1", "Running", "127.64.0.9", "sandbox")
    await api.delete(f"{where}/a")
    assert (await _row(api, where))["Status"] == "Terminating"


async def test_a_services_row_tells_its_address(api: Api, namespace: str) -> None:
    made = await api.made(path("services", namespace), service("a", ports=[{"port": 80}]))
    row = await _row(api, path("services", namespace))
    assert (row["Type"], row["Cluster-IP"], row["External-IP"]) == ("ClusterIP", made["spec"]["clusterIP"], "<none>")
    assert (row["Port(s)"], row["Selector"]) == ("80/TCP", "app=a")


async def test_an_events_row_tells_what_happened(api: Api, namespace: str) -> None:
    await api.made(path("events", namespace), event("e1", namespace))
    row = await _row(api, path("events", namespace))
    assert (row["Type"], row["Reason"], row["Object"]) == ("Normal", "Promoted", "pod/a")
    assert row["Message"] == "all traffic is on the new version"
    assert row["Source"] == "modelrollout"


async def test_one_object_is_a_table_of_one_row(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    table = (await api.get(widgets(namespace, "a"), accept=TABLE)).body
    assert (table["kind"], len(table["rows"])) == ("Table", 1)


async def test_the_columns_of_the_usual_kinds(api: Api, namespace: str) -> None:
    expected = {
        "/api/v1/namespaces": ["Name", "Status", "Age"],
        path("configmaps", namespace): ["Name", "Data", "Age"],
        path("secrets", namespace): ["Name", "Type", "Data", "Age"],
        path("serviceaccounts", namespace): ["Name", "Age"],
        path("coordination.k8s.io/v1/leases", namespace): ["Name", "Holder", "Age"],
        path("batch/v1/jobs", namespace): [
            "Name",
            "Status",
            "Completions",
            "Duration",
            "Age",
            "Containers",
            "Images",
            "Selector",
        ],
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": ["Name", "Created At"],
    }
    for where, names in expected.items():
        table = (await api.get(where, accept=TABLE)).body
        assert [each["name"] for each in table["columnDefinitions"]] == names, where
