"""The table of built-in kinds: what each is called, where its schema comes from, which rules it follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from localcluster.apiserver.builtin import plain, pods, services, workloads
from localcluster.apiserver.builtin.columns import COLUMNS
from localcluster.apiserver.builtin.decoding import decoded
from localcluster.apiserver.builtin.definitions import DEFINITION_RULES
from localcluster.apiserver.builtin.models import schema_of
from localcluster.apiserver.builtin.services import Addresses
from localcluster.apiserver.resources import OBJECT_FIELDS, Resource, Rules
from localcluster.apiserver.schemas import default
from localcluster.apiserver.store import Object
from localcluster.apiserver.tables import AGE, NAME

_PLAIN = Rules()
_STATUS = Rules(keeps_status_apart=True)
_RBAC = Rules(names="path")
_SPEC_AND_STATUS = Rules(counts_generations=True, keeps_status_apart=True)
_WORKLOAD = replace(_SPEC_AND_STATUS, default=pods.with_template_defaults, validate=workloads.workload_errors)

_POD_FIELDS = frozenset(
    f"{part}.{key}"
    for part, keys in {
        "spec": ("nodeName", "restartPolicy", "schedulerName", "serviceAccountName", "hostNetwork"),
        "status": ("phase", "podIP", "nominatedNodeName"),
    }.items()
    for key in keys
)
_EVENT_FIELDS = frozenset(
    {
        *(
            f"involvedObject.{key}"
            for key in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        ),
        "reason",
        "reportingComponent",
        "source",
        "type",
    }
)


@dataclass(frozen=True, slots=True)
class _Kind:
    group: str
    kind: str
    plural: str
    model: str
    rules: Rules = _PLAIN
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    selectable: frozenset[str] = frozenset()
    verbs: tuple[str, ...] | None = None


def _cluster_kinds() -> tuple[_Kind, ...]:
    """Of the core group: those that belong to no namespace."""
    namespace = replace(
        _STATUS,
        default=plain.with_namespace_label,
        names="label",
        on_create=plain.created_namespace,
        on_update=plain.updated_namespace,
        on_delete=plain.deleted_namespace,
        is_held=plain.namespace_is_held,
        update_may_create=True,
    )
    return (
        _Kind(
            "",
            "Namespace",
            "namespaces",
            "V1Namespace",
            namespace,
            namespaced=False,
            short_names=("ns",),
            subresources=("status", "finalize"),
            selectable=frozenset({"status.phase"}),
        ),
        _Kind(
            "",
            "Node",
            "nodes",
            "V1Node",
            replace(_STATUS, on_create=plain.created_node),
            namespaced=False,
            short_names=("no",),
            subresources=("status",),
            selectable=frozenset({"spec.unschedulable"}),
        ),
    )


def _serving_kinds(addresses: Addresses) -> tuple[_Kind, ...]:
    """Of the core group: pods, and the Services that lead to them."""
    pod = replace(
        _SPEC_AND_STATUS,
        default=pods.with_pod_defaults,
        on_create=pods.created,
        validate=pods.pod_errors,
        grace_seconds=pods.grace,
        returns_deleted=True,
    )
    service = replace(
        _STATUS,
        default=services.with_service_defaults,
        names="label",
        on_create=addresses.created,
        on_update=services.updated,
        validate=addresses.errors,
        returns_deleted=True,
    )
    endpoints = Rules(validate=services.endpoints_errors, update_may_create=True)
    return (
        _Kind(
            "",
            "Pod",
            "pods",
            "V1Pod",
            pod,
            short_names=("po",),
            categories=("all",),
            subresources=("status",),
            selectable=_POD_FIELDS,
        ),
        _Kind(
            "",
            "Service",
            "services",
            "V1Service",
            service,
            short_names=("svc",),
            categories=("all",),
            subresources=("status",),
            selectable=frozenset({"spec.clusterIP", "spec.type"}),
        ),
        _Kind("", "Endpoints", "endpoints", "V1Endpoints", endpoints, short_names=("ep",)),
    )


def _data_kinds() -> tuple[_Kind, ...]:
    """Of the core group: those that only hold data."""
    config_map = Rules(validate=plain.fixed_errors)
    secret = Rules(default=plain.with_secret_data, validate=plain.fixed_errors)
    account = Rules(returns_deleted=True)
    event = Rules(
        on_create=plain.with_event_nulls,
        on_update=lambda new, old: plain.with_event_nulls(new),
        validate=plain.event_errors,
        update_may_create=True,
    )
    return (
        _Kind("", "ConfigMap", "configmaps", "V1ConfigMap", config_map, short_names=("cm",)),
        _Kind("", "Secret", "secrets", "V1Secret", secret, selectable=frozenset({"type"})),
        _Kind("", "ServiceAccount", "serviceaccounts", "V1ServiceAccount", account, short_names=("sa",)),
        _Kind("", "Event", "events", "CoreV1Event", event, short_names=("ev",), selectable=_EVENT_FIELDS),
    )


def _apps_kinds() -> tuple[_Kind, ...]:
    empty, counted = workloads.created_with({}), workloads.created_with({"replicas": 0})
    deployment = replace(_WORKLOAD, default=workloads.with_deployment_defaults, on_create=empty, annotations_count=True)
    stateful = replace(
        _WORKLOAD,
        default=workloads.with_stateful_set_defaults,
        on_create=workloads.created_with({"availableReplicas": 0, "replicas": 0}),
        validate=workloads.stateful_set_errors,
    )
    everywhere = workloads.created_with(
        dict.fromkeys(("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"), 0)
    )
    daemon = replace(_WORKLOAD, default=workloads.with_daemon_set_defaults, on_create=everywhere)
    scaled, all_ = ("scale", "status"), ("all",)
    return (
        _Kind(
            "apps",
            "Deployment",
            "deployments",
            "V1Deployment",
            deployment,
            short_names=("deploy",),
            categories=all_,
            subresources=scaled,
        ),
        _Kind(
            "apps",
            "ReplicaSet",
            "replicasets",
            "V1ReplicaSet",
            replace(_WORKLOAD, on_create=counted),
            short_names=("rs",),
            categories=all_,
            subresources=scaled,
        ),
        _Kind(
            "apps",
            "StatefulSet",
            "statefulsets",
            "V1StatefulSet",
            stateful,
            short_names=("sts",),
            categories=all_,
            subresources=scaled,
        ),
        _Kind(
            "apps",
            "DaemonSet",
            "daemonsets",
            "V1DaemonSet",
            daemon,
            short_names=("ds",),
            categories=all_,
            subresources=("status",),
        ),
    )


def _batch_kinds() -> tuple[_Kind, ...]:
    job = replace(
        _SPEC_AND_STATUS,
        default=workloads.with_job_defaults,
        on_create=workloads.created_job,
        validate=workloads.job_errors,
        default_propagation="Orphan",
    )
    return (
        _Kind(
            "batch",
            "Job",
            "jobs",
            "V1Job",
            job,
            categories=("all",),
            subresources=("status",),
            selectable=frozenset({"status.successful"}),
        ),
    )


def _scaling_kinds() -> tuple[_Kind, ...]:
    """How many pods there should be, and how many there must be."""
    unknown = {"currentMetrics": None, "desiredReplicas": 0}
    autoscaler = replace(_STATUS, default=plain.with_autoscaler_defaults, on_create=workloads.created_with(unknown))
    counts = dict.fromkeys(("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"), 0)
    budget = replace(_SPEC_AND_STATUS, on_create=workloads.created_with(counts))
    return (
        _Kind(
            "autoscaling",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "V2HorizontalPodAutoscaler",
            autoscaler,
            version="v2",
            short_names=("hpa",),
            categories=("all",),
            subresources=("status",),
        ),
        _Kind(
            "policy",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            "V1PodDisruptionBudget",
            budget,
            short_names=("pdb",),
            subresources=("status",),
        ),
    )


def _network_kinds() -> tuple[_Kind, ...]:
    slices = Rules(validate=services.slice_errors, counts_generations=True, update_may_create=True)
    policy = Rules(default=plain.with_policy_defaults, counts_generations=True)
    return (
        _Kind("discovery.k8s.io", "EndpointSlice", "endpointslices", "V1EndpointSlice", slices),
        _Kind(
            "networking.k8s.io",
            "NetworkPolicy",
            "networkpolicies",
            "V1NetworkPolicy",
            policy,
            short_names=("netpol",),
        ),
    )


def _coordination_kinds() -> tuple[_Kind, ...]:
    """How components take turns, and tell each other what happened."""
    lease = Rules(update_may_create=True, update_needs_version=True)
    event = Rules(
        on_create=plain.with_new_event_nulls,
        on_update=lambda new, old: plain.with_new_event_nulls(new),
        update_may_create=True,
    )
    return (
        _Kind("coordination.k8s.io", "Lease", "leases", "V1Lease", lease),
        _Kind("events.k8s.io", "Event", "events", "EventsV1Event", event, short_names=("ev",)),
    )


def _access_kinds() -> tuple[_Kind, ...]:
    """Roles, and the reviews that ask what somebody may do."""
    rbac, reviews, create = "rbac.authorization.k8s.io", "authorization.k8s.io", ("create",)
    return (
        _Kind(rbac, "Role", "roles", "V1Role", _RBAC),
        _Kind(rbac, "RoleBinding", "rolebindings", "V1RoleBinding", _RBAC),
        _Kind(rbac, "ClusterRole", "clusterroles", "V1ClusterRole", _RBAC, namespaced=False),
        _Kind(rbac, "ClusterRoleBinding", "clusterrolebindings", "V1ClusterRoleBinding", _RBAC, namespaced=False),
        _Kind(
            reviews,
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            "V1SelfSubjectAccessReview",
            namespaced=False,
            verbs=create,
        ),
        _Kind(
            reviews,
            "SubjectAccessReview",
            "subjectaccessreviews",
            "V1SubjectAccessReview",
            namespaced=False,
            verbs=create,
        ),
        _Kind(
            reviews, "LocalSubjectAccessReview", "localsubjectaccessreviews", "V1LocalSubjectAccessReview", verbs=create
        ),
    )


def _extension_kinds() -> tuple[_Kind, ...]:
    return (
        _Kind(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            "V1CustomResourceDefinition",
            DEFINITION_RULES,
            namespaced=False,
            short_names=("crd", "crds"),
            categories=("api-extensions",),
            subresources=("status",),
        ),
    )


def built_in_kinds(addresses: Addresses) -> list[Resource]:
    """Every built-in kind, ready to be served."""
    kinds = (
        *(*_cluster_kinds(), *_serving_kinds(addresses), *_data_kinds()),
        *(*_apps_kinds(), *_batch_kinds(), *_scaling_kinds()),
        *(*_network_kinds(), *_coordination_kinds(), *_access_kinds(), *_extension_kinds()),
    )
    made = [_resource(kind) for kind in kinds]
    return [_sharing_events(each) if each.group == "events.k8s.io" else each for each in made]


def _sharing_events(resource: Resource) -> Resource:
    """Both kinds of events are one store of objects, as they are in a cluster."""
    return replace(resource, stored_in=("", "events"), from_stored=plain.as_new_event, to_stored=plain.as_old_event)


def _resource(kind: _Kind) -> Resource:
    resource = Resource(
        group=kind.group,
        version=kind.version,
        plural=kind.plural,
        kind=kind.kind,
        singular=kind.kind.lower(),
        namespaced=kind.namespaced,
        read_schema=partial(schema_of, kind.model),
        short_names=kind.short_names,
        categories=kind.categories,
        subresources=kind.subresources,
        columns=COLUMNS.get(kind.kind, (NAME, AGE) if kind.kind == "NetworkPolicy" else ()),
        selectable=OBJECT_FIELDS | kind.selectable,
    )
    resource = resource if kind.verbs is None else replace(resource, verbs=kind.verbs)
    return replace(resource, rules=replace(kind.rules, default=_reading(resource, kind.rules.default)))


def _reading(resource: Resource, fill: Callable[[Object], Object]) -> Callable[[Object], Object]:
    """What reading a manifest of a built-in kind comes to: typed, without empty fields, with defaults."""

    def read(item: Object) -> Object:
        return fill(default(decoded(item, resource), resource.schema))

    return read
