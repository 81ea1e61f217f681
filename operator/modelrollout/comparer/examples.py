"""The newest disagreements, for people: a ring in memory that never grows beyond what the user allowed."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modelrollout.api.compare import Examples
from modelrollout.comparer.agreement import Reason
from modelrollout.comparer.answers import Answer, Reply, read, value
from modelrollout.comparer.copies import Copy
from modelrollout.comparer.json_paths import blacked_out, keys

LONGEST_BODY = 16_384
"""Characters of a kept body."""
REQUEST_ID = "X-Request-Id"


class Ring:
    """Keeps the newest; without `bodies` only what tells where to look in one's own logs."""

    def __init__(self, settings: Examples) -> None:
        self._settings = settings
        self._redacted = tuple(map(keys, settings.redact))
        self._kept: deque[str] = deque(maxlen=settings.keep)  # as JSON: objects take ten times the memory

    def add(self, copy: Copy, segment: str, reason: Reason, stable: Reply, candidate: Reply) -> None:
        if not self._settings.keep:
            return
        kept = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "reason": reason.value,
            "segment": segment,
            "method": copy.method,
            "path": copy.path.partition("?")[0][:1024],  # a query is like a body: it may speak of people
            "requestId": copy.headers.get(REQUEST_ID, "")[:256] or None,
            "requestDigest": hashlib.sha256(copy.body).hexdigest()[:16],
            "stable": _shape(stable),
            "candidate": _shape(candidate),
            **(self._bodies(copy, stable, candidate) if self._settings.bodies else {}),
        }
        self._kept.append(json.dumps(kept))

    @property
    def newest_first(self) -> str:
        """A JSON list."""
        return f"[{','.join(reversed(self._kept))}]"

    def _bodies(self, copy: Copy, stable: Reply, candidate: Reply) -> dict[str, Any]:
        replies = {f"{arm}Body": self._body(reply) for arm, reply in (("stable", stable), ("candidate", candidate))}
        return {"requestBody": self._shown(_readable(copy.body, copy.headers)), **replies}

    def _body(self, reply: Reply) -> Any:
        if not isinstance(reply, Answer):
            return None
        try:
            return self._shown(value(reply))
        except ValueError:
            return self._shown(reply.body.decode(errors="replace"))

    def _shown(self, body: Any) -> Any:
        """Of a body that is not JSON nobody knows which part was to be blacked out."""
        if isinstance(body, bytes):
            return f"({len(body)} bytes)"
        if isinstance(body, str) and self._redacted:
            return "(redacted)"
        clean = blacked_out(self._redacted, body)
        text = clean if isinstance(clean, str) else json.dumps(clean, ensure_ascii=False)
        return clean if len(text) <= LONGEST_BODY else f"{text[:LONGEST_BODY]}…"


def _readable(body: bytes, headers: Mapping[str, str]) -> Any:
    try:
        return read(body, headers.get("Content-Type", ""))
    except ValueError:
        return body.decode(errors="replace")


def _shape(reply: Reply) -> dict[str, Any]:
    if not isinstance(reply, Answer):
        return {"trouble": reply.trouble.value, "seconds": round(reply.seconds, 4)}
    return {"status": reply.status, "bytes": len(reply.body), "seconds": round(reply.seconds, 4)}
