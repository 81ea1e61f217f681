"""What the shell is handed of the world outside: somebody who asks Prometheus, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from modelrollout.promql.query import Answer, Query


class Asker(Protocol):
    """Where the answers come from."""

    async def ask(self, url: str | None, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        """One answer for each query. Never raises for the world's trouble."""


def utc_now() -> datetime:
    return datetime.now(UTC)
