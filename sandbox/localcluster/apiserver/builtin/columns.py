"""What kubectl prints of the built-in kinds. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcluster.apiserver.formats import date_time
from localcluster.apiserver.resources import Cell, Column
from localcluster.apiserver.store import Object
from localcluster.apiserver.tables import AGE, NAME, NONE, age, human


def _text(name: str, cell: Callable[[Object], Cell], *, wide: bool = False) -> Column:
    return Column(name, "string", cell, priority=1 if wide else 0)


def _number(name: str, *path: str) -> Column:
    return Column(name, "integer", lambda item: at(item, *path) or 0)


def at(item: Any, *path: str) -> Any:
    """The value at a path, or None."""
    for key in path:
        item = item.get(key) if isinstance(item, dict) else None
    return item


def _pairs(*path: str) -> Callable[[Object], Cell]:
    return lambda item: ",".join(f"{key}={value}" for key, value in (at(item, *path) or {}).items()) or NONE


def _ready_of(item: Object) -> str:
    return f"{at(item, 'status', 'readyReplicas') or 0}/{at(item, 'spec', 'replicas') or 0}"


def _containers(key: str) -> Callable[[Object], Cell]:
    return lambda item: ",".join(each.get(key, "") for each in at(item, "spec", "template", "spec", "containers") or ())


_TEMPLATE = (
    _text("Containers", _containers("name"), wide=True),
    _text("Images", _containers("image"), wide=True),
    _text("Selector", _pairs("spec", "selector", "matchLabels"), wide=True),
)


def _statuses(pod: Object) -> list[dict[str, Any]]:
    return at(pod, "status", "containerStatuses") or []


def _pod_ready(pod: Object) -> str:
    ready = sum(bool(each.get("ready")) for each in _statuses(pod))
    return f"{ready}/{len(at(pod, 'spec', 'containers') or ())}"


def _pod_status(pod: Object) -> str:
    """One word for where a pod stands: the reason of the container that is worst off, else its phase."""
    reason = at(pod, "status", "reason") or at(pod, "status", "phase") or "Unknown"
    running = False
    for each in reversed(_statuses(pod)):
        state = each.get("state") or {}
        ended = state.get("terminated")
        if at(state, "waiting", "reason"):
            reason = state["waiting"]["reason"]
        elif ended:
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
        elif each.get("ready") and state.get("running"):
            running = True
    if reason == "Completed" and running:
        reason = "Running"
    return "Terminating" if pod["metadata"].get("deletionTimestamp") else reason


def _restarts(pod: Object) -> str:
    count = sum(each.get("restartCount", 0) for each in _statuses(pod))
    ends = [at(each, "lastState", "terminated", "finishedAt") for each in _statuses(pod)]
    last = max((each for each in ends if each), default=None)
    return f"{count} ({age(last)} ago)" if count and last else str(count)


def _ports(service: Object) -> str:
    said = []
    for each in at(service, "spec", "ports") or ():
        node = f":{each['nodePort']}" if each.get("nodePort") else ""
        said.append(f"{each['port']}{node}/{each.get('protocol', 'TCP')}")
    return ",".join(said) or NONE


def _external(service: Object) -> str:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", NONE))
    given = [each.get("ip") or each.get("hostname") for each in at(service, "status", "loadBalancer", "ingress") or ()]
    addresses = [*given, *(spec.get("externalIPs") or ())]
    waiting = "<pending>" if spec.get("type") == "LoadBalancer" else NONE
    return ",".join(addresses) or waiting


def _last_seen(event: Object) -> str:
    stamp = at(event, "series", "lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return age(stamp or event["metadata"].get("creationTimestamp"))


def _about(event: Object) -> str:
    about = event.get("involvedObject") or event.get("regarding") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _conditions(item: Object, kind: str) -> str:
    found = [each for each in at(item, "status", "conditions") or () if each.get("type") == kind]
    return found[0]["status"] if found else "Unknown"


def _node_status(node: Object) -> str:
    ready = {"True": "Ready", "False": "NotReady"}.get(_conditions(node, "Ready"), "Unknown")
    return ready + (",SchedulingDisabled" if at(node, "spec", "unschedulable") else "")


def _endpoints(item: Object) -> str:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in item.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    ]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or NONE


def _slice_endpoints(item: Object) -> str:
    found = [address for each in item.get("endpoints") or () for address in each.get("addresses") or ()]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or "<unset>"


def _slice_ports(item: Object) -> str:
    return ",".join(str(each.get("port", "*")) for each in item.get("ports") or ()) or "<unset>"


def _job_duration(job: Object) -> str:
    start, end = (date_time(at(job, "status", key) or "") for key in ("startTime", "completionTime"))
    if start is None:
        return ""
    return human(int((end - start).total_seconds())) if end else age(at(job, "status", "startTime"))


def _job_status(job: Object) -> str:
    for kind, said in (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")):
        if _conditions(job, kind) == "True":
            return said
    return "Terminating" if job["metadata"].get("deletionTimestamp") else "Running"


COLUMNS: dict[str, tuple[Column, ...]] = {
    "Namespace": (NAME, _text("Status", lambda item: at(item, "status", "phase")), AGE),
    "Pod": (
        NAME,
        _text("Ready", _pod_ready),
        _text("Status", _pod_status),
        _text("Restarts", _restarts),
        AGE,
        _text("IP", lambda pod: at(pod, "status", "podIP") or NONE, wide=True),
        _text("Node", lambda pod: at(pod, "spec", "nodeName") or NONE, wide=True),
        _text("Nominated Node", lambda pod: at(pod, "status", "nominatedNodeName") or NONE, wide=True),
        _text("Readiness Gates", lambda pod: NONE, wide=True),
    ),
    "Service": (
        NAME,
        _text("Type", lambda item: at(item, "spec", "type")),
        _text("Cluster-IP", lambda item: at(item, "spec", "clusterIP") or NONE),
        _text("External-IP", _external),
        _text("Port(s)", _ports),
        AGE,
        _text("Selector", _pairs("spec", "selector"), wide=True),
    ),
    "Deployment": (
        NAME,
        _text("Ready", _ready_of),
        _number("Up-to-date", "status", "updatedReplicas"),
        _number("Available", "status", "availableReplicas"),
        AGE,
        *_TEMPLATE,
    ),
    "ReplicaSet": (
        NAME,
        _number("Desired", "spec", "replicas"),
        _number("Current", "status", "replicas"),
        _number("Ready", "status", "readyReplicas"),
        AGE,
        *_TEMPLATE,
    ),
    "StatefulSet": (NAME, _text("Ready", _ready_of), AGE, *_TEMPLATE[:2]),
    "DaemonSet": (
        NAME,
        _number("Desired", "status", "desiredNumberScheduled"),
        _number("Current", "status", "currentNumberScheduled"),
        _number("Ready", "status", "numberReady"),
        _number("Up-to-date", "status", "updatedNumberScheduled"),
        _number("Available", "status", "numberAvailable"),
        _text("Node Selector", _pairs("spec", "template", "spec", "nodeSelector")),
        AGE,
        *_TEMPLATE,
    ),
    "Job": (
        NAME,
        _text("Status", _job_status),
        _text(
            "Completions", lambda job: f"{at(job, 'status', 'succeeded') or 0}/{at(job, 'spec', 'completions') or 1}"
        ),
        _text("Duration", _job_duration),
        AGE,
        *_TEMPLATE,
    ),
    "Event": (
        _text("Last Seen", _last_seen),
        _text("Type", lambda event: event.get("type", "")),
        _text("Reason", lambda event: event.get("reason", "")),
        _text("Object", _about),
        _text("Subobject", lambda event: at(event, "involvedObject", "fieldPath") or "", wide=True),
        _text(
            "Source", lambda event: at(event, "source", "component") or event.get("reportingComponent", ""), wide=True
        ),
        _text("Message", lambda event: (event.get("message") or event.get("note") or "").strip()),
        _text("First Seen", lambda event: age(event.get("firstTimestamp") or event.get("eventTime")), wide=True),
        Column("Count", "string", lambda event: str(event.get("count") or 1), priority=1),
        Column("Name", "string", lambda event: event["metadata"]["name"], format="name", priority=1),
    ),
    "ConfigMap": (
        NAME,
        Column("Data", "integer", lambda item: len(item.get("data") or {}) + len(item.get("binaryData") or {})),
        AGE,
    ),
    "Secret": (
        NAME,
        _text("Type", lambda item: item.get("type")),
        Column("Data", "integer", lambda item: len(item.get("data") or {})),
        AGE,
    ),
    "ServiceAccount": (NAME, AGE),
    "Node": (
        NAME,
        _text("Status", _node_status),
        _text("Roles", lambda node: NONE),
        AGE,
        _text("Version", lambda node: at(node, "status", "nodeInfo", "kubeletVersion") or ""),
    ),
    "Endpoints": (NAME, _text("Endpoints", _endpoints), AGE),
    "EndpointSlice": (
        NAME,
        _text("AddressType", lambda item: item.get("addressType")),
        _text("Ports", _slice_ports),
        _text("Endpoints", _slice_endpoints),
        AGE,
    ),
    "Lease": (NAME, _text("Holder", lambda item: at(item, "spec", "holderIdentity") or ""), AGE),
    "HorizontalPodAutoscaler": (
        NAME,
        _text(
            "Reference",
            lambda item: f"{at(item, 'spec', 'scaleTargetRef', 'kind')}/{at(item, 'spec', 'scaleTargetRef', 'name')}",
        ),
        _text("Targets", lambda item: "<unknown>"),
        _number("MinPods", "spec", "minReplicas"),
        _number("MaxPods", "spec", "maxReplicas"),
        _number("Replicas", "status", "currentReplicas"),
        AGE,
    ),
}
