"""Which Prometheus answers: a client for every server that rollouts name. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.prometheus.client import Prometheus
from modelrollout.promql.query import Answer, Query, Unanswered

MOST_SERVERS = 50
"""How many clients are kept: addresses come from users' specs, and each client has threads."""


class Servers:
    """Asks the server that a rollout names, else the operator's own."""

    def __init__(self, default_url: str | None) -> None:
        self._default_url = default_url
        self._servers: dict[str, Prometheus] = {}  # the most recently asked comes last

    async def ask(self, url: str | None, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        """One answer for each query; never raises for the world's trouble."""
        address = url or self._default_url
        if address is None:
            why = (
                "no Prometheus is known: set spec.analysis.prometheus.url, or start the operator with --prometheus-url"
            )
            return {query: Unanswered(why, rejected=False) for query in queries}
        server = self._servers.pop(address) if address in self._servers else Prometheus(address)
        self._servers[address] = server
        if len(self._servers) > MOST_SERVERS:
            await self._servers.pop(next(iter(self._servers))).close()
        return await server.ask(queries)

    async def close(self) -> None:
        for server in self._servers.values():
            await server.close()
