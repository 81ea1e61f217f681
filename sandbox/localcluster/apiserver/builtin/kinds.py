"""The table of built-in kinds: what each is called, where its schema comes from, which rules it follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from localcluster.apiserver.builtin import plain, pods, services, workloads
from localcluster.apiserver.builtin.columns import COLUMNS
from localcluster.apiserver.builtin.core_kinds import core_kinds
from localcluster.apiserver.builtin.decoding import decoded
from localcluster.apiserver.builtin.definitions import DEFINITION_RULES
from localcluster.apiserver.builtin.entries import SPEC_AND_STATUS, STATUS, Entry
from localcluster.apiserver.builtin.models import schema_of
from localcluster.apiserver.builtin.services import Addresses
from localcluster.apiserver.resources import OBJECT_FIELDS, Resource, Rules
from localcluster.apiserver.schemas import default
from localcluster.apiserver.store import Object
from localcluster.apiserver.tables import AGE, NAME

_WORKLOAD = replace(SPEC_AND_STATUS, default=pods.with_template_defaults, validate=workloads.workload_errors)


def _apps_kinds() -> tuple[Entry, ...]:
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
        Entry(
            "apps",
            "Deployment",
            "deployments",
            "V1Deployment",
            deployment,
            short_names=("deploy",),
            categories=all_,
            subresources=scaled,
        ),
        Entry(
            "apps",
            "ReplicaSet",
            "replicasets",
            "V1ReplicaSet",
            replace(_WORKLOAD, on_create=counted),
            short_names=("rs",),
            categories=all_,
            subresources=scaled,
        ),
        Entry(
            "apps",
            "StatefulSet",
            "statefulsets",
            "V1StatefulSet",
            stateful,
            short_names=("sts",),
            categories=all_,
            subresources=scaled,
        ),
        Entry(
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


def _batch_kinds() -> tuple[Entry, ...]:
    job = replace(
        SPEC_AND_STATUS,
        default=workloads.with_job_defaults,
        on_create=workloads.created_job,
        validate=workloads.job_errors,
        default_propagation="Orphan",
    )
    return (
        Entry(
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


def _coordination_kinds() -> tuple[Entry, ...]:
    """How components take turns, find each other, and tell what happened."""
    lease = Rules(update_may_create=True, update_needs_version=True)
    slices = Rules(validate=services.slice_errors, counts_generations=True, update_may_create=True)
    event = Rules(
        on_create=plain.with_new_event_nulls,
        on_update=lambda new, old: plain.with_new_event_nulls(new),
        update_may_create=True,
    )
    return (
        Entry("coordination.k8s.io", "Lease", "leases", "V1Lease", lease),
        Entry("discovery.k8s.io", "EndpointSlice", "endpointslices", "V1EndpointSlice", slices),
        Entry("events.k8s.io", "Event", "events", "EventsV1Event", event, short_names=("ev",)),
    )


def _scaling_kinds() -> tuple[Entry, ...]:
    """How many pods there should be, and how many there must be."""
    unknown = {"currentMetrics": None, "desiredReplicas": 0}
    autoscaler = replace(STATUS, default=plain.with_autoscaler_defaults, on_create=workloads.created_with(unknown))
    counts = dict.fromkeys(("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"), 0)
    budget = replace(SPEC_AND_STATUS, on_create=workloads.created_with(counts))
    return (
        Entry(
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
        Entry(
            "policy",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            "V1PodDisruptionBudget",
            budget,
            short_names=("pdb",),
            subresources=("status",),
        ),
    )


def _policy_kinds() -> tuple[Entry, ...]:
    """Whom pods may talk to, and what people and pods may do."""
    policy = Rules(default=plain.with_policy_defaults, counts_generations=True)
    rbac, by_path = "rbac.authorization.k8s.io", Rules(names="path")
    return (
        Entry(
            "networking.k8s.io",
            "NetworkPolicy",
            "networkpolicies",
            "V1NetworkPolicy",
            policy,
            short_names=("netpol",),
        ),
        Entry(rbac, "Role", "roles", "V1Role", by_path),
        Entry(rbac, "RoleBinding", "rolebindings", "V1RoleBinding", by_path),
        Entry(rbac, "ClusterRole", "clusterroles", "V1ClusterRole", by_path, namespaced=False),
        Entry(rbac, "ClusterRoleBinding", "clusterrolebindings", "V1ClusterRoleBinding", by_path, namespaced=False),
    )


def _extension_kinds() -> tuple[Entry, ...]:
    return (
        Entry(
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


def _review_kinds() -> tuple[Entry, ...]:
    """Questions what somebody may do: they are answered and not kept."""
    reviews, create = "authorization.k8s.io", ("create",)
    return (
        Entry(
            reviews,
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            "V1SelfSubjectAccessReview",
            namespaced=False,
            verbs=create,
        ),
        Entry(
            reviews,
            "SubjectAccessReview",
            "subjectaccessreviews",
            "V1SubjectAccessReview",
            namespaced=False,
            verbs=create,
        ),
        Entry(
            reviews, "LocalSubjectAccessReview", "localsubjectaccessreviews", "V1LocalSubjectAccessReview", verbs=create
        ),
    )


def built_in_kinds(addresses: Addresses) -> list[Resource]:
    """Every built-in kind, ready to be served."""
    kinds = (
        *(*core_kinds(addresses), *_apps_kinds(), *_batch_kinds(), *_coordination_kinds()),
        *(*_scaling_kinds(), *_policy_kinds(), *_extension_kinds(), *_review_kinds()),
    )
    made = [_resource(kind) for kind in kinds]
    return [_sharing_events(each) if each.group == "events.k8s.io" else each for each in made]


def _sharing_events(resource: Resource) -> Resource:
    """Both kinds of events are one store of objects, as they are in a cluster."""
    return replace(resource, stored_in=("", "events"), from_stored=plain.as_new_event, to_stored=plain.as_old_event)


def _resource(kind: Entry) -> Resource:
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
    """Reads a manifest of a built-in kind: typed, without empty fields, with defaults."""

    def read(item: Object) -> Object:
        return fill(default(decoded(item, resource), resource.schema))

    return read
