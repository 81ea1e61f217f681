"""`python -m benchmarks.shadow.versions NAME …`: model servers, one for each way of behaving; their ports in a line.

They run beside the users' generator, in a process of their own, so that a bad candidate does not slow whoever measures.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from localcluster.load.outcomes import VERSION_HEADER

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
STABLE, LIKE_STABLE, SILENT = "stable", "answers like stable", "never answers"
THINKING, LONG, EVER = 0.005, 2.0, 3600.0
"""Seconds until an answer."""


def _answering(name: str, seconds: float) -> Handler:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        await asyncio.sleep(seconds)
        return web.json_response({"label": 1}, headers={VERSION_HEADER: name})

    return answer


async def _failing(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=500, text="out of memory", headers={VERSION_HEADER: "candidate"})


async def _resetting(request: web.BaseRequest) -> web.StreamResponse:
    await request.read()
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _talking_nonsense(request: web.BaseRequest) -> web.StreamResponse:
    await request.read()
    if isinstance(request.transport, asyncio.Transport):
        request.transport.write(b"\x00\xff no HTTP at all \r\n" * 64)
        request.transport.close()
    return web.Response()


HANDLERS: Mapping[str, Handler] = {
    STABLE: _answering(STABLE, THINKING),
    LIKE_STABLE: _answering("candidate", THINKING),
    "answers after 2 s": _answering("candidate", LONG),
    SILENT: _answering("candidate", EVER),
    "answers 500": _failing,
    "resets connections": _resetting,
    "answers garbage": _talking_nonsense,
}


async def _serve(names: list[str]) -> None:
    ports = {}
    for name in names:
        server = web.Server(HANDLERS[name])
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        ports[name] = listening.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1:]))
