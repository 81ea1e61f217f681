"""The state of tests as text, for the checkpoint in status: named arrays of numbers, to the last bit. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ledger = Mapping[str, Floats]
"""Named arrays; a single number is an array of one entry."""


def write(ledger: Ledger) -> str:
    """A ledger as text; `read` gives the same numbers back."""
    names = sorted(ledger)
    sizes = {name: int(np.size(ledger[name])) for name in names}
    body = b"".join(np.ascontiguousarray(ledger[name], dtype="<f8").tobytes() for name in names)
    return f"{json.dumps(sizes, separators=(',', ':'))}{base64.b64encode(body).decode()}"


LARGEST_NUMBER = 1e250
"""No state has larger numbers, and computing with them must not overflow."""


def read(text: str) -> dict[str, Floats]:
    """The ledger that `write` wrote; empty for any other text, since anybody may edit a status."""
    try:
        sizes, end = json.JSONDecoder().raw_decode(text)  # not up to the last brace: a name may contain one
        numbers = np.frombuffer(base64.b64decode(text[end:], validate=True), dtype="<f8").astype(np.float64)
        are_sizes = all(type(size) is int and size >= 0 for size in sizes.values())
        if not are_sizes or sum(sizes.values()) != numbers.size or not (np.abs(numbers) < LARGEST_NUMBER).all():
            return {}
        ledger, at = {}, 0
        for name, size in sizes.items():
            ledger[str(name)] = numbers[at : at + size]
            at += size
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return ledger
