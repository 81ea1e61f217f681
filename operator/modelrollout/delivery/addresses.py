"""Which addresses a delivery of a user's choice may not go to: this pod, its node, and the cloud's metadata.

Addresses of the cluster are allowed: receivers run there. A NetworkPolicy says more, where more is wanted.
"""

from __future__ import annotations

import ipaddress

_OF_CLOUDS = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
"""Where clouds answer with credentials outside of the link-local range."""
_EVERYBODY = ipaddress.ip_address("255.255.255.255")
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses within IPv6 (RFC 6052)."""


class Forbidden(OSError):  # noqa: N818 - named after what happened; clients know OSError from their resolvers
    """An address that nothing may be delivered to. Its text names no host."""

    def __init__(self) -> None:
        super().__init__("its host is an address of this machine or of its network's own services")


def is_forbidden(text: str) -> bool:
    """Whether it is such an address. A name is none: what it resolves to may be."""
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address in _TRANSLATED:
            return is_forbidden(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
        if (inner := address.ipv4_mapped or address.sixtofour) is not None:
            return is_forbidden(str(inner))
    is_near = address.is_loopback or address.is_link_local or address.is_unspecified
    return is_near or address.is_multicast or address in _OF_CLOUDS or address == _EVERYBODY
