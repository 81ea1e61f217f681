"""What people type: the real kubectl against both servers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.contract.api_server.api_server_client import Api, config, deployment, path, widget, widgets
from tests.contract.conftest import Kubectl

pytestmark = pytest.mark.asyncio(loop_scope="session")

READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Healthy"}}


# Applying


async def test_apply_makes_changes_and_leaves_alone(api: Api, namespace: str, kubectl: Kubectl) -> None:
    assert "widget.contract.example.com/a created" in await kubectl("apply", "-f", "-", manifest=widget("a", size=4))
    assert "a unchanged" in await kubectl("apply", "-f", "-", manifest=widget("a", size=4))
    assert "a configured" in await kubectl("apply", "-f", "-", manifest=widget("a", size=5, colour="red"))
    assert "a configured" in await kubectl("apply", "-f", "-", manifest=widget("a", size=5))
    assert (await api.get(widgets(namespace, "a"))).body["spec"] == {"size": 5}


async def test_apply_of_built_in_kinds(api: Api, namespace: str, kubectl: Kubectl) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    manifests = [deployment("a", replicas=2), service, config("a", x="1")]
    said = await kubectl("apply", "-f", "-", manifest=manifests)
    assert said.count("created") == 3
    assert (await kubectl("apply", "-f", "-", manifest=manifests)).count("unchanged") == 3
    said = await kubectl("apply", "-f", "-", manifest=[deployment("a", "example/a:2", replicas=2), service])
    assert ("deployment.apps/a configured" in said, "service/a unchanged" in said) == (True, True)
    found = (await api.get(path("apps/v1/deployments", namespace, "a"))).body
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "example/a:2"
    assert found["metadata"]["generation"] == 2


async def test_apply_keeps_what_others_have_written(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", manifest=deployment("a"))
    side = {"name": "side", "image": "example/side:1"}
    patch = {"spec": {"template": {"spec": {"containers": [side]}}}}
    await api.patch(
        path("apps/v1/deployments", namespace, "a"), patch, "application/strategic-merge-patch+json", fieldManager="you"
    )
    await kubectl("apply", "-f", "-", manifest=deployment("a", "example/a:2"))
    containers = (await api.get(path("apps/v1/deployments", namespace, "a"))).body["spec"]["template"]["spec"]
    assert {each["name"]: each["image"] for each in containers["containers"]} == {
        "server": "example/a:2",
        "side": "example/side:1",
    }


async def test_apply_refuses_what_is_misspelt(kubectl: Kubectl) -> None:
    said = await kubectl("apply", "-f", "-", manifest=widget("a", sise=4), fails=True)
    assert 'unknown field "spec.sise"' in said
    said = await kubectl("apply", "-f", "-", manifest=deployment("a", replica=4), fails=True)
    assert 'unknown field "spec.replica"' in said


async def test_apply_tells_what_is_wrong(kubectl: Kubectl) -> None:
    said = await kubectl("apply", "-f", "-", manifest=widget("a", size=0), fails=True)
    assert 'The Widget "a" is invalid: spec.size: Invalid value: 0' in said
    assert "should be greater than or equal to 1" in said


async def test_apply_of_an_unknown_kind_says_so(kubectl: Kubectl) -> None:
    stranger = {"apiVersion": "nobody.example.com/v1", "kind": "Stranger", "metadata": {"name": "a"}}
    said = await kubectl("apply", "-f", "-", manifest=stranger, fails=True)
    assert 'no matches for kind "Stranger" in version "nobody.example.com/v1"' in said


async def test_apply_on_the_server_side(api: Api, namespace: str, kubectl: Kubectl) -> None:
    said = await kubectl("apply", "--server-side", "-f", "-", manifest=widget("a", size=4))
    assert "widget.contract.example.com/a serverside-applied" in said
    await api.patch(widgets(namespace, "a"), {"spec": {"size": 5}}, fieldManager="hand")
    said = await kubectl("apply", "--server-side", "-f", "-", manifest=widget("a", size=4), fails=True)
    assert 'conflict with "hand" using contract.example.com/v1: .spec.size' in said
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", manifest=widget("a", size=4))
    assert (await api.get(widgets(namespace, "a"))).body["spec"] == {"size": 4}


async def test_apply_moves_from_the_client_side_to_the_server_side(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", manifest=widget("a", size=4, colour="red"))
    await kubectl("apply", "--server-side", "-f", "-", manifest=widget("a", size=5))
    assert (await api.get(widgets(namespace, "a"))).body["spec"] == {"size": 5}


async def test_diff_shows_what_apply_would_do(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", manifest=widget("a", size=4))
    assert await kubectl("diff", "-f", "-", manifest=widget("a", size=4)) == ""
    said = await kubectl("diff", "-f", "-", manifest=widget("a", size=5), fails=True)
    assert ("-  size: 4" in said, "+  size: 5" in said) == (True, True)


async def test_apply_can_be_rehearsed(api: Api, namespace: str, kubectl: Kubectl) -> None:
    said = await kubectl("apply", "--dry-run=server", "-f", "-", manifest=widget("a"))
    assert "created (server dry run)" in said
    assert (await api.get(widgets(namespace, "a"))).status == 404


async def test_create_and_replace(api: Api, namespace: str, kubectl: Kubectl) -> None:
    assert "created" in await kubectl("create", "-f", "-", manifest=widget("a", size=4))
    assert "already exists" in await kubectl("create", "-f", "-", manifest=widget("a"), fails=True)
    assert "replaced" in await kubectl("replace", "-f", "-", manifest=widget("a", size=6))
    assert (await api.get(widgets(namespace, "a"))).body["spec"] == {"size": 6}


async def test_what_kubectl_makes_up_itself(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await kubectl("create", "namespace", f"{namespace}-more")
    await kubectl("create", "configmap", "a", "--from-literal=x=1")
    await kubectl("create", "secret", "generic", "a", "--from-literal=token=abc")
    await kubectl("create", "serviceaccount", "a")
    await kubectl(
        "create", "deployment", "a", "--image=example/a:1", "--replicas=2", "--port=8080", "--", "serve", "-v"
    )
    await kubectl("create", "service", "clusterip", "a", "--tcp=80:8080")
    await kubectl("create", "job", "a", "--image=example/check:1")
    await kubectl("expose", "deployment", "a", "--name=b", "--port=80", "--target-port=http")
    assert (await api.get(f"/api/v1/namespaces/{namespace}-more")).status == 200
    assert (await api.get(path("configmaps", namespace, "a"))).body["data"] == {"x": "1"}
    assert (await api.get(path("secrets", namespace, "a"))).body["data"] == {"token": "YWJj"}
    spec = (await api.get(path("apps/v1/deployments", namespace, "a"))).body["spec"]
    [container] = spec["template"]["spec"]["containers"]
    assert (spec["replicas"], container["command"]) == (2, ["serve", "-v"])
    assert container["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    ports = [(await api.get(path("services", namespace, name))).body["spec"]["ports"][0] for name in ("a", "b")]
    assert [each["targetPort"] for each in ports] == [8080, "http"]
    job = (await api.get(path("batch/v1/jobs", namespace, "a"))).body["spec"]["template"]["spec"]
    assert (job["restartPolicy"], job["containers"][0]["image"]) == ("Never", "example/check:1")


# Looking


async def test_get_prints_the_columns_of_the_kind(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a", size=4, nested={"note": "hello"}))
    await api.patch(widgets(namespace, "a", "status"), READY)
    table = await kubectl("get", "widgets")
    assert table.splitlines()[0].split() == ["NAME", "SIZE", "READY", "AGE"]
    assert table.splitlines()[1].split()[:3] == ["a", "4", "True"]
    assert "hello" in await kubectl("get", "wdg", "a", "-o", "wide")
    assert "No resources found" in await kubectl("get", "widgets", "-l", "app=nobody")


async def test_get_finds_a_category(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a"))
    assert "widget.contract.example.com/a" in await kubectl("get", "toys", "-o", "name")


async def test_get_everything(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    table = await kubectl("get", "all")
    assert "deployment.apps/a" in table


async def test_get_in_other_forms(api: Api, namespace: str, kubectl: Kubectl) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    printed = json.loads(await kubectl("get", "widget", "a", "-o", "json", "--show-managed-fields"))
    assert printed == made
    assert await kubectl("get", "widget", "a", "-o", "jsonpath={.spec.size}") == "4"
    assert "managedFields" not in await kubectl("get", "widget", "a", "-o", "yaml")


async def test_get_of_nothing_says_so(kubectl: Kubectl) -> None:
    said = await kubectl("get", "widget", "nobody", fails=True)
    assert 'Error from server (NotFound): widgets.contract.example.com "nobody" not found' in said
    assert 'the server doesn\'t have a resource type "strangers"' in await kubectl("get", "strangers", fails=True)


async def test_get_sees_changes_as_they_happen(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a", size=4))
    child = await kubectl.start("get", "widgets", "--watch")
    assert child.stdout is not None

    async def line() -> list[str]:
        assert child.stdout is not None
        return (await asyncio.wait_for(child.stdout.readline(), 20)).decode().split()

    assert (await line())[0] == "NAME"
    assert (await line())[:2] == ["a", "4"]
    await api.patch(widgets(namespace, "a"), {"spec": {"size": 5}})
    assert (await line())[:2] == ["a", "5"]
    await api.made(widgets(namespace), widget("b", size=6))
    assert (await line())[:2] == ["b", "6"]
    child.terminate()
    await child.communicate()


async def test_describe_tells_an_object_and_its_events(api: Api, namespace: str, kubectl: Kubectl) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    about = {"apiVersion": "contract.example.com/v1", "kind": "Widget", "name": "a", "namespace": namespace}
    event = {
        "metadata": {"name": "e1"},
        "involvedObject": {**about, "uid": made["metadata"]["uid"]},
        "reason": "Promoted",
        "message": "all traffic is on the new version",
        "type": "Normal",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
        "source": {"component": "modelrollout"},
    }
    await api.made(path("events", namespace), event)
    said = await kubectl("describe", "widget", "a")
    assert ("Size:  4" in said, "Promoted" in said, "all traffic is on the new version" in said) == (True, True, True)


async def test_describe_knows_deployments_pods_and_services(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a", replicas=2))
    said = await kubectl("describe", "deployment", "a")
    assert ("2 desired" in said, "25% max unavailable, 25% max surge" in said) == (True, True)
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "example/a:1"}]}}
    await api.made(path("pods", namespace), pod)
    said = await kubectl("describe", "pod", "p")
    assert ("example/a:1" in said, "Pending" in said) == (True, True)
    service = {"metadata": {"name": "s"}, "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}}
    await api.made(path("services", namespace), service)
    said = await kubectl("describe", "service", "s")
    assert ("app=a" in said, "127.96." in said) == (True, True)


async def test_get_events(api: Api, namespace: str, kubectl: Kubectl) -> None:
    event = {
        "metadata": {"name": "e1"},
        "involvedObject": {
            "apiVersion": "contract.example.com/v1",
            "kind": "Widget",
            "name": "a",
            "namespace": namespace,
        },
        "reason": "Promoted",
        "message": "all traffic is on the new version",
        "type": "Normal",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    await api.made(path("events", namespace), event)
    table = await kubectl("get", "events")
    assert table.splitlines()[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert table.splitlines()[1].split()[1:4] == ["Normal", "Promoted", "widget/a"]
    assert "all traffic is on the new version" in await kubectl("get", "events", "--field-selector", "reason=Promoted")
    assert "Promoted" in await kubectl("events", "--for", "widget/a")


async def test_explain_knows_fields(kubectl: Kubectl) -> None:
    said = await kubectl("explain", "widget.spec.colour")
    assert ("colour <string>" in said, "red" in said) == (True, True)
    assert "Number of desired pods" in await kubectl("explain", "deployment.spec.replicas")
    assert "steps" in await kubectl("explain", "widget.spec", "--recursive")


async def test_kinds_can_be_listed(kubectl: Kubectl) -> None:
    said = await kubectl("api-resources", "--api-group=contract.example.com")
    assert ("widgets" in said, "wdg" in said, "Widget" in said) == (True, True, True)
    assert "contract.example.com/v1" in await kubectl("api-versions")
    assert await kubectl("auth", "can-i", "create", "deployments") == "yes\n"


# Waiting


async def test_wait_for_a_condition(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a"))
    waiting = asyncio.create_task(kubectl("wait", "--for=condition=Ready", "widget/a", "--timeout=30s"))
    await api.patch(widgets(namespace, "a", "status"), READY)
    assert "widget.contract.example.com/a condition met" in await waiting


async def test_wait_gives_up(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a"))
    said = await kubectl("wait", "--for=condition=Ready", "widget/a", "--timeout=1s", fails=True)
    assert "timed out waiting for the condition" in said


async def test_wait_for_a_value(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a"))
    waiting = asyncio.create_task(
        kubectl("wait", "--for=jsonpath={.status.phase}=Healthy", "widget/a", "--timeout=30s")
    )
    await api.patch(widgets(namespace, "a", "status"), READY)
    assert "condition met" in await waiting


async def test_wait_for_the_end(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a"))
    waiting = asyncio.create_task(kubectl("wait", "--for=delete", "widget/a", "--timeout=30s"))
    await api.delete(widgets(namespace, "a"))
    await waiting


async def test_rollout_status_of_a_deployment(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a", replicas=1))
    waiting = asyncio.create_task(kubectl("rollout", "status", "deployment/a", "--timeout=30s"))
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    await api.patch(path("apps/v1/deployments", namespace, "a", "status"), {"status": status})
    assert 'deployment "a" successfully rolled out' in await waiting


# Changing


async def test_annotate_and_label(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a"))
    await kubectl("annotate", "widget", "a", "example.com/action=promote/1")
    said = await kubectl("annotate", "widget", "a", "example.com/action=abort/2", fails=True)
    assert "--overwrite is false" in said
    await kubectl("annotate", "--overwrite", "widget", "a", "example.com/action=abort/2")
    await kubectl("label", "widget", "a", "team=x")
    metadata = (await api.get(widgets(namespace, "a"))).body["metadata"]
    assert (metadata["annotations"], metadata["labels"]) == ({"example.com/action": "abort/2"}, {"team": "x"})
    await kubectl("annotate", "widget", "a", "example.com/action-")
    assert "annotations" not in (await api.get(widgets(namespace, "a"))).body["metadata"]


async def test_patch_in_each_way(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(widgets(namespace), widget("a"))
    await kubectl("patch", "widget", "a", "--type=merge", "-p", '{"spec":{"size":7}}')
    operations = '[{"op":"replace","path":"/spec/size","value":8}]'
    await kubectl("patch", "widget", "a", "--type=json", "-p", operations)
    await kubectl("patch", "widget", "a", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Up"}}')
    found = (await api.get(widgets(namespace, "a"))).body
    assert (found["spec"], found["status"]) == ({"size": 8}, {"phase": "Up"})


async def test_scale(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a", replicas=1))
    assert "deployment.apps/a scaled" in await kubectl("scale", "deployment", "a", "--replicas=4")
    assert (await api.get(path("apps/v1/deployments", namespace, "a"))).body["spec"]["replicas"] == 4
    await api.made(widgets(namespace), widget("a", replicas=1))
    await kubectl("scale", "widget", "a", "--replicas=5")
    assert (await api.get(widgets(namespace, "a"))).body["spec"]["replicas"] == 5


async def test_set_image_and_restart(api: Api, namespace: str, kubectl: Kubectl) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    await kubectl("set", "image", "deployment/a", "server=example/a:2")
    await kubectl("rollout", "restart", "deployment/a")
    template = (await api.get(path("apps/v1/deployments", namespace, "a"))).body["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == "example/a:2"
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]


# Deleting


async def test_delete_waits_for_the_end(api: Api, namespace: str, kubectl: Kubectl) -> None:
    manifest: dict[str, Any] = widget("a")
    manifest["metadata"]["finalizers"] = ["example.com/hold"]
    await api.made(widgets(namespace), manifest)
    deleting = asyncio.create_task(kubectl("delete", "widget", "a", "--wait=true", "--timeout=30s"))
    await api.until(widgets(namespace, "a"), lambda answer: "deletionTimestamp" in answer.body["metadata"])
    assert not deleting.done()
    await api.patch(widgets(namespace, "a"), {"metadata": {"finalizers": None}})
    assert 'widget.contract.example.com "a" deleted' in await deleting


async def test_delete_what_a_file_names(api: Api, namespace: str, kubectl: Kubectl) -> None:
    manifests = [widget("a"), config("a", x="1")]
    await kubectl("apply", "-f", "-", manifest=manifests)
    said = await kubectl("delete", "-f", "-", manifest=manifests)
    assert said.count("deleted") == 2
    assert (await api.get(widgets(namespace, "a"))).status == 404


async def test_delete_by_label_and_delete_all(api: Api, namespace: str, kubectl: Kubectl) -> None:
    for name, team in (("a", "x"), ("b", "x"), ("c", "y")):
        await api.made(path("configmaps", namespace), config(name, {"team": team}))
    await kubectl("delete", "configmap", "-l", "team=x")
    left = (await api.get(path("configmaps", namespace))).body["items"]
    assert [each["metadata"]["name"] for each in left] == ["c"]
    await kubectl("delete", "configmaps", "--all")
    assert (await api.get(path("configmaps", namespace))).body["items"] == []


async def test_delete_of_nothing_can_be_forgiven(kubectl: Kubectl) -> None:
    assert "NotFound" in await kubectl("delete", "widget", "nobody", fails=True)
    await kubectl("delete", "widget", "nobody", "--ignore-not-found")
