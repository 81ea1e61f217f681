"""Which release the present task works for: every log line and every span of it says so.

A context variable, so that tasks of a pass have it too. The release's id is made of what the status stores: it is the
same after a restart, and in every process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from modelrollout.api.status import ModelRolloutStatus
from modelrollout.objects.manifests import Owner, digest
from modelrollout.shell.wakeups import RolloutKey

_present: ContextVar[dict[str, str] | None] = ContextVar("modelrollout_present", default=None)


@contextmanager
def working_for(key: RolloutKey) -> Iterator[None]:
    """What is logged inside is about this rollout."""
    namespace, name = key
    token = _present.set({"namespace": namespace, "rollout": name})
    try:
        yield
    finally:
        _present.reset(token)


def note(owner: Owner, *statuses: ModelRolloutStatus) -> None:
    """Adds the release: that of the first of these statuses that has a candidate."""
    if (fields := _present.get()) is not None:
        fields |= {"uid": owner.uid, **_release(owner, *statuses)}


def fields() -> Mapping[str, str]:
    """namespace, rollout, and as soon as they are known uid, revision and release."""
    return _present.get() or {}


def _release(owner: Owner, *statuses: ModelRolloutStatus) -> dict[str, str]:
    for status in statuses:
        if (arm := status.candidate) is not None:
            return {"revision": arm.revision, "release": release_id(owner, arm.revision, arm.since.isoformat())}
    return {}


def release_id(owner: Owner, revision: str, since: str) -> str:
    """One id for one try of a revision, from when it became the candidate to its end."""
    return digest([owner.uid, revision, since])


class WithFields(logging.Filter):
    """Of a handler: gives each record the fields, unless whoever logs has set them."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in fields().items():
            if name not in record.__dict__:
                record.__dict__[name] = value
        return True
