"""Who wrote the annotation by which people ask for something. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.base import GROUP
from modelrollout.api.people import Author
from modelrollout.objects.manifests import Manifest, annotation

ACTION = f"{GROUP}/action"
"""Annotation on a ModelRollout by which people ask for something, such as retry/<token>."""
ACTION_BY = f"{GROUP}/action-by"
"""Annotation beside it with its author. It counts where the API server lets nobody write another name than his own."""
_LONGEST = 253


def author_of(manifest: Manifest, *, is_admitted: bool) -> Author | None:
    """The author of what is asked for; None where nothing tells. `is_admitted`: an admission policy checks authors."""
    if is_admitted:
        name = annotation(manifest, ACTION_BY)
        return Author(name=name[:_LONGEST], known_from="Admission") if name else None
    last = max(_writers(manifest), default=None)
    return Author(name=last[1][:_LONGEST], known_from="FieldManager") if last is not None else None


def _writers(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """When which programs wrote it."""
    for entry in manifest["metadata"].get("managedFields") or ():
        metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if f"f:{ACTION}" in (metadata.get("f:annotations") or {}):
            yield str(entry.get("time")), str(entry.get("manager"))
