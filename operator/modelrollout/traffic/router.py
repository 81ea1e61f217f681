"""What every router can do. It translates; it never calls the cluster. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from modelrollout.api.base import GROUP
from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import REJECTED, Manifest, Owner
from modelrollout.objects.resources import Resource

SERVICE_PORT = 80
"""Port of every revision's own Service. It never changes, so a new container port moves nobody's traffic."""

MANAGER = "modelrollout-traffic"
"""Field manager of all objects that users' requests pass through."""

SINCE = f"{GROUP}/in-force-since"
"""Annotation on the route: when the candidate's weight was put in force. Written together with the weight, it is true
however long the write had to wait and whoever died in between, and nothing has to be saved while it waits."""

KEPT = ("namespace", "name", "labels", "ownerReferences")
"""Metadata that a retreat keeps of a route, as far as it is there: somebody may have taken our labels off."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One revision as a target: its Service (named like its workload) and the port its containers listen on."""

    service: str
    revision: str
    port: int


@dataclass(frozen=True, slots=True)
class Split:
    """Who gets how much: `weight` percent for the candidate, the rest for stable."""

    stable: Backend
    candidate: Backend | None = None
    weight: int = 0
    rejected: str | None = None  # note about a candidate that was taken back, kept on the route itself
    since: datetime | None = None  # when the candidate's weight was put in force, kept there as well

    @property
    def notes(self) -> Manifest:
        """The annotations of a route that must be written together with its weights."""
        since = {SINCE: f"{self.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if self.since else {}
        return since | ({REJECTED: self.rejected} if self.rejected else {})


class Router(Protocol):
    """One way of splitting traffic. The route is the one object whose write moves it."""

    resource: Resource
    splits_by_pods: bool  # the share is that of ready pods: a partly ready candidate just gets less

    def render(self, owner: Owner, traffic: Traffic, split: Split) -> Manifest:
        """The route for a split."""

    def retreat(self, route: Manifest, split: Split) -> Manifest:
        """The route as it was read, with all traffic on stable. Needs no spec, so a broken one is no obstacle."""

    def weight_off_stable(self, route: Manifest | None, stable: Backend) -> int:
        """Percent that the route sends anywhere but to stable; 0 without a route."""

    def uses(self, route: Manifest | None, backend: Backend) -> bool:
        """Whether the route may send anybody there."""

    def refusal(self, route: Manifest) -> str | None:
        """Why the data plane does not take the route, if it says so."""

    def candidate_pods(self, weight: int, wished: int | None) -> int | None:
        """Pods that the candidate needs for a weight; `wished` is what the spec says (None: an autoscaler's)."""
