"""What runs beside the API server in a cluster: controllers of workloads and of gateways, and the kubelet.

Pods are real objects, because the operator looks at them; what is wrong with them is said by the cluster's fields.
The local cluster has a Deployment controller of its own, which rolls over from one template to the next, with a surge,
deadlines and conditions. This one is another thing: a revision's template never changes, tests know pods by their
numbers, and a year of it passes in a moment. tests/contract/clusters/test_deployments.py has both say the same.
"""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, GRPC_ROUTES, HTTP_ROUTES, PODS, STATEFUL_SETS
from modelrollout.traffic import acceptance
from modelrollout.traffic.acceptance import accepted

if TYPE_CHECKING:
    from tests.fakes.cluster import FakeCluster

LINGER = timedelta(seconds=3)
"""How long pods go on serving after their Deployment is gone: the garbage collector takes a moment."""
_OF, _BORN, _LEAVING = "test/of", "test/born", "test/leaving"


def run(cluster: FakeCluster, now: datetime) -> None:
    workloads = {d["metadata"]["name"]: d for kind in (DEPLOYMENTS, STATEFUL_SETS) for d in cluster.all(kind)}
    numbers: dict[str, set[int]] = {name: set() for name in workloads}
    for pod in cluster.all(PODS):
        of = pod["metadata"].get("annotations", {}).get(_OF)
        if of in workloads:
            numbers[of].add(int(pod["metadata"]["name"].rpartition("-")[2]))
        elif of is not None:
            _leave(cluster, pod, now)
    for name, deployment in workloads.items():
        wanted = int(deployment["spec"].get("replicas", 1))
        for number in sorted(numbers[name] - set(range(wanted))):
            cluster.remove(PODS, f"{name}-{number}")
        refusal = cluster.refused.get(_version(deployment))
        made = range(wanted) if refusal is None else sorted(numbers[name] & set(range(wanted)))
        for number in sorted(set(made) - numbers[name]):
            cluster.put(_pod(deployment, number, now))
        ready = [number for number in made if _show(cluster, deployment, number, now)]
        available = [number for number in ready if _is_available(cluster, deployment, number, now)]
        counts = {"replicas": len(made), "readyReplicas": len(ready), "availableReplicas": len(available)}
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **{name: count for name, count in counts.items() if count},  # as Kubernetes does, nothing stands for 0
            **({"conditions": [_cannot_be_made(refusal)]} if refusal is not None else {}),
        }
        if status != deployment.get("status"):
            cluster.put({**deployment, "status": status})
    accept_routes(cluster)


def accept_routes(cluster: FakeCluster) -> None:
    """Gateways take what is written, each as soon as its controller is there; of one that is missing nobody speaks."""
    if cluster.is_gateway_down:
        return
    for route in (*cluster.all(HTTP_ROUTES), *cluster.all(GRPC_ROUTES)):
        parents = [ref for ref in route["spec"].get("parentRefs") or () if ref["name"] not in cluster.missing_gateways]
        status = accepted({**route, "spec": {"parentRefs": parents}})["status"]
        if parents and acceptance.awaited(route) and not acceptance.refusal(route):
            cluster.put({**route, "status": status})


def _cannot_be_made(message: str) -> Manifest:
    return {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}


def show_crash(cluster: FakeCluster, name: str) -> None:
    """Have the first pod of a Deployment say that it crashes, or that it does not any more."""
    if (pod := cluster.get(PODS, f"{name}-0")) is not None:
        cluster.put({**pod, "status": _pod_status(cluster, name, pod, is_ready=_is_ready(pod), now=_born(pod))})


def _pod(deployment: Manifest, number: int, now: datetime) -> Manifest:
    name = deployment["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": deployment["metadata"]["namespace"],
            "name": f"{name}-{number}",
            "labels": deployment["spec"]["template"]["metadata"]["labels"],
            "annotations": {_OF: name, _BORN: now.isoformat()},
        },
        "spec": {},
    }


def _show(cluster: FakeCluster, deployment: Manifest, number: int, now: datetime) -> bool:
    """Whether the pod is ready, having said so in its status."""
    name = deployment["metadata"]["name"]
    pod = cluster.get(PODS, f"{name}-{number}")
    assert pod is not None
    version = _version(deployment)
    if (why := cluster.homeless.get(version)) is not None and not _is_ready(pod):
        unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
        _say(cluster, pod, {"conditions": [unplaced]})
        return False
    is_up = _is_ready(pod) or now >= _born(pod) + cluster.slow
    is_ready = is_up and version not in cluster.broken and number >= cluster.limping.get(version, 0)
    _say(cluster, pod, _pod_status(cluster, name, pod, is_ready=is_ready, now=now))
    return is_ready


def _say(cluster: FakeCluster, pod: Manifest, status: Manifest) -> None:
    if status != pod.get("status"):
        cluster.put({**pod, "status": status})


def _is_available(cluster: FakeCluster, deployment: Manifest, number: int, now: datetime) -> bool:
    """Whether the pod has been ready for minReadySeconds."""
    pod = cluster.get(PODS, f"{deployment['metadata']['name']}-{number}")
    assert pod is not None
    (ready,) = (one for one in pod["status"]["conditions"] if one["type"] == "Ready")
    least = timedelta(seconds=deployment["spec"].get("minReadySeconds") or 0)
    return now >= _moment(ready["lastTransitionTime"]) + least


def _pod_status(cluster: FakeCluster, deployment: str, pod: Manifest, *, is_ready: bool, now: datetime) -> Manifest:
    restarts = cluster.crashing.get(deployment, 0) if pod["metadata"]["name"] == f"{deployment}-0" else 0
    container: Manifest = {"name": "server", "ready": is_ready, "restartCount": restarts}
    if restarts:
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}
        container |= {"state": {"waiting": waiting}, "lastState": {"terminated": {"exitCode": 1}}}
    else:
        container["state"] = {"running": {"startedAt": _stamp(_born(pod))}}
    has_changed = is_ready != _is_ready(pod)
    since = _stamp(now if has_changed else _born(pod))
    known = [one for one in (pod.get("status") or {}).get("conditions") or () if one["type"] == "Ready"]
    if known and not has_changed:
        since = known[0]["lastTransitionTime"]
    ready = {"type": "Ready", "status": "True" if is_ready else "False", "lastTransitionTime": since}
    return {"conditions": [ready], "containerStatuses": [container]}


def _born(pod: Manifest) -> datetime:
    return _moment(pod["metadata"]["annotations"][_BORN])


@functools.lru_cache(maxsize=256)
def _moment(text: str) -> datetime:
    """Pods say when they were born at every look, of which there are thousands."""
    return datetime.fromisoformat(text)


@functools.lru_cache(maxsize=256)
def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _is_ready(pod: Manifest) -> bool:
    return any(c["status"] == "True" for c in (pod.get("status") or {}).get("conditions", ()) if c["type"] == "Ready")


def _version(deployment: Manifest) -> str:
    """The version of the model, which the builders' template puts into the image's tag."""
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


def _leave(cluster: FakeCluster, pod: Manifest, now: datetime) -> None:
    """Orphans serve on for a while, and then they are gone."""
    annotations = pod["metadata"]["annotations"]
    if _LEAVING not in annotations:
        gone = {**annotations, _LEAVING: (now + LINGER).isoformat()}
        cluster.put({**pod, "metadata": {**pod["metadata"], "annotations": gone}})
    elif now >= datetime.fromisoformat(annotations[_LEAVING]):
        cluster.remove(PODS, pod["metadata"]["name"])
