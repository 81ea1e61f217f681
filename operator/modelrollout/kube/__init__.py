"""The one door to Kubernetes: the official client's asyncio side, on plain dictionaries.

Knows paths, patches, watches and whose fault an error is; knows nothing of rollouts and decides nothing. The kinds that
its calls take are values of `modelrollout.objects.resources`.
"""

from modelrollout.kube.cluster import Cluster, Labels, Listing
from modelrollout.kube.election import Candidacy, Terms
from modelrollout.kube.errors import (
    AlreadyExists,
    Conflict,
    Failed,
    Gone,
    KubeError,
    LeftAlone,
    NoCluster,
    NotLeading,
    Refused,
    Unreachable,
)
from modelrollout.kube.lease import Leadership
from modelrollout.kube.mirror import Mirror
from modelrollout.kube.secrets import SecretTrouble, read_secret
from modelrollout.kube.watching import WatchEvent

__all__ = [
    "AlreadyExists",
    "Candidacy",
    "Cluster",
    "Conflict",
    "Failed",
    "Gone",
    "KubeError",
    "Labels",
    "Leadership",
    "LeftAlone",
    "Listing",
    "Mirror",
    "NoCluster",
    "NotLeading",
    "Refused",
    "SecretTrouble",
    "Terms",
    "Unreachable",
    "WatchEvent",
    "read_secret",
]
