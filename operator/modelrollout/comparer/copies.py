"""A copy of a user's request, as the gateway sent it, and the request that is made of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from multidict import CIMultiDict, CIMultiDictProxy

MARK = "X-ModelRollout-Shadow"
"""Header of every request that a comparer makes: a server that sees it can leave out what must happen once."""
_OF_THE_CONNECTION = frozenset(  # RFC 9110, 7.6.1: they speak of one connection, not of the request
    {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "expect", "content-length", "accept-encoding"}
)
_HOST_SUFFIX = "-shadow"  # Envoy's, appended to the name of the host


class Shed(StrEnum):
    """Why a copy is not worked on."""

    METHOD = "method"  # carrying it out twice was not allowed
    MARKED = "marked"  # a comparer made it
    TOO_LARGE = "too_large"
    BUSY = "busy"
    CUT_OFF = "cut_off"  # its body did not come to its end
    BROKE = "broke"  # our own mistake


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy. `path` is as it was sent, with its query."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: bytes

    def marked_headers(self) -> CIMultiDict[str]:
        """The headers to ask with."""
        dropped = _OF_THE_CONNECTION | _named_by(self.headers.get("Connection", ""))
        kept = CIMultiDict((name, text) for name, text in self.headers.items() if name.lower() not in dropped)
        if "Host" in kept:
            kept["Host"] = _without_suffix(kept["Host"])
        kept["Accept-Encoding"] = "identity"  # unpacking is work, and a packed answer may be larger than any limit
        kept[MARK] = "true"
        return kept


def is_marked(headers: Mapping[str, str]) -> bool:
    """Whether a comparer made this request: a copy of a copy would go round in a circle."""
    return MARK in headers


def _named_by(connection: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in connection.split(","))


def _without_suffix(host: str) -> str:
    name, colon, port = host.partition(":")
    return f"{name.removesuffix(_HOST_SUFFIX)}{colon}{port}"
