"""Which Prometheus answers: a client for every server that rollouts name. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.prometheus.client import Prometheus
from modelrollout.prometheus.credentials import Credentials, Shown
from modelrollout.promql.query import Answer, Query, Unanswered

MOST_SERVERS = 50
"""How many clients are kept: addresses come from users' specs, and each client has threads."""


class Servers:
    """Asks the server that a rollout names, else the operator's own, which alone is shown the credentials."""

    def __init__(self, default_url: str | None, credentials: Credentials | None = None) -> None:
        self._default_url, self._credentials = default_url, credentials
        self._servers: dict[str, tuple[Prometheus, Shown]] = {}  # the most recently asked comes last

    async def ask(self, url: str | None, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        """One answer for each query; never raises for the world's trouble."""
        address = url or self._default_url
        if address is None:
            why = (
                "no Prometheus is known: set spec.analysis.prometheus.url, or start the operator with --prometheus-url"
            )
            return {query: Unanswered(why, rejected=False) for query in queries}
        return await (await self._server(address)).ask(queries)

    async def close(self) -> None:
        for server, _ in self._servers.values():
            await server.close()

    async def _server(self, address: str) -> Prometheus:
        shown = self._shown_to(address)
        server, known = self._servers.pop(address, (None, None))
        if server is not None and known != shown:
            await server.close()
            server = None
        server = server or Prometheus(address, headers=dict(shown.headers), verify=shown.verify)
        self._servers[address] = server, shown
        if len(self._servers) > MOST_SERVERS:
            oldest, _ = self._servers.pop(next(iter(self._servers)))
            await oldest.close()
        return server

    def _shown_to(self, address: str) -> Shown:
        """An address that a spec chose is shown nothing."""
        if self._credentials is None or address != self._default_url:
            return Shown()
        return self._credentials.shown()
