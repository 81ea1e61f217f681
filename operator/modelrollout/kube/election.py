"""Who leads, told from a Lease as it was read and this process's own clock. Pure.

As client-go's leader election: no process compares its clock with another's. Whoever waits measures, by its own clock,
for how long a version of the Lease has stayed the same; whoever leads measures from right before it sent the renewal
that succeeded. The holder's time begins before the others' can, so it ends before theirs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.api.base import GROUP
from modelrollout.objects.manifests import Manifest, annotation
from modelrollout.objects.resources import LEASES

LABEL = f"{GROUP}/lease"
"""Label of the Leases that operators lead by."""
NAMESPACES = f"{GROUP}/namespaces"
"""Annotation on such a Lease: the namespaces that its holder serves, separated by commas."""
EVERYWHERE = "*"
"""Stands for all namespaces of the cluster."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts. The other two times follow from it, in the proportions of client-go (15 s, 10 s, 2 s)."""

    duration: timedelta = timedelta(seconds=15)

    @property
    def renewal_deadline(self) -> float:
        """Seconds after which a holder that could not renew begins no more writes."""
        return self.lasts * 2 / 3

    @property
    def retry(self) -> float:
        """Seconds between two renewals."""
        return self.lasts * 2 / 15

    @property
    def lasts(self) -> float:
        """The seconds that others wait; all that the holder began has ended by then."""
        return self.duration.total_seconds()


@dataclass(frozen=True, slots=True)
class Candidacy:
    """Who wants to lead, by which Lease, and where (`namespaces`; none: everywhere). One process uses an identity."""

    namespace: str
    name: str
    identity: str
    terms: Terms
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease that is held. `since`: this process's clock right before it sent what was granted."""

    since: float

    def lasts(self, now: float, terms: Terms) -> bool:
        """Whether a write may begin."""
        return now < self.since + terms.renewal_deadline

    def left(self, now: float, terms: Terms) -> float:
        """The seconds within which a write has to end."""
        return self.since + terms.lasts - now


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease as it was last read (None: there is none), and when another process may take it, by its own clock."""

    lease: Manifest | None
    due: float

    def then(self, lease: Manifest | None, now: float) -> Seen:
        """What is known once it was read again: a version that was seen before is no news.

        How long the holder wanted is in the Lease, so processes with other settings get along. One who lost the Lease
        because somebody deleted it has not heard of that yet.
        """
        if _version(lease) == _version(self.lease):
            return self
        return Seen(lease, now + _promised(self.lease if lease is None else lease))

    def turn(self, now: float) -> float:
        """The seconds until another process may take it; 0: at once."""
        return max(0.0, self.due - now)


def _promised(lease: Manifest | None) -> float:
    """The seconds for which whoever holds it may count on it."""
    return float(_spec(lease).get("leaseDurationSeconds") or 0) if holder(lease) else 0.0


def holder(lease: Manifest | None) -> str:
    """The identity of whoever holds it; empty when nobody does."""
    return str(_spec(lease).get("holderIdentity") or "")


def taken(lease: Manifest, candidacy: Candidacy, at: datetime) -> Manifest:
    """The Lease, taken or renewed. Moments are for people to read; nothing is decided by them."""
    identity, terms = candidacy.identity, candidacy.terms
    spec, moment = _spec(lease), f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    changed: dict[str, Any] = {
        "holderIdentity": identity,
        "leaseDurationSeconds": math.ceil(terms.lasts),
        "renewTime": moment,
    }
    if holder(lease) != identity:
        changed["acquireTime"] = moment
        changed["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1 if spec else 0
    metadata = lease["metadata"]
    labels = {**(metadata.get("labels") or {}), LABEL: metadata["name"]}
    served = ",".join(sorted(candidacy.namespaces)) or EVERYWHERE
    annotations = {**(metadata.get("annotations") or {}), NAMESPACES: served}
    metadata = {**metadata, "labels": labels, "annotations": annotations}
    return {**lease, "metadata": metadata, "spec": {**spec, **changed}}


def overlap(lease: Manifest, namespaces: Collection[str]) -> str | None:
    """What the holder of another Lease serves of these namespaces, in words; None when they are apart."""
    theirs = annotation(lease, NAMESPACES) or EVERYWHERE
    if not namespaces or theirs == EVERYWHERE:
        return "all namespaces" if theirs == EVERYWHERE else f"namespace {theirs}"
    both = sorted({*namespaces} & {*theirs.split(",")})
    return f"namespace {', '.join(both)}" if both else None


def released(lease: Manifest) -> Manifest:
    """The Lease with nobody holding it: another process takes it at once."""
    return {**lease, "spec": {**_spec(lease), "holderIdentity": "", "leaseDurationSeconds": 1}}


def unheld(candidacy: Candidacy) -> Manifest:
    """A Lease that is yet to be made."""
    metadata = {"namespace": candidacy.namespace, "name": candidacy.name}
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}


def _spec(lease: Manifest | None) -> Mapping[str, Any]:
    return (lease or {}).get("spec") or {}


def _version(lease: Manifest | None) -> tuple[str, str] | None:
    return None if lease is None else (lease["metadata"]["uid"], lease["metadata"]["resourceVersion"])
