"""What the shell is handed of the world outside: who asks Prometheus, who asks the candidate, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from modelrollout.api.analysis import PrometheusServer
from modelrollout.comparer.answers import Reply
from modelrollout.promql.query import Answer, Query
from modelrollout.trial.smoke import SmokeRound


class Asker(Protocol):
    """Where the answers come from."""

    async def ask(
        self, namespace: str, named: PrometheusServer | None, queries: tuple[Query, ...]
    ) -> Mapping[Query, Answer]:
        """One answer for each query; `named` by a rollout of the namespace. Never raises for the world's trouble."""


class Smoker(Protocol):
    """Where the candidate's answers come from."""

    async def ask(self, asked: SmokeRound) -> Mapping[str, Reply]:
        """One reply for each request, by its name. Never raises for the world's trouble."""


def utc_now() -> datetime:
    return datetime.now(UTC)
