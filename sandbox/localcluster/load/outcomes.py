"""The outcome of one request of one user, and who is to blame for a bad one. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

VERSION_HEADER = "x-model-version"  # only a model server sets it: an answer without it was made on the way
TRUE_LABEL_HEADER = "x-true-label"  # stands in for the label that arrives days later in real life


class Failure(StrEnum):
    """Why a user got no answer."""

    CONNECT = "connect"  # nobody listened
    RESET = "reset"  # the connection broke before the whole answer was there
    TIMEOUT = "timeout"  # no whole answer in time
    PROXY = "proxy"  # an error that no model server made: no backend, no route, a broken connection behind the proxy
    SERVER = "server"  # an error that the model server itself made
    GARBLED = "garbled"  # success, it said, but there is no label in it

    @property
    def is_by_switch(self) -> bool:
        """Whether how the model behaves does not explain it; then moving traffic is the first suspect."""
        return self not in (Failure.SERVER, Failure.GARBLED)


@dataclass(frozen=True, slots=True)
class Sample:
    """A request, and the right answer, which the user does not know yet."""

    features: tuple[float, ...]
    label: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply over the wire; `broken` instead of a status when it was incomplete."""

    status: int = 0
    version: str | None = None
    body: bytes = b""
    broken: Failure | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request.

    `at` is when the user meant to send it (unix seconds), `latency` the seconds from then to the whole answer,
    `stable_right` whether the stable version would have been right, `detail` what a failure said, and `user` who asked
    where users have names.
    """

    at: float
    latency: float
    status: int
    version: str | None
    failure: Failure | None
    right: bool
    stable_right: bool
    harmed: bool
    detail: str = ""
    user: str | None = None


def judge(
    reply: Reply,
    *,
    truth: int,
    expected: int,
    stable: str | None,
    at: float,
    latency: float,
    user: str | None = None,
) -> Outcome:
    """Whether the user was served, rightly, and no worse than the stable version would have done.

    Harmed is who got an error, or a wrong answer where stable's (`expected`) is right. An error of the stable version's
    own server (`stable` is its name) is one that stable would have given too.
    """
    failure, label = _read(reply)
    stable_right = expected == truth
    if failure is None:
        harmed = stable_right and label != truth
    else:
        harmed = failure.is_by_switch or stable is None or reply.version != stable
    return Outcome(
        at=at,
        latency=latency,
        status=reply.status,
        version=reply.version,
        failure=failure,
        right=failure is None and label == truth,
        stable_right=stable_right,
        harmed=harmed,
        detail=reply.body[:200].decode(errors="replace") if failure else "",
        user=user,
    )


def _read(reply: Reply) -> tuple[Failure | None, int | None]:
    if reply.broken:
        return reply.broken, None
    if not 200 <= reply.status < 300:
        return Failure.SERVER if reply.version else Failure.PROXY, None
    try:
        return None, int(json.loads(reply.body)["label"])
    except (ValueError, KeyError, TypeError):
        return Failure.GARBLED, None
