"""The objects that a pass reads for one rollout, and the result of reading them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import Apply, Delete, Manifest, Patch, Ref, Write
from modelrollout.objects.resources import Resource

NOT_INSTALLED = "KindNotInstalled"
"""The reason when the cluster does not know the kind of an object: its definition may be on its way."""
UNREADABLE = "Unreadable"
"""The reason when the API server refuses to show an object."""
NOT_ANSWERED = "NotAnswered"
"""The reason when nobody knows, since the API server did not answer this time."""

Objects = Mapping[Ref, Manifest | Finding]
"""The result: the object, or why it cannot be read. Left out: it does not exist."""


@dataclass(frozen=True, slots=True)
class Reads:
    """All objects of the `labelled` kinds that carry the rollout's label in its namespace, and each `named` object.

    Those of the kinds `beside` decide nothing: one that cannot be read holds nobody up (see `whole`), and their changes
    wake nobody.
    """

    labelled: tuple[Resource, ...] = ()
    named: tuple[Ref, ...] = ()
    beside: tuple[Resource, ...] = ()


def whole(resource: Resource, namespace: str) -> Ref:
    """Stands for all objects of a kind `beside`, with a finding, where none of them is known."""
    return Ref(resource, namespace, "")


def is_whole(ref: Ref) -> bool:
    """Whether this stands for a kind."""
    return not ref.name


def conditional(write: Write, reads: Reads, objects: Objects) -> Write:
    """The write, on condition that its object is still as it was read when the write was decided on.

    We know that an object is missing only if it was read by name: an object that lost its label exists, and was not
    found. A write to such an object is unconditional.
    """
    found = objects.get(write.ref)
    if isinstance(found, dict):
        return _seen(write, str(found["metadata"]["resourceVersion"]))
    if found is None and write.ref in reads.named and isinstance(write, Apply):
        return _seen(write, "")
    return write


def _seen(write: Write, version: str) -> Write:
    match write:
        case Apply():
            return replace(write, seen=version)
        case Patch():
            return replace(write, seen=version)
        case Delete():
            return replace(write, seen=version)
