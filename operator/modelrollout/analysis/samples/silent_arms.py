"""Arms that were seen, and are not any more: what they showed before is no reason to go on. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.material import Missing
from modelrollout.analysis.evidence.ticks import LATE
from modelrollout.analysis.samples.counters import Arm
from modelrollout.api.status import Verdict

MISSED = 1.5
"""Scrapes that may be missing at the end: one that failed, and half of one that is not due yet."""
SPACING = 60.0
"""Seconds from scrape to scrape where nobody can tell."""


def unseen(arms: Mapping[str, Arm | None], end: float) -> Missing | None:
    """Why nobody can say how an arm does at `end`. `arms`: by what they are called; None: not looked at."""
    newest = {who: (arm.newest, arm.spacing) for who, arm in arms.items() if arm is not None}
    return silent(newest, end)


def silent(newest: Mapping[str, tuple[float, float]], end: float) -> Missing | None:
    """The same of arms of which the newest sample and the time from one to the next are known."""
    for who, (at, spacing) in newest.items():
        if end - at > LATE.total_seconds() + MISSED * (spacing if spacing < math.inf else SPACING):
            since = wording.duration(timedelta(seconds=end - at))
            return Missing(Verdict.NO_DATA, f"nothing was heard of {who} for {since}")
    return None
