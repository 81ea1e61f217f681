"""Two ports: one for the copies, whatever their path; one for Prometheus, the kubelet and people."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from modelrollout.comparer.asking import open_asker
from modelrollout.comparer.config import Config
from modelrollout.comparer.examples import Ring
from modelrollout.comparer.intake import Intake
from modelrollout.comparer.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Listening:
    """A comparer that runs: its two ports."""

    copies: int
    watched: int
    intake: Intake


@asynccontextmanager
async def serve(config: Config, host: str, copies: int = 0, watched: int = 0) -> AsyncIterator[Listening]:
    """Runs until the block ends; with port 0 at a free one. Raises OSError when a port is taken."""
    metrics, ring, limits = Metrics(config), Ring(config.compare.examples), config.compare.limits
    async with open_asker(limits.timeout.timedelta.total_seconds(), limits.body_kibibytes * 1024) as asker:
        intake = Intake(config, asker, metrics, ring)
        # Packed bodies stay packed: they are passed on as they came.
        runners: tuple[web.BaseRunner, web.BaseRunner] = (
            web.ServerRunner(web.Server(intake.handle, access_log=None, auto_decompress=False)),
            web.AppRunner(_watched(config, metrics, ring), access_log=None),
        )
        try:
            yield Listening(await _listen(runners[0], host, copies), await _listen(runners[1], host, watched), intake)
        finally:
            for runner in runners:
                await runner.cleanup()


async def _listen(runner: web.BaseRunner, host: str, port: int) -> int:
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return int(runner.addresses[0][1])


def _watched(config: Config, metrics: Metrics, ring: Ring) -> web.Application:
    revisions = {"stable": config.stable.revision, "candidate": config.candidate.revision}
    about = json.dumps({"rollout": config.rollout, **revisions})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def disagreements(_: web.Request) -> web.Response:
        # What is kept is JSON already.
        text = f'{about[:-1]}, "disagreements": {ring.newest_first}}}'
        return web.Response(text=text, content_type="application/json")

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/metrics", numbers), web.get("/disagreements", disagreements)]
    )
    return app
