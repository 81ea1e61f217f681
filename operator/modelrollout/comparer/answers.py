"""What one version gave for an answer, and what the answers of both say about the candidate. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelrollout.comparer.agreement import NotComparable, Reason, Rules, disagreement


class Trouble(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BROKEN = "broken"  # no HTTP, or it broke off
    TRUNCATED = "truncated"  # a stream without its end
    TOO_LARGE = "too_large"


NOT_ITS_FAULT = frozenset({Trouble.UNREACHABLE, Trouble.TOO_LARGE})
"""Says nothing of the model: whether pods are ready is judged elsewhere, and the limit on bodies is ours."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that came to its end. `joined`: that of a stream."""

    status: int
    content_type: str
    body: bytes
    seconds: float
    first_token: float | None = None  # seconds; of streams only
    joined: Any = None


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer, and how long it took not to come."""

    trouble: Trouble
    seconds: float


Reply = Answer | Failure


@dataclass(frozen=True, slots=True)
class Agreed:
    """The candidate's answer was as good as stable's."""


@dataclass(frozen=True, slots=True)
class Disagreed:
    """It was another."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Uncompared:
    """Nothing is said about the candidate."""

    reason: str


Outcome = Agreed | Disagreed | Uncompared


def outcome(rules: Rules, stable: Reply, candidate: Reply) -> Outcome:
    """What the replies to one request say about the candidate."""
    if isinstance(stable, Failure) or stable.status >= 500:
        return Uncompared("stable_failed")
    if isinstance(candidate, Failure):
        is_its_own = candidate.trouble not in NOT_ITS_FAULT
        return Disagreed(Reason.FAILED) if is_its_own else Uncompared(f"candidate_{candidate.trouble}")
    if candidate.status >= 500:
        return Disagreed(Reason.FAILED)
    if stable.status != candidate.status:
        return Disagreed(Reason.STATUS)
    if stable.status >= 300:
        return Uncompared("refused_by_both")
    return _of_bodies(rules, stable, candidate)


def _of_bodies(rules: Rules, stable: Answer, candidate: Answer) -> Outcome:
    try:
        theirs = value(stable)
    except ValueError:
        return Uncompared("stable_unreadable")
    try:
        mine = value(candidate)
    except ValueError:
        return Disagreed(Reason.UNREADABLE)
    try:
        why = disagreement(rules, theirs, mine)
    except NotComparable as reason:
        return Uncompared(str(reason))
    return Agreed() if why is None else Disagreed(why)


def value(answer: Answer) -> Any:
    """The body as JSON, else as text, else as bytes. Raises ValueError where it is called JSON and is none."""
    return answer.joined if answer.joined is not None else read(answer.body, answer.content_type)


def read(body: bytes, content_type: str) -> Any:
    """Raises ValueError where it is called JSON and is none."""
    is_json = "json" in content_type.lower()
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        if is_json and body:
            raise
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def is_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Type", "").lower().startswith("text/event-stream")
