"""The operator's own HTTP port: /healthz for the kubelet, /metrics for Prometheus."""

from __future__ import annotations

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from modelrollout.shell.telemetry import Telemetry


class Probes:
    """An HTTP server that runs between `start` and `stop`."""

    def __init__(self, telemetry: Telemetry, host: str, port: int) -> None:
        self._telemetry, self._host, self._port = telemetry, host, port
        app = web.Application()
        app.add_routes([web.get("/healthz", self._healthz), web.get("/metrics", self._metrics)])
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> int:
        """Listens; returns the port, which is a free one when 0 was asked for. Raises OSError when it is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        if late := self._telemetry.overdue():
            names = ", ".join("/".join(key) for key in late[:5])
            return web.Response(status=503, text=f"{len(late)} rollouts wait for a pass that does not come: {names}\n")
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        # In a thread: a thousand rollouts take a while, and passes do not wait for a scrape.
        page = await asyncio.to_thread(self._telemetry.page)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})
