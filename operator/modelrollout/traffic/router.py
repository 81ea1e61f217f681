"""What every router can do. It translates; it never calls the cluster. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from modelrollout.api.base import GROUP
from modelrollout.api.findings import Finding
from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import REJECTED, ROLLOUT_LABEL, Apply, Manifest, Owner, Ref
from modelrollout.objects.reads import Objects
from modelrollout.traffic.exposure import NOBODY, Exposure

SERVICE_PORT = 80
"""Port of every revision's own Service. It never changes, so a new container port moves nobody's traffic."""

MANAGER = "modelrollout-traffic"
"""Field manager of all objects that users' requests pass through."""

SINCE = f"{GROUP}/in-force-since"
"""Annotation on the route: when the candidate's exposure was written. It shows that a route was written anew, even if
the status was restored from earlier."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One revision as a target: its Service (named like its workload) and the port its containers listen on."""

    service: str
    revision: str
    port: int


@dataclass(frozen=True, slots=True)
class Notes:
    """What is written down on a route in the same request that moves its traffic."""

    rejected: str | None = None  # about a candidate that was taken back
    since: datetime | None = None  # when the candidate's exposure was written

    @property
    def annotations(self) -> dict[str, str]:
        since = {SINCE: f"{self.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if self.since else {}
        return since | ({REJECTED: self.rejected} if self.rejected else {})


@dataclass(frozen=True, slots=True)
class Copied:
    """Which requests are copied, where an exposure says that a part of them is. Empty: all."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # how they begin, in whole parts between slashes


ALL_REQUESTS = Copied()


@dataclass(frozen=True, slots=True)
class Routing:
    """All that a router needs to write: the two backends, who meets the candidate, and where copies go."""

    stable: Backend
    candidate: Backend | None = None
    exposure: Exposure = NOBODY
    notes: Notes = Notes()
    copied: Copied = ALL_REQUESTS
    copies_to: Backend | None = None  # instead of the candidate


@dataclass(frozen=True, slots=True)
class InForce:
    """All that a router reads: where users' requests go at present.

    Without a route nobody goes anywhere.
    """

    exists: bool = False
    exposure: Exposure = NOBODY  # of anything but stable
    services: frozenset[str] | None = frozenset()  # that get requests or copies; None: any of the rollout's
    since: str | None = None  # annotations, as they are: anybody may edit them
    rejected: str | None = None
    refusal: str | None = None  # why the data plane does not take the route, in its own words
    awaited: str | None = None  # whose word is missing before users are served by the route as it is written

    def reaches(self, service: str) -> bool:
        """Whether anybody's request, or a copy of it, may end there."""
        return self.services is None or service in self.services


class Router(Protocol):
    """One way of sending users to one revision or the other. `traffic/router_table.py` has the table."""

    @property
    def field(self) -> str:
        """The field of spec.traffic that chooses it."""

    @property
    def splits_by_pods(self) -> bool:
        """The share is that of ready pods: a candidate that is only partly ready gets less."""

    def refs(self, owner: Owner) -> tuple[Ref, ...]:
        """The objects that it reads and writes."""

    def can(self, traffic: Traffic, exposure: Exposure, copied: Copied) -> Finding | None:
        """Why it cannot do this, or None. A spec that asks for it is refused."""

    def render(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> tuple[Apply, ...]:
        """The writes that lead from what is there to the routing; none where all is in force already."""

    def edits(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> Finding | None:
        """What others made of its objects since they were written for this routing, with the mend.

        None where they were written for another: nobody knows then whose a difference is.
        """

    def retreat(self, owner: Owner, there: Objects, to: Backend, notes: Notes) -> tuple[Apply, ...]:
        """The routes as they were read, with nobody sent or copied anywhere but to stable.

        Needs no spec, so a broken one is no obstacle.
        """

    def in_force(self, owner: Owner, there: Objects, stable: Backend) -> InForce:
        """What its routes do at present, those of somebody else left out."""

    def pods(self, exposure: Exposure, size: int | None) -> int | None:
        """Pods that the candidate needs; `size` is what the spec says (None: an autoscaler's)."""


def own(owner: Owner, there: Objects, ref: Ref) -> Manifest | None:
    """The object, if there is one and it is the rollout's."""
    found = there.get(ref)
    return found if isinstance(found, dict) and owner.may_own(found) else None


def ours(owner: Owner, route: Manifest) -> Manifest:
    """The metadata that a retreat writes: ours as far as it is there, for somebody may have taken our label off.

    What others wrote there stays theirs, and stays.
    """
    metadata = route["metadata"]
    labels = {name: text for name, text in (metadata.get("labels") or {}).items() if name == ROLLOUT_LABEL}
    owners = [one for one in metadata.get("ownerReferences") or () if one.get("uid") == owner.uid]
    return {
        **{key: metadata[key] for key in ("namespace", "name")},
        **({"labels": labels} if labels else {}),
        **({"ownerReferences": owners} if owners else {}),
    }
