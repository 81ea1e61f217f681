"""Makes the smoke requests of a pass, all at once, each within its time. Decides nothing about the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from multidict import CIMultiDict

from modelrollout.api.smoke import SmokeRequest
from modelrollout.comparer.answers import Reply
from modelrollout.comparer.asking import Asker, open_asker
from modelrollout.delivery.resolving import Judged
from modelrollout.trial.smoke import LARGEST, SmokeRound, method_of, url_of

MARK = "X-ModelRollout-Smoke"
"""Header of every request that the operator makes: a server that sees it can leave out what must not happen."""
SPARE = 6.0
"""Seconds beyond an answer's time. A connection that nobody lets through is given up before that, and so it is told
apart from a slow answer."""


class ByHTTP:
    """Asks as any client in the cluster would, but without redirects, cookies, proxies or a look at certificates."""

    async def ask(self, asked: SmokeRound) -> Mapping[str, Reply]:
        # A Service is asked by its own address. One without leads to wherever its namespace has it lead.
        judged = Judged(lambda host, words: OSError(f"{host} leads to {words}"))
        async with open_asker(SPARE, LARGEST, judged) as asker:
            replies = await asyncio.gather(*(_reply(asker, asked.url, request) for request in asked.requests))
        return {request.name: reply for request, reply in zip(asked.requests, replies, strict=True)}


async def _reply(asker: Asker, url: str, request: SmokeRequest) -> Reply:
    longest = request.expect.max_latency.timedelta.total_seconds() + SPARE
    return await replace(asker, longest=longest).ask(url_of(request, url), _Marked.of(request))


@dataclass(frozen=True, slots=True)
class _Marked:
    """A smoke request as it is sent."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of(cls, request: SmokeRequest) -> _Marked:
        headers = tuple((header.name, header.value) for header in request.headers)
        kind, body = _content(request)
        is_said = any(name.lower() == "content-type" for name, _ in headers)
        return cls(method_of(request), request.path, headers if is_said or not kind else (*headers, kind), body)

    def marked_headers(self) -> CIMultiDict[str]:
        headers = CIMultiDict(self.headers)
        headers["Accept-Encoding"] = "identity"  # a packed answer may be larger than any limit
        headers[MARK] = "true"
        return headers


def _content(request: SmokeRequest) -> tuple[tuple[str, str] | None, bytes]:
    match request.body:
        case None:
            return None, b""
        case str(text):
            return ("Content-Type", "text/plain; charset=utf-8"), text.encode()
        case value:
            return ("Content-Type", "application/json"), json.dumps(value).encode()
