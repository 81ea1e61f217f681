"""The note that a route carries about a candidate that was taken back. Pure.

Traffic is taken back before the status is saved. Should the process die in between, this note, written in the same
write as the weights, is what keeps the weight from rising again.
"""

from __future__ import annotations

import json

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import REJECTED


def note(revision: str, why: Finding) -> str:
    return json.dumps({"revision": revision, "reason": why.reason, "message": why.message}, ensure_ascii=False)


def noted(text: str | None, revision: str) -> Finding | None:
    """Why this revision was taken back, if the note says that it was."""
    if text is None:
        return None
    try:
        entry = json.loads(text)
        if entry["revision"] != revision:
            return None
        return Finding(str(entry["reason"]), str(entry["message"]))
    except (ValueError, KeyError, TypeError):
        # Somebody edited it. A note that cannot be read may be about this candidate: the careful reading wins.
        why = f"The route's annotation {REJECTED} cannot be read; it may say that this version failed."
        return Finding("Rejected", why)
