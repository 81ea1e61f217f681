"""Keeps deliveries to addresses of a user's choice away from this pod, its node and the cloud's metadata.

Addresses of the cluster are allowed: receivers run there. A NetworkPolicy says more, where more is wanted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_OF_CLOUDS = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
"""Where clouds answer with credentials outside of the link-local range."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses within IPv6 (RFC 6052)."""


class Forbidden(OSError):  # noqa: N818 - named after what happened; clients know OSError from their resolvers
    """An address that nothing may be delivered to. Its text names no host."""

    def __init__(self) -> None:
        super().__init__("its host is an address of this machine or of its network's own services")


def is_forbidden(text: str) -> bool:
    """Whether it is an address of this pod or its node, of the link, of everybody, or of a cloud's metadata."""
    try:
        address: IPAddress = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address in _TRANSLATED:
            return is_forbidden(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
        address = address.ipv4_mapped or address.sixtofour or address
    is_near = address.is_loopback or address.is_link_local or address.is_unspecified
    return (
        is_near or address.is_multicast or address in _OF_CLOUDS or address == ipaddress.ip_address("255.255.255.255")
    )


class Guarded(AbstractResolver):
    """Resolves names to addresses that are not forbidden. The connection goes to these, whatever DNS says later."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if any(is_forbidden(one["host"]) for one in found):
            raise Forbidden
        return found

    async def close(self) -> None:
        await self._resolver.close()


def connector(*, guarded: bool) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(resolver=Guarded() if guarded else None, limit=0, force_close=True)


async def require_allowed(host: str) -> None:
    """Raises Forbidden; for libraries that resolve names themselves, a moment later."""
    if is_forbidden(host):
        raise Forbidden
    loop = asyncio.get_running_loop()
    found: list[Any] = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    if any(is_forbidden(str(one[4][0])) for one in found):
        raise Forbidden
