"""Which addresses a delivery of a user's choice may not go to: this pod, its node, and the cloud's metadata.

Addresses of the cluster are allowed: receivers run there. A NetworkPolicy says more, where more is wanted.
"""

from __future__ import annotations

import ipaddress

from modelrollout.api.addresses import why_never


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
    return why_never(address) is not None
