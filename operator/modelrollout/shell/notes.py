"""Keeps kopf from writing notes of its own to ModelRollouts: the operator does not need them, and they do harm.

kopf would copy the whole spec into an annotation, to tell later what changed; `kubectl apply` keeps such a copy, too.
Annotations take 256 KiB together. With a large template every note of kopf's is refused from then on, and in the end
the removal of the finalizer. We read each rollout afresh and look at what is, not at what changed.
"""

from __future__ import annotations

from collections.abc import Iterable

import kopf

from modelrollout.api.base import GROUP

_OLD_NOTES = f"kopf.{GROUP}/"
"""What annotations begin with that earlier versions had kopf write."""


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no copy of a spec, and takes off those of earlier versions."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[object] | None = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        for name in body.metadata.annotations:
            if name.startswith(_OLD_NOTES):
                patch.metadata.annotations[name] = None


class NoProgress(kopf.ProgressStorage):
    """Keeps no count of attempts: our handlers do not fail, they try again by themselves."""

    def fetch(self, *, key: object, body: kopf.Body) -> kopf.ProgressRecord | None:
        return None

    def store(self, *, key: object, record: kopf.ProgressRecord, body: kopf.Body, patch: kopf.Patch) -> None: ...

    def purge(self, *, key: object, body: kopf.Body, patch: kopf.Patch) -> None: ...

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None: ...

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
