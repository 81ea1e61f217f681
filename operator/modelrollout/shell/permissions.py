"""All that an operator does through the API server, put together from what its parts state. Asks nobody.

The chart's RBAC rules are computed from this, and so are the kinds that an operator lets alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from modelrollout.objects.access import READ, Access, Integration, Where
from modelrollout.objects.resources import EVENTS, LEASES, MODEL_ROLLOUTS, SECRETS, Resource
from modelrollout.rollout import references
from modelrollout.stages.way import ACCESS as OF_STAGES
from modelrollout.traffic import revision_service
from modelrollout.traffic.router_table import ROUTERS
from modelrollout.workloads import companions
from modelrollout.workloads.kind_table import KINDS

OF_THE_SHELL = (
    Access(MODEL_ROLLOUTS, (*READ, "patch")),  # the finalizer is put on and taken off
    Access(MODEL_ROLLOUTS, ("update",), subresource="status"),
    # Who sets blockOwnerDeletion needs it where OwnerReferencesPermissionEnforcement is on, as in OpenShift.
    Access(MODEL_ROLLOUTS, ("update",), subresource="finalizers"),
    Access(EVENTS, ("create",)),
    Access(SECRETS, ("get",), Integration.SECRETS),  # those that a rollout names, in its own namespace
    Access(LEASES, (*READ, "create", "update"), where=Where.OWN),
)

ALL: tuple[Access, ...] = (
    *OF_THE_SHELL,
    *references.ACCESS,
    *revision_service.ACCESS,
    *(one for kind in KINDS.values() for one in kind.access),
    *companions.ACCESS,
    *(one for router in ROUTERS.values() for one in router.access),
    *(one for stage in OF_STAGES.values() for one in stage),
)


def left_alone(without: Collection[Integration]) -> Mapping[Resource, Integration]:
    """The kinds that only these integrations are about, with one that is."""
    others = {one.resource for one in ALL if one.integration not in without}
    return {one.resource: one.integration for one in ALL if one.integration and one.resource not in others}
