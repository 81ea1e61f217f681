"""Somebody who is told of releases: a receiver of signed webhooks, and what it heard."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from modelrollout.api.notifications import Topic
from tests.integration.patience import eventually
from tests.unit.delivery.receivers import receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the specification's example


@dataclass(frozen=True, slots=True)
class News:
    """A decision that somebody is told of."""

    topic: str
    rollout: str
    version: str


@dataclass
class Audience:
    """It never answers the first attempt at any news of one rollout: whoever made it does not know that it arrived."""

    targets: Path
    silent_at_first: str
    heard: dict[News, list[tuple[str, bytes]]] = field(default_factory=lambda: defaultdict(list))
    """By decision, the id and the body of each attempt."""
    strangers: int = 0
    """Requests that were not signed."""
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def hears(self, news: News, times: int = 1) -> None:
        async def hears() -> bool:
            return len(self.heard.get(news, ())) >= times

        await eventually(hears, f"{news} is told {times} times")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers, body = {name.lower(): value for name, value in request.headers.items()}, await request.read()
        try:
            data = Webhook(SECRET).verify(body, headers)["data"]
        except WebhookVerificationError:
            self.strangers += 1
            raise
        news = News(data["topic"], data["rollout"], data["version"])
        self.heard[news].append((headers["webhook-id"], body))
        if news.rollout == self.silent_at_first and len(self.heard[news]) == 1:
            await self._over.wait()
        return web.Response(status=204)

    def end(self) -> None:
        self._over.set()


@asynccontextmanager
async def audience(targets: Path, *, silent_at_first: str) -> AsyncIterator[Audience]:
    """`targets`: the file of an operator's own targets, which is written; it is told of everything."""
    made = Audience(targets, silent_at_first)
    async with receiver(made.answer) as there:
        one = {"name": "audience", "topics": list(Topic), "url": there.url, "signingSecret": SECRET}
        targets.write_text(json.dumps({"targets": [one]}))  # noqa: ASYNC240 - a small file
        try:
            yield made
        finally:
            made.end()
