"""Connections for addresses that a spec named: where one really leads is judged before anything is sent.

A name is looked up once, and the connection goes to the address that was judged: a name that leads elsewhere at its
next look-up gains nothing. There are no proxies, which would look names up by themselves.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from modelrollout.api.addresses import IPAddress, why_never


class Forbidden(OSError):  # noqa: N818 - named after what happened
    """The address leads to where no spec may send a query."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`why_never`: the words for an address that is not to be connected to; None for all others."""

    why_never: Callable[[IPAddress], str | None] = why_never
    look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo

    def judged(self, host: str, port: int) -> list[str]:
        """The addresses of a host. Raises Forbidden where any of them is: such a name means no good."""
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in self._looked_up(host, port)))
        for address in addresses:
            if (words := self.why_never(ip_address(address))) is not None:
                raise Forbidden(f"it leads to {address}, {words}, which no ModelRollout may name")
        return addresses

    def _looked_up(self, host: str, port: int) -> Sequence[Any]:
        with suppress(UnicodeError):  # Python's word for a part with too many letters
            return self.look_up(host.strip("[]"), port, type=socket.SOCK_STREAM)
        raise OSError("its name is none that DNS can have")


class Adapter(HTTPAdapter):
    """Sends requests. `guard`: None for an address that an operator's administrator chose. `authority`: in PEM; empty
    for the usual ones. A request that failed is not sent again: the next pass is retry enough."""

    def __init__(self, guard: Guard | None, authority: str) -> None:
        self._guard, self._authority = guard, authority
        super().__init__(max_retries=Retry(0, raise_on_status=False))

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        if self._guard is not None:
            self.poolmanager.pool_classes_by_scheme = _pools(self._guard)

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        place, options = super().build_connection_pool_key_attributes(request, verify, cert)
        return place, {**options, "ca_cert_data": self._authority} if self._authority else options

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]  # requests has no types for it
        if self._authority:  # it alone: requests adds the usual ones
            conn.ca_certs = conn.ca_cert_dir = None


def _pools(guard: Guard) -> dict[str, Any]:
    """The classes of urllib3 by scheme, with guarded connections."""

    class GuardedHTTP(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, guard)

    class GuardedHTTPS(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, guard)

    class HTTPPool(HTTPConnectionPool):
        ConnectionCls = GuardedHTTP

    class HTTPSPool(HTTPSConnectionPool):
        ConnectionCls = GuardedHTTPS

    return {"http": HTTPPool, "https": HTTPSPool}


def _connected(asked: HTTPConnection, guard: Guard) -> socket.socket:
    """A socket to the first of the judged addresses that takes one. Raises as urllib3's own does."""
    try:
        return _first(asked, guard.judged(asked.host, asked.port))
    except socket.gaierror as error:
        raise NameResolutionError(asked.host, asked, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(asked, f"{error}") from error
    except OSError as error:
        raise NewConnectionError(asked, f"{error}") from error


def _first(asked: HTTPConnection, addresses: Sequence[str]) -> socket.socket:
    trouble = OSError("its name leads nowhere")
    for address in addresses:
        try:
            return create_connection((address, asked.port), asked.timeout, asked.source_address, asked.socket_options)
        except OSError as error:
            trouble = error
    raise trouble
