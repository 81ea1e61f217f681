"""The built-in kinds of the core group: namespaces and nodes, pods and Services, and those that only hold data."""

from __future__ import annotations

from dataclasses import replace

from localcluster.apiserver.builtin import plain, pods, services
from localcluster.apiserver.builtin.entries import SPEC_AND_STATUS, STATUS, Entry
from localcluster.apiserver.builtin.services import Addresses
from localcluster.apiserver.resources import Rules

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


def core_kinds(addresses: Addresses) -> tuple[Entry, ...]:
    return (*_cluster_kinds(), *_serving_kinds(addresses), *_data_kinds())


def _cluster_kinds() -> tuple[Entry, ...]:
    """Of the core group: those that belong to no namespace."""
    namespace = replace(
        STATUS,
        default=plain.with_namespace_label,
        names="label",
        on_create=plain.created_namespace,
        on_update=plain.updated_namespace,
        on_delete=plain.deleted_namespace,
        is_held=plain.namespace_is_held,
        update_may_create=True,
    )
    return (
        Entry(
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
        Entry(
            "",
            "Node",
            "nodes",
            "V1Node",
            replace(STATUS, on_create=plain.created_node),
            namespaced=False,
            short_names=("no",),
            subresources=("status",),
            selectable=frozenset({"spec.unschedulable"}),
        ),
    )


def _serving_kinds(addresses: Addresses) -> tuple[Entry, ...]:
    """Of the core group: pods, and the Services that lead to them."""
    pod = replace(
        SPEC_AND_STATUS,
        default=pods.with_pod_defaults,
        on_create=pods.created,
        validate=pods.pod_errors,
        grace_seconds=pods.grace,
        returns_deleted=True,
    )
    service = replace(
        STATUS,
        default=services.with_service_defaults,
        names="label",
        on_create=addresses.created,
        on_update=services.updated,
        validate=addresses.errors,
        returns_deleted=True,
    )
    endpoints = Rules(validate=services.endpoints_errors, update_may_create=True)
    return (
        Entry(
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
        Entry(
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
        Entry("", "Endpoints", "endpoints", "V1Endpoints", endpoints, short_names=("ep",)),
    )


def _data_kinds() -> tuple[Entry, ...]:
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
        Entry("", "ConfigMap", "configmaps", "V1ConfigMap", config_map, short_names=("cm",)),
        Entry("", "Secret", "secrets", "V1Secret", secret, selectable=frozenset({"type"})),
        Entry("", "ServiceAccount", "serviceaccounts", "V1ServiceAccount", account, short_names=("sa",)),
        Entry("", "Event", "events", "CoreV1Event", event, short_names=("ev",), selectable=_EVENT_FIELDS),
    )
