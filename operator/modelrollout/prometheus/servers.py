"""Which Prometheus answers: a client for every server that rollouts name. Decides nothing but whom it may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.analysis import PrometheusServer
from modelrollout.prometheus.client import Prometheus
from modelrollout.prometheus.credentials import Credentials, Shown
from modelrollout.prometheus.guard import Guard
from modelrollout.promql.query import Answer, Query, Unanswered

MOST_SERVERS = 50
"""Clients that are kept beside the operator's own: addresses come from users' specs, and each client has threads."""
SECRET_REF = "spec.analysis.prometheus.secretRef"  # noqa: S105 - the name of a field
ReadSecret = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""Texts by their keys, of a namespace's Secret of that name. Raises Unreadable."""


class Unreadable(Exception):  # noqa: N818 - named after what happened
    """A Secret cannot be used; the message says why and has nothing of its content."""


@dataclass(frozen=True, slots=True)
class _Client:
    """A client is one address, for those who show it the same Secret."""

    url: str = field(repr=False)  # it may have a password in it
    secret: tuple[str, str] | None  # its namespace and name


class Servers:
    """Asks the server that a rollout names, else the operator's own.

    The operator's own credentials go to its own address alone. An address of a spec's is shown what the spec's Secret
    has, and is asked only where it is allowed and leads to where `guard` has nothing against.
    """

    def __init__(
        self,
        allowed: AllowedAddresses,
        credentials: Credentials | None = None,
        read_secret: ReadSecret | None = None,
        *,
        guard: Guard | None = None,
        most: int = MOST_SERVERS,
    ) -> None:
        self._guard, self._most = guard or Guard(), most
        self._allowed, self._credentials, self._read_secret = allowed, credentials, read_secret
        self._servers: dict[_Client, tuple[Prometheus, Shown]] = {}  # the most recently asked comes last

    async def ask(
        self, namespace: str, named: PrometheusServer | None, queries: tuple[Query, ...]
    ) -> Mapping[Query, Answer]:
        """One answer for each query; `named` by a rollout of the namespace. Never raises for the world's trouble."""
        server = await self._server_for(namespace, named)
        return dict.fromkeys(queries, server) if isinstance(server, Unanswered) else await server.ask(queries)

    async def close(self) -> None:
        for server, _ in self._servers.values():
            await server.close()

    async def _server_for(self, namespace: str, named: PrometheusServer | None) -> Prometheus | Unanswered:
        url, ref = (named.url, named.secret_ref) if named is not None else (None, None)
        address = url or self._allowed.own
        if address is None:
            why = (
                "no Prometheus is known: set spec.analysis.prometheus.url, or start the operator with --prometheus-url"
            )
            return Unanswered(why, rejected=False)
        if (refusal := self._allowed.refusal(address, namespace)) is not None:
            return Unanswered(refusal.message, rejected=False)
        secret = (namespace, ref.name) if ref is not None else None
        try:
            shown = await self._shown_to(address, secret)
        except Unreadable as why_not:
            return Unanswered(f"{SECRET_REF}: {why_not}.", rejected=False)
        own = self._allowed.own
        known = own if own is not None and self._allowed.is_own(address) else address  # one client for its spellings
        return await self._server(_Client(known if secret is None else _without_user(known), secret), shown)

    async def _shown_to(self, address: str, secret: tuple[str, str] | None) -> Shown:
        """Raises Unreadable."""
        if secret is None:
            return self._credentials.shown() if self._credentials and self._allowed.is_own(address) else Shown()
        if self._read_secret is None:
            raise Unreadable("this operator reads no Secrets")
        found = await self._read_secret(*secret)
        try:
            return Shown.of(found)
        except ValueError as error:
            raise Unreadable(f"Secret '{secret[1]}' cannot be used: {error}") from None

    async def _server(self, client: _Client, shown: Shown) -> Prometheus:
        server, known = self._servers.pop(client, (None, None))
        outdated = [server] if server is not None and known != shown else []
        if server is None or outdated:
            guard = None if self._is_at_the_operators_own(client) else self._guard
            server = Prometheus(client.url, headers=dict(shown.headers), authority=shown.authority, guard=guard)
        self._servers[client] = server, shown
        others = [one for one in self._servers if not self._is_own(one)]
        if len(others) > self._most:
            outdated.append(self._servers.pop(others[0])[0])
        for one in outdated:  # only now: while these close, others ask, and are to find the new one
            await one.close()
        return server

    def _is_own(self, client: _Client) -> bool:
        """Whoever names many addresses takes the operator's own from nobody."""
        return client.secret is None and self._allowed.is_own(client.url)

    def _is_at_the_operators_own(self, client: _Client) -> bool:
        own = self._allowed.own
        return own is not None and client.url in (own, _without_user(own))


def _without_user(url: str) -> str:
    """The address without the user and password that the operator's own may carry: whoever brings a Secret gets what
    that Secret opens."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
