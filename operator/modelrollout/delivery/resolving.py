"""Looks up names that users chose, for aiohttp: one that leads to where nobody may be led leads nowhere.

The connection goes to the addresses that were judged, whatever DNS says later.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address

from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult

from modelrollout.api.addresses import why_never


class Judged(ThreadedResolver):
    """`refusal`: the error for a host, from its name and the words of `why_never`."""

    def __init__(self, refusal: Callable[[str, str], OSError]) -> None:
        super().__init__()
        self._refusal = refusal

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for one in found:
            if (words := why_never(ip_address(one["host"]))) is not None:
                raise self._refusal(host, words)
        return found
