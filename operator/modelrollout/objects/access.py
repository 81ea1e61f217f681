"""What parts of the operator do with kinds of objects, in the words of Kubernetes' RBAC. Pure.

Each router, kind of workload and kind of stage states its own; the chart's rules are computed from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelrollout.objects.resources import Resource

FIND = ("list", "watch")
"""Objects found by a label, and never read by their name."""
READ = ("get", *FIND)
CHANGE = (*READ, "patch")
OWN = (*READ, "create", "patch", "delete")
"""Objects of the rollout's own. Server-side apply is a `patch`, and a `create` as well where it makes the object."""


class Integration(StrEnum):
    """What an operator can be started without; a cluster may lack it, or nobody may want it touched."""

    GATEWAY_API = "gatewayAPI"
    ISTIO = "istio"
    KEDA = "keda"
    STATEFUL_SETS = "statefulSets"
    SECRETS = "secrets"


class Where(StrEnum):
    """In which namespaces."""

    SERVED = "served"
    """Those of the rollouts that an operator serves."""
    OWN = "own"
    """That of its Lease."""
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class Access:
    """The verbs for one kind of object. Without an integration it is always needed."""

    resource: Resource
    verbs: tuple[str, ...]
    integration: Integration | None = None
    subresource: str = ""
    where: Where = Where.SERVED

    @property
    def scope(self) -> Where:
        """Where it has to be granted: no Role of a namespace grants anything about objects without one."""
        return self.where if self.resource.namespaced else Where.ANYWHERE
