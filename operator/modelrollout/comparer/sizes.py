"""Classes of sizes of requests' bodies, in which a comparer counts the copies that arrive. Pure."""

from __future__ import annotations

from bisect import bisect_left

SIZES = {1 << 10: "1KiB", 8 << 10: "8KiB", 32 << 10: "32KiB", 128 << 10: "128KiB", 1 << 20: "1MiB"}
"""Upper edges of the classes, in bytes. 32 KiB and 1 MiB are where gateways stop copying by default."""
LARGER, UNTOLD = "larger", "untold"
CLASSES = (*SIZES.values(), LARGER)
_EDGES = tuple(SIZES)


def size_class(size: int | None) -> str:
    """The class of a body's size in bytes; None: nobody told it before the body came."""
    return UNTOLD if size is None else CLASSES[bisect_left(_EDGES, size)]


def classes_beyond(size: float) -> tuple[str, ...]:
    """Classes of which every larger body is in one: that of bodies whose size nobody told is among them."""
    return (*CLASSES[sum(edge <= size for edge in _EDGES) :], UNTOLD)
