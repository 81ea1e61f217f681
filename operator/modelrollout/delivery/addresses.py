"""Which addresses a delivery of a user's choice may not go to: loopback, link-local, and those of clouds' metadata.

Addresses of the cluster are allowed, those of pods and nodes too: receivers run there. A NetworkPolicy says more, where
more is wanted.
"""

from __future__ import annotations

from modelrollout.api.addresses import why_never_named


class Forbidden(OSError):  # noqa: N818 - named after what happened; clients know OSError from their resolvers
    """An address that nothing may be delivered to. Its text names no host."""

    def __init__(self) -> None:
        super().__init__("its host is an address of this machine or of its network's own services")


def is_forbidden(text: str) -> bool:
    """Whether it is such an address. A name is none: what it resolves to may be."""
    return why_never_named(text.split("%")[0]) is not None
