"""A real Prometheus that scrapes pages of a test, four times a second."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from aiohttp import web

from localcluster.metrics.server import Server, binary, reserved_port


@dataclass(slots=True)
class Page:
    """What is exposed; it may change at any time."""

    body: bytes
    content_type: str

    async def reply(self, _: web.Request) -> web.Response:
        return web.Response(body=self.body, headers={"Content-Type": self.content_type})


@asynccontextmanager
async def scraped(pages: Sequence[Page], folder: Path, *, flags: Sequence[str] = ()) -> AsyncIterator[str]:
    """The address of the Prometheus, started with these flags; it scrapes itself as well."""
    async with AsyncExitStack() as exits:
        targets = [await exits.enter_async_context(_served(page)) for page in pages]
        port = exits.enter_context(reserved_port())
        scrape: dict[str, object] = {"job_name": "page", "scrape_interval": "250ms", "scrape_timeout": "250ms"}
        scrape |= {"static_configs": [{"targets": [*targets, f"127.0.0.1:{port}"]}]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
        server = Server(binary(), folder, port, flags=flags)
        await server.start()
        try:
            yield server.url
        finally:
            await server.stop()


@asynccontextmanager
async def _served(page: Page) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/metrics", page.reply)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.05)
