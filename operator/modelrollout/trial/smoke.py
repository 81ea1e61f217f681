"""Smoke requests: which are open, when they are asked again, and what is wrong with an answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelrollout.api.smoke import Expectation, JsonExpectation, SmokeRequest
from modelrollout.api.smoke_status import SmokeStatus, SmokeTrouble
from modelrollout.comparer.agreement import Rules, difference
from modelrollout.comparer.answers import NOT_ITS_FAULT, Answer, Failure, Reply, Trouble, value
from modelrollout.comparer.json_paths import find, keys
from modelrollout.objects.manifests import digest

MOST_AT_ONCE = 4
"""Requests of one pass, all at the same time: so a pass lasts no longer than the slowest answer may take."""
LONGEST_PAUSE = timedelta(minutes=1)
LARGEST = 1 << 20
"""Bytes of an answer that are read."""
_SHOWN = 80
"""Characters of a value or a body that are told."""


@dataclass(frozen=True, slots=True)
class Smoke:
    """What a step asks of the candidate itself before the next one begins."""

    requests: tuple[SmokeRequest, ...]
    deadline: timedelta  # how long the answers may be wrong


@dataclass(frozen=True, slots=True)
class SmokeRound:
    """Requests that are to be made now, all at once. `revision` and `entered`: of whom, and at which step."""

    revision: str
    entered: datetime
    url: str  # of the candidate's own Service
    requests: tuple[SmokeRequest, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The same for the same requests to the same revision."""
        return (self.url, *(basis(self.revision, request) for request in self.requests))


@dataclass(frozen=True, slots=True)
class Unmet:
    """What an answer lacks. `is_its_own`: the candidate is to blame, and not the way to it."""

    message: str
    is_its_own: bool = True


def basis(revision: str, request: SmokeRequest) -> str:
    """Stands for a request and for whom it was put to: what was passed by others, or to other words, does not count."""
    return digest([revision, request.to_wire()])


def still_open(smoke: Smoke, revision: str, known: SmokeStatus | None) -> tuple[SmokeRequest, ...]:
    """The requests without an answer that was as expected."""
    passed = known.passed if known is not None else {}
    return tuple(one for one in smoke.requests if passed.get(one.name) != basis(revision, one))


def next_attempt(smoke: Smoke, trouble: SmokeTrouble, waited: int) -> datetime:
    """When it is asked again: later after each failure, but not later than the moment that decides."""
    again = trouble.at + min(LONGEST_PAUSE, timedelta(seconds=2 ** min(trouble.times - 1, 10)))
    decides = last_attempt(smoke, trouble, waited)
    return decides if decides is not None and trouble.at < decides < again else again


def last_attempt(smoke: Smoke, trouble: SmokeTrouble, waited: int) -> datetime | None:
    """The moment from which on a wrong answer rejects the candidate; None while it cannot be asked at all.

    `waited`: seconds of the step in which it was not asked: it was not ready, or the release was paused.
    """
    return trouble.since + smoke.deadline + timedelta(seconds=waited) if trouble.since is not None else None


def url_of(request: SmokeRequest, url: str) -> str:
    """Where a request goes; `url`: of the candidate's own Service, by plain HTTP."""
    return f"{request.scheme.lower()}://{url.removeprefix('http://')}"


def unmet(request: SmokeRequest, reply: Reply, url: str) -> Unmet | None:
    """What is wrong with the reply; None where it is as expected. Tells neither headers nor bodies of requests."""
    asked = f"'{request.name}' ({method_of(request)} {request.path.partition('?')[0]})"
    if isinstance(reply, Failure):
        told = _TROUBLE[reply.trouble].format(
            url=url_of(request, url), longest=request.expect.max_latency, scheme=request.scheme
        )
        return Unmet(f"{asked}: {told}.", is_its_own=reply.trouble not in NOT_ITS_FAULT)
    found = (why for look in _LOOKS for why in look(request.expect, reply))
    why = next(found, None)
    return Unmet(f"{asked}: {why}.") if why is not None else None


def method_of(request: SmokeRequest) -> str:
    return request.method or ("GET" if request.body is None else "POST")


_TROUBLE = {
    Trouble.UNREACHABLE: "the operator cannot reach the candidate's own Service at {url}. It has to run where Services "
    "of the cluster can be reached, and a NetworkPolicy has to let it through to the candidate's pods; until then "
    "nobody is exposed",
    Trouble.TOO_LARGE: f"the answer is larger than {LARGEST >> 20} MiB, the most that is read: ask for less",
    Trouble.TIMEOUT: "expected an answer within {longest}, got none",
    Trouble.BROKEN: "expected an answer, and the connection broke off, or what came was no {scheme}",
    Trouble.TRUNCATED: "expected a whole stream, and it broke off",
}


def _status(expect: Expectation, answer: Answer) -> Iterator[str]:
    if not expect.status.include(answer.status):
        yield f"expected status {expect.status}, got {answer.status}{_said(answer)}"


def _latency(expect: Expectation, answer: Answer) -> Iterator[str]:
    if answer.seconds > expect.max_latency.timedelta.total_seconds():
        yield f"expected an answer within {expect.max_latency}, got it after {answer.seconds:.2g} s"


def _text(expect: Expectation, answer: Answer) -> Iterator[str]:
    if expect.contains is not None and expect.contains not in _as_text(answer):
        yield f"expected {_cut(json.dumps(expect.contains))} in the body, and it is not there{_said(answer)}"


def _values(expect: Expectation, answer: Answer) -> Iterator[str]:
    if not expect.json_:
        return
    try:
        body = value(answer)
    except ValueError:
        yield f"expected JSON, got something else{_said(answer)}"
        return
    for one in expect.json_:
        yield from _of_part(one, find(keys(one.path), body))


def _of_part(expected: JsonExpectation, parts: Sequence[Any]) -> Iterator[str]:
    wanted = f"expected {expected.path} to be {_shown(expected.equals)}"
    if not parts:
        yield f"{wanted}, and there is no such part"
    yield from (f"{wanted}, got {_shown(part)}" for part in parts if not _agrees(expected, part))


def _agrees(expected: JsonExpectation, part: Any) -> bool:
    numbers = expected.numbers
    absolute, relative = (numbers.absolute.value, numbers.relative.value) if numbers else (0.0, 0.0)
    try:
        return difference(Rules((), (), absolute, relative), expected.equals, part) is None
    except RecursionError:
        return False


_LOOKS: tuple[Callable[[Expectation, Answer], Iterator[str]], ...] = (_status, _latency, _text, _values)


def _as_text(answer: Answer) -> str:
    """A stream's answer is told as the JSON that it is put together to."""
    return answer.body.decode(errors="replace") if answer.joined is None else json.dumps(answer.joined)


def _said(answer: Answer) -> str:
    text = " ".join(_as_text(answer).split())
    return f": {_cut(text)}" if text else ""


def _shown(part: Any) -> str:
    return _cut(json.dumps(part, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}…"
