"""Both versions and the gateway, as cheap as they can be: bytes on a socket, with no HTTP library in between.

They share the machine with the comparer that is measured, so whatever they spend is taken from it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from time import perf_counter

BODY = json.dumps({"features": [round(0.1 * number, 1) for number in range(64)], "tenant": "a"}).encode()
COPY = (
    b"POST /predict HTTP/1.1\r\nHost: fraud.example.com\r\nContent-Type: application/json\r\n"
    b"X-Request-Id: 7b0f6d0e\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
LONGEST_PAUSE = 0.005
"""Seconds between two bursts of the gateway."""


def answer(label: int) -> bytes:
    body = json.dumps({"label": label, "scores": [0.1] * 9 + [0.2], "id": "c1"}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


class Version(asyncio.Protocol):
    """Answers each request with the same bytes as soon as its body has come."""

    def __init__(self, reply: bytes) -> None:
        self._reply, self._seen = reply, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        # Bodies are all alike: a request is over where the body is.
        while (end := self._seen.find(BODY)) >= 0:
            self._seen = self._seen[end + len(BODY) :]
            self._transport.write(self._reply)


@dataclass(slots=True)
class Gateway:
    """Sends copies at a rate, one at a time on each of its connections; one that finds none free is lost."""

    port: int
    connections: int = 64
    sent: int = 0
    _free: list[_Connection] = field(default_factory=list)

    async def send(self, rate: float, seconds: float) -> None:
        """Copies at the rate, whatever becomes of them."""
        loop = asyncio.get_running_loop()
        for _ in range(self.connections - len(self._free)):
            await loop.create_connection(lambda: _Connection(self._free), "127.0.0.1", self.port)
        begun, due = perf_counter(), 0
        while (passed := perf_counter() - begun) < seconds:
            while due < passed * rate:
                due += 1
                if self._free:
                    self._free.pop().send()
                    self.sent += 1
            await asyncio.sleep(LONGEST_PAUSE)


class _Connection(asyncio.Protocol):
    def __init__(self, free: list[_Connection]) -> None:
        self._free = free

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._free.append(self)

    def send(self) -> None:
        self._transport.write(COPY)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 202"):
            self._free.append(self)
