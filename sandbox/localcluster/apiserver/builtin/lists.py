"""How the lists and maps of the built-in kinds merge: facts of the Kubernetes API that the client's models lack.

A list that is not named here is atomic (one owner, replaced whole); a map that is not named here merges by key.
"""

from __future__ import annotations

from typing import Any


def _by(*keys: str, patch: str = "merge") -> dict[str, Any]:
    """A list whose items are found by these keys; strategic merge patch knows the first of them only."""
    return {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": list(keys),
        "x-kubernetes-patch-merge-key": keys[0],
        "x-kubernetes-patch-strategy": patch,
    }


_SET = {"x-kubernetes-list-type": "set"}
_MERGED_SET = _SET | {"x-kubernetes-patch-strategy": "merge"}
_ATOMIC_MAP = {"x-kubernetes-map-type": "atomic"}
_CONTAINER = {
    "env": _by("name"),
    "ports": _by("containerPort", "protocol"),
    "volumeMounts": _by("mountPath"),
    "volumeDevices": _by("devicePath"),
}
_CONDITIONS = (
    "V1DeploymentStatus",
    "V1ReplicaSetStatus",
    "V1StatefulSetStatus",
    "V1DaemonSetStatus",
    "V1PodStatus",
    "V1NodeStatus",
    "V1NamespaceStatus",
    "V1ServiceStatus",
    "V2HorizontalPodAutoscalerStatus",
    "V1CustomResourceDefinitionStatus",
)

LISTS: dict[tuple[str, str], dict[str, Any]] = {
    **{(model, "conditions"): _by("type") for model in _CONDITIONS},
    **{(model, key): kind for model in ("V1Container", "V1EphemeralContainer") for key, kind in _CONTAINER.items()},
    ("V1ObjectMeta", "finalizers"): _MERGED_SET,
    ("V1ObjectMeta", "ownerReferences"): _by("uid"),
    ("V1DeploymentSpec", "strategy"): {"x-kubernetes-patch-strategy": "retainKeys"},
    ("V1PodSpec", "containers"): _by("name"),
    ("V1PodSpec", "initContainers"): _by("name"),
    ("V1PodSpec", "ephemeralContainers"): _by("name"),
    ("V1PodSpec", "hostAliases"): _by("ip"),
    ("V1PodSpec", "imagePullSecrets"): _by("name"),
    ("V1PodSpec", "nodeSelector"): _ATOMIC_MAP,
    ("V1PodSpec", "resourceClaims"): _by("name", patch="merge,retainKeys"),
    ("V1PodSpec", "schedulingGates"): _by("name"),
    ("V1PodSpec", "topologySpreadConstraints"): _by("topologyKey", "whenUnsatisfiable"),
    ("V1PodSpec", "volumes"): _by("name", patch="merge,retainKeys"),
    ("V1PodStatus", "podIPs"): _by("ip"),
    ("V1PodStatus", "resourceClaimStatuses"): _by("name", patch="merge,retainKeys"),
    ("V1JobStatus", "conditions"): {
        "x-kubernetes-list-type": "atomic",
        "x-kubernetes-patch-merge-key": "type",
        "x-kubernetes-patch-strategy": "merge",
    },
    ("V1ResourceRequirements", "claims"): _by("name"),
    ("V1ServiceSpec", "ports"): _by("port", "protocol"),
    ("V1ServiceSpec", "selector"): _ATOMIC_MAP,
    ("V1ServiceAccount", "secrets"): _by("name"),
    ("V1NodeStatus", "addresses"): _by("type"),
    ("V1NodeSpec", "podCIDRs"): _MERGED_SET,
    ("V1Endpoint", "addresses"): _SET,
    ("V1PodFailurePolicyOnExitCodesRequirement", "values"): _SET,
    ("V1UncountedTerminatedPods", "failed"): _SET,
    ("V1UncountedTerminatedPods", "succeeded"): _SET,
    ("V1JSONSchemaProps", "x-kubernetes-validations"): _by("rule"),
}

# Objects that have one owner as a whole.
MAPS = frozenset(
    {
        "V1ConfigMapKeySelector",
        "V1EndpointAddress",
        "CoreV1EndpointPort",
        "DiscoveryV1EndpointPort",
        "V1FileKeySelector",
        "V1LabelSelector",
        "V1LocalObjectReference",
        "V1NodeSelector",
        "V1NodeSelectorTerm",
        "V1ObjectFieldSelector",
        "V1ObjectReference",
        "V1OwnerReference",
        "V1ResourceFieldSelector",
        "V1RoleRef",
        "V1ScopeSelector",
        "V1SecretKeySelector",
        "V1SecretReference",
        "V1TypedLocalObjectReference",
        "RbacV1Subject",
    }
)

# Written as a number or as a string, kept as a string.
QUANTITIES = frozenset(
    {
        ("V1ResourceRequirements", "limits"),
        ("V1ResourceRequirements", "requests"),
        ("V1VolumeResourceRequirements", "limits"),
        ("V1VolumeResourceRequirements", "requests"),
        ("V1PodSpec", "overhead"),
        ("V1NodeStatus", "allocatable"),
        ("V1NodeStatus", "capacity"),
        ("V1ContainerStatus", "allocatedResources"),
        ("V1EmptyDirVolumeSource", "sizeLimit"),
        ("V1ResourceQuotaSpec", "hard"),
    }
)
