"""What can go wrong with a call to Kubernetes, sorted by whose move it is.

A closed set: callers may rely on there being no other.
"""

# ruff: noqa: N818 - the exceptions are named after what happened, not after being errors

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class KubeError(Exception):
    """Everything that can go wrong with a call; the subclass says whose move it is."""


class NoCluster(KubeError):
    """The user's: no usable kubeconfig or service account was found."""


class Conflict(KubeError):
    """Nobody's: the object changed since it was read. Read it again."""


class AlreadyExists(KubeError):
    """Nobody's: somebody was quicker, or this was done before."""


class NotLeading(KubeError):
    """Nobody's: this process does not hold the Lease that it leads by, so it sent nothing. Another one acts."""


class Refused(KubeError):
    """The caller's: the API server said no, and will say it again. `message` is its own sentence."""

    def __init__(self, status: int, message: str, target: str) -> None:
        super().__init__(f"{target}: {message} ({status})")
        self.status, self.message, self.object = status, message, target


class Unreachable(KubeError):
    """The world's: connection trouble, a time-out, an overloaded or broken API server. Try again later."""


class Failed(Unreachable):
    """The API server's: it could not carry out this very request (500), and said why.

    That may be over in a moment. It may also be the object itself: server-side apply answers so to a field that it does
    not know. Who writes an object tells the two apart by trying again.
    """

    def __init__(self, status: int, message: str, target: str) -> None:
        super().__init__(f"{target}: {message} ({status})")
        self.status, self.message = status, message


class Gone(Unreachable):
    """That point in history is no longer kept (410). `watch` and `list` start from a fresh list."""


class LeftAlone(Refused):
    """Our own: the kind belongs to what this process was started without, so the API server was not asked.

    To all others it looks like a kind that the cluster does not have.
    """

    def __init__(self, integration: str, target: str) -> None:
        super().__init__(404, f"this operator was started with --without {integration}", target)


class NotFound(Refused):
    """There is no object of that name."""


def from_answer(status: int, data: str, path: str, kind: str) -> KubeError:
    """The error for an answer of 400 or more; `kind` is the kind that was asked for, in words."""
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):  # not from a handler: the path does not exist, or this is a proxy
        answer = {"message": data[:200].strip()}
    named = (answer.get("details") or {}).get("name")
    if status == 404 and not named:
        return Refused(404, f"the API server does not know {kind}; is the CRD installed?", path)
    reason, message = answer.get("reason", ""), str(answer.get("message") or f"HTTP {status}")
    match status:
        case 404:
            return NotFound(status, message, path)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(f"{path}: {message}")
        case 409 if not _is_field_conflict(answer):
            return Conflict(f"{path}: {message}")
        case 410:
            return Gone(f"{path}: {message}")
        case _ if status >= 500 and answer.get("kind") == "Status" and not _is_overload(status, reason):
            return Failed(status, message, path)
        case _ if status == 429 or status >= 500:
            return Unreachable(f"{path}: {message} ({status})")
        case _:
            return Refused(status, message, path)


def _is_overload(status: int, reason: str) -> bool:
    """The API server, or what it stores objects in, is away or behind: no matter what it was asked."""
    return status in (502, 503, 504) or reason == "ServerTimeout"


def _is_field_conflict(answer: dict[str, Any]) -> bool:
    """Server-side apply met another manager: unlike a stale write, trying again does not help."""
    causes: Sequence[dict[str, Any]] = (answer.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "FieldManagerConflict" for cause in causes)
