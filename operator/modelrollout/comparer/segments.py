"""The segment that a request belongs to; never more of them than the user allowed."""

from __future__ import annotations

import json
from typing import Any

from modelrollout.api.compare import Segment
from modelrollout.comparer.copies import Copy
from modelrollout.comparer.json_paths import find, keys

NONE, OTHER = "none", "other"
LONGEST = 64


class Segments:
    """Tells the first so many values apart; all later ones are `other`, for each is one more series in Prometheus."""

    def __init__(self, settings: Segment) -> None:
        self._header, self._way = settings.header, keys(settings.path) if settings.path else None
        self._most = settings.values
        self._known: set[str] = set()

    def of(self, copy: Copy) -> str:
        value = copy.headers.get(self._header) if self._header else self._in_body(copy.body)
        if not value:
            return NONE
        value = value[:LONGEST].encode(errors="replace").decode()  # half a surrogate cannot be shown to Prometheus
        if value not in self._known and len(self._known) < self._most:
            self._known.add(value)
        return value if value in self._known else OTHER

    def _in_body(self, body: bytes) -> str | None:
        try:
            found = find(self._way or (), json.loads(body))
        except (ValueError, RecursionError):
            return None
        return _label(found[0]) if found else None


def _label(value: Any) -> str | None:
    match value:
        case None | dict() | list():
            return None
        case bool():
            return "true" if value else "false"
    return str(value)
