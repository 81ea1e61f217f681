"""What every router can do. It translates; it never calls the cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from modelrollout.api.base import GROUP
from modelrollout.api.findings import Finding
from modelrollout.api.traffic import Traffic
from modelrollout.objects.access import Access
from modelrollout.objects.manifests import (
    APPLIED,
    REJECTED,
    ROLLOUT_LABEL,
    Apply,
    Delete,
    Manifest,
    Owner,
    Patch,
    Ref,
    Write,
    annotation,
    seal,
)
from modelrollout.objects.reads import Objects
from modelrollout.traffic.drawing import Draw, Part, parts, plain
from modelrollout.traffic.exposure import NOBODY, Exposure

SERVICE_PORT = 80
"""Port of every revision's own Service. It never changes, so a new container port moves nobody's traffic."""

MANAGER = "modelrollout-traffic"
"""Field manager of all objects that users' requests pass through."""

NOT_FOUND = "RouteNotFound"
"""The reason while a route that a spec names does not exist."""

SINCE = f"{GROUP}/in-force-since"
"""Annotation on the route: when the candidate's exposure was written. It shows that a route was written anew, even if
the status was restored from earlier."""


Move = Apply | Patch
"""A write that sends users somewhere: of a whole object that is ours, or of a part of one that is not."""


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

Wanted = tuple[Exposure, Copied]
"""What a step of a release asks of a router."""


@dataclass(frozen=True, slots=True)
class Routing:
    """All that a router needs to write: the two backends, who meets the candidate, and where copies go."""

    stable: Backend
    candidate: Backend | None = None
    exposure: Exposure = NOBODY
    notes: Notes = Notes()
    copied: Copied = ALL_REQUESTS
    copies_to: Backend | None = None  # instead of the candidate
    draw: Draw | None = None  # how users are kept, where the exposure says so

    @property
    def parts(self) -> tuple[Part, ...]:
        """How users are shared, those without a cookie last."""
        share = self.exposure.weight
        is_drawn = self.draw is not None and self.exposure.is_kept and 0 < share < 100
        return tuple(parts(self.draw, share)) if is_drawn and self.draw else (plain(share),)

    def shared(self, part: Part) -> tuple[tuple[Backend, int, str | None], ...]:
        """The backends of some users, each with its weight and the cookie that it sets; none that gets nothing."""
        both = [(self.stable, part.stable, part.stables_cookie)]
        if self.candidate is not None:
            both.append((self.candidate, part.candidate, part.candidates_cookie))
        return tuple(one for one in both if one[1])


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
    def access(self) -> tuple[Access, ...]:
        """What it does with which kinds of objects."""

    @property
    def splits_by_pods(self) -> bool:
        """The share is that of ready pods: a candidate that is only partly ready gets less."""

    def refs(self, owner: Owner, traffic: Traffic | None = None) -> tuple[Ref, ...]:
        """The objects that it reads and writes for a spec; without one, all that it may have written for any."""

    def can(self, traffic: Traffic, exposure: Exposure, copied: Copied) -> Finding | None:
        """Why it cannot do this, or None. A spec that asks for it is refused."""

    def fault(self, owner: Owner, traffic: Traffic, there: Objects, wanted: Iterable[Wanted] = ()) -> Finding | None:
        """Why the objects there are do not do for what is wanted of them, or None; with the mend."""

    def gateways(self, owner: Owner, traffic: Traffic, there: Objects) -> tuple[Ref, ...]:
        """The Gateways whose classes say what can be asked of them."""

    def render(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> tuple[Move, ...]:
        """The writes that lead from what is there to the routing; none where all is in force already."""

    def edits(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> Finding | None:
        """What others made of its objects since they were written for this routing, with the mend.

        None where they were written for another: nobody knows then whose a difference is.
        """

    def retreat(self, owner: Owner, there: Objects, to: Backend, notes: Notes) -> tuple[Move, ...]:
        """The routes as they were read, with nobody sent or copied anywhere but to stable.

        Needs no spec, so a broken one is no obstacle.
        """

    def in_force(self, owner: Owner, there: Objects, stable: Backend) -> InForce:
        """What its routes do at present, those of somebody else left out."""

    def given_up(self, owner: Owner, there: Objects, ref: Ref) -> tuple[Write, ...]:
        """The writes by which one of its objects is the rollout's no more."""

    def pods(self, exposure: Exposure, size: int | None) -> int | None:
        """Pods that the candidate needs; `size` is what the spec says (None: an autoscaler's)."""


class WholeObjects:
    """What routers have in common whose objects are the rollout's as a whole."""

    __slots__ = ()

    def fault(
        self: Router, owner: Owner, traffic: Traffic, there: Objects, wanted: Iterable[Wanted] = ()
    ) -> Finding | None:
        return _name_is_taken(self, owner, traffic, there, wanted)

    def gateways(self, owner: Owner, traffic: Traffic, there: Objects) -> tuple[Ref, ...]:
        return ()

    def given_up(self, owner: Owner, there: Objects, ref: Ref) -> tuple[Write, ...]:
        found = there.get(ref)
        return (Delete(ref, found["metadata"]["uid"]),) if isinstance(found, dict) and owner.owns(found) else ()


def _name_is_taken(
    router: Router, owner: Owner, traffic: Traffic, there: Objects, wanted: Iterable[Wanted]
) -> Finding | None:
    """Whether an object of somebody else has a name that the rollout's own needs, for nobody or for what is wanted."""
    found = {ref: one for ref in router.refs(owner) if isinstance(one := there.get(ref), dict)}
    taken = {ref: one for ref, one in found.items() if not owner.may_own(one)}
    if not taken:
        return None
    anybody = Backend("", "", 0)
    routings = (Routing(anybody, anybody, exposure) for exposure in (NOBODY, *(exposure for exposure, _ in wanted)))
    written = {write.ref for routing in routings for write in router.render(owner, traffic, routing, {})}
    for one in (one for ref, one in taken.items() if ref in written):
        kind, name = one["kind"], one["metadata"]["name"]
        why = f"{kind} '{name}' exists and belongs to somebody else: rename this ModelRollout, or delete that {kind}."
        return Finding("NameTaken", why)
    return None


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


def led_back(owner: Owner, route: Manifest, spec: Manifest, notes: Notes) -> Apply:
    """A route of ours as it was read, with another spec. What was noted on it stays."""
    noted = {name: text for name in (APPLIED, REJECTED) if (text := annotation(route, name)) is not None}
    if notes.rejected:
        noted[REJECTED] = notes.rejected
    manifest = {
        "apiVersion": route["apiVersion"],
        "kind": route["kind"],
        "metadata": {**ours(owner, route), "annotations": noted},
        "spec": spec,
    }
    return Apply(seal(manifest), MANAGER)
