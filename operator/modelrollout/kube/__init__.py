"""The one door to Kubernetes: the official client's asyncio side, on plain dictionaries.

Knows paths, patches, watches and whose fault an error is; knows nothing of rollouts and decides nothing.
"""

from modelrollout.kube.cluster import Cluster, Labels, Listing
from modelrollout.kube.errors import AlreadyExists, Conflict, Gone, KubeError, NoCluster, Refused, Unreachable
from modelrollout.kube.mirror import Mirror
from modelrollout.kube.watching import Manifest, WatchEvent
from modelrollout.objects.resources import *  # noqa: F403 - the kinds stand here beside the calls that take them
from modelrollout.objects.resources import KNOWN, Resource

__all__ = [
    "KNOWN",
    "AlreadyExists",
    "Cluster",
    "Conflict",
    "Gone",
    "KubeError",
    "Labels",
    "Listing",
    "Manifest",
    "Mirror",
    "NoCluster",
    "Refused",
    "Resource",
    "Unreachable",
    "WatchEvent",
]
