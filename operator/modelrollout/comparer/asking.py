"""Asks one version, within a limit of time and of size. Whatever comes back is a Reply: nothing is raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

from modelrollout.comparer.answers import Answer, Failure, Reply, Trouble, is_stream
from modelrollout.comparer.streams import EventStream

_CONNECT = 5.0
"""Seconds; a pod that is there answers in milliseconds."""


_IDLE = 1.0
"""Seconds that a connection is kept without a request. Servers close theirs after two at the least, and a request that
meets the closing has no answer, which would look like the version's fault."""


class _TooLargeError(Exception):
    """The body goes beyond the limit."""


class Sent(Protocol):
    """A request to be made. `path` is as it goes over the wire, with its query."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def body(self) -> bytes: ...

    def marked_headers(self) -> CIMultiDict[str]:
        """The headers to ask with; one of them tells a server who asks."""


@dataclass(frozen=True, slots=True)
class Asker:
    """One HTTP client for both versions."""

    session: aiohttp.ClientSession
    longest: float  # seconds until an answer is complete
    largest: int  # bytes of a body

    async def ask(self, url: str, sent: Sent) -> Reply:
        """The reply of the version at the URL."""
        begun = perf_counter()
        try:
            async with asyncio.timeout(self.longest):
                return await self._answer(url, sent, begun)
        except aiohttp.ConnectionTimeoutError:  # a NetworkPolicy drops what it forbids
            return Failure(Trouble.UNREACHABLE, perf_counter() - begun)
        except TimeoutError:
            return Failure(Trouble.TIMEOUT, perf_counter() - begun)
        except aiohttp.ClientSSLError:  # there is somebody, who speaks no TLS
            return Failure(Trouble.BROKEN, perf_counter() - begun)
        except aiohttp.ClientConnectorError:
            return Failure(Trouble.UNREACHABLE, perf_counter() - begun)
        except _TooLargeError:
            return Failure(Trouble.TOO_LARGE, perf_counter() - begun)
        except (aiohttp.ClientError, OSError, ValueError, RecursionError):
            # ValueError: a URL or a header that nobody could send. RecursionError: a stream of nested nonsense.
            return Failure(Trouble.BROKEN, perf_counter() - begun)

    async def _answer(self, url: str, sent: Sent, begun: float) -> Reply:
        target = URL(url + sent.path, encoded=True)
        headers = sent.marked_headers()
        async with self.session.request(
            sent.method, target, headers=headers, data=sent.body or None, allow_redirects=False
        ) as response:
            kind = response.headers.get("Content-Type", "")
            if is_stream(response.headers):
                return await self._stream(response, kind, begun)
            body = await self._body(response)
            return Answer(response.status, kind, body, perf_counter() - begun)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if (response.content_length or 0) > self.largest:
            raise _TooLargeError
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > self.largest:
                raise _TooLargeError
        return b"".join(chunks)

    async def _stream(self, response: aiohttp.ClientResponse, kind: str, begun: float) -> Reply:
        stream, size, first_token = EventStream(), 0, None
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self.largest:
                raise _TooLargeError
            stream.feed(chunk)
            if first_token is None and stream.has_content:
                first_token = perf_counter() - begun
        if not stream.is_whole:
            return Failure(Trouble.TRUNCATED, perf_counter() - begun)
        return Answer(response.status, kind, b"", perf_counter() - begun, first_token, stream.answer)


@asynccontextmanager
async def open_asker(longest: float, largest: int, resolver: AbstractResolver | None = None) -> AsyncIterator[Asker]:
    """A client without cookies, proxies or limits of its own: what is in work is limited before it is asked.

    `longest` in seconds, `largest` in bytes. `resolver` looks names up in its own way. Certificates are not verified: a
    pod is not asked by a name of its own.
    """
    options: dict[str, Any] = {"cookie_jar": aiohttp.DummyCookieJar(), "trust_env": False}
    connector = aiohttp.TCPConnector(ssl=False, limit=0, ttl_dns_cache=30, keepalive_timeout=_IDLE, resolver=resolver)
    patience = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT)
    async with aiohttp.ClientSession(connector=connector, timeout=patience, **options) as session:
        yield Asker(session, longest, largest)
