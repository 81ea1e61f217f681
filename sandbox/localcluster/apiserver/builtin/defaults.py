"""The constant defaults of built-in kinds: they depend on no other field. Facts, no behaviour."""

from __future__ import annotations

from typing import Any

_MODE = 420  # 0644
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}

# By model and field.
DEFAULTS: dict[str, dict[str, Any]] = {
    "V1PodSpec": {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
    },
    "V1Container": {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": {},
    },
    "V1ContainerPort": {"protocol": "TCP"},
    "V1Probe": _PROBE,
    "V1HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "V1GRPCAction": {"service": ""},
    "V1ObjectFieldSelector": {"apiVersion": "v1"},
    "V1ConfigMapVolumeSource": {"defaultMode": _MODE},
    "V1SecretVolumeSource": {"defaultMode": _MODE},
    "V1DownwardAPIVolumeSource": {"defaultMode": _MODE},
    "V1ProjectedVolumeSource": {"defaultMode": _MODE},
    "V1HostPathVolumeSource": {"type": ""},
    "V1DeploymentSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate"},
    },
    "V1DeploymentStrategy": {"type": "RollingUpdate"},
    "V1ReplicaSetSpec": {"replicas": 1},
    "V1StatefulSetSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    },
    "V1DaemonSetSpec": {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
    },
    "V1JobSpec": {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    },
    "V1ServiceSpec": {"type": "ClusterIP", "sessionAffinity": "None"},
    "V1ServicePort": {"protocol": "TCP"},
    "CoreV1EndpointPort": {"protocol": "TCP"},
    "DiscoveryV1EndpointPort": {"name": "", "protocol": "TCP"},
    "V1DeploymentCondition": {"lastTransitionTime": None, "lastUpdateTime": None},
    "V1PodCondition": {"lastProbeTime": None, "lastTransitionTime": None},
    "V1NodeCondition": {"lastHeartbeatTime": None, "lastTransitionTime": None},
    "V1Endpoint": {"conditions": {}},
    "V1Secret": {"type": "Opaque"},
    "V2HorizontalPodAutoscalerSpec": {"minReplicas": 1},
}
