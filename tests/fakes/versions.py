"""Two versions of a model server on loopback, and a comparer beside them that a test sends copies to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from modelrollout.api.compare import Compare
from modelrollout.comparer.config import Config, Version
from modelrollout.comparer.server import Listening, serve

Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
HERE = "127.0.0.1"


@dataclass(slots=True)
class ModelServer:
    """Answers as told, and remembers what it was asked."""

    answering: Answering
    url: str = ""
    asked: list[web.BaseRequest] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.asked.append(request)
        return await self.answering(request)


def says(value: Any, status: int = 200) -> Answering:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(value, status=status)

    return answer


def streams(*pieces: bytes, content_type: str = "text/event-stream") -> Answering:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return answer


def waits_for(event: asyncio.Event) -> Answering:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        await event.wait()
        return web.json_response({"label": 1})

    return answer


def raw(reply: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A server that speaks no HTTP: it sends the reply and hangs up."""

    async def serve_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    return serve_bytes


@asynccontextmanager
async def model_server(answering: Answering) -> AsyncIterator[ModelServer]:
    server = ModelServer(answering)
    runner = web.ServerRunner(web.Server(server.handle, auto_decompress=False))
    await runner.setup()
    await web.TCPSite(runner, HERE, 0).start()
    server.url = f"http://{HERE}:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def byte_server(reply: bytes) -> AsyncIterator[str]:
    server = await asyncio.start_server(raw(reply), HERE, 0)
    async with server:
        yield f"http://{HERE}:{server.sockets[0].getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Bench:
    """A comparer that runs, and a client beside it."""

    running: Listening
    client: aiohttp.ClientSession

    async def send(self, body: Any = None, method: str = "POST", path: str = "/predict", **headers: str) -> int:
        """Sends a copy, as a gateway does; the status of the answer. JSON, unless the body is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://{HERE}:{self.running.copies}{path}"
        async with self.client.request(method, url, data=data, headers=headers) as response:
            await response.read()
            return response.status

    async def compared(self, body: Any = None, **rest: Any) -> None:
        """Sends a copy and waits until nothing is in work."""
        assert await self.send(body, **rest) == 202
        await self.running.intake.rest()

    async def read(self, path: str) -> str:
        async with self.client.get(f"http://{HERE}:{self.running.watched}{path}") as response:
            assert response.status == 200
            return await response.text()

    async def counts(self, name: str, label: str | None = None) -> dict[str, float]:
        """The samples of a counter that are not zero, by the value of a label (else the name of the sample)."""
        families = text_string_to_metric_families(await self.read("/metrics"))
        wanted = f"modelrollout_comparer_{name}"
        found: dict[str, float] = {}
        for sample in (sample for family in families for sample in family.samples):
            if sample.name == wanted and sample.value:
                key = sample.labels[label] if label else name
                found[key] = found.get(key, 0) + sample.value
        return found

    async def disagreements(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(await self.read("/disagreements"))["disagreements"]
        return found


def compare(**fields: Any) -> Compare:
    return Compare.model_validate({"minAgreement": "98%", **fields})


def config(
    stable: str, candidate: str, settings: Compare | None = None, methods: tuple[str, ...] = ("POST",)
) -> Config:
    return Config(
        namespace="ml",
        rollout="fraud",
        stable=Version(url=stable, revision="old"),
        candidate=Version(url=candidate, revision="new"),
        methods=methods,
        compare=settings or compare(),
    )


@asynccontextmanager
async def comparer(told: Config) -> AsyncIterator[Bench]:
    async with serve(told, HERE) as running, aiohttp.ClientSession() as client:
        yield Bench(running, client)
        await running.intake.rest()


@asynccontextmanager
async def comparison(
    stable: Answering, candidate: Answering, **fields: Any
) -> AsyncIterator[tuple[Bench, ModelServer, ModelServer]]:
    """Two versions that answer as told, compared as the fields of `compare` say."""
    async with AsyncExitStack() as stack:
        old, new = [await stack.enter_async_context(model_server(one)) for one in (stable, candidate)]
        bench = await stack.enter_async_context(comparer(config(old.url, new.url, compare(**fields))))
        yield bench, old, new
