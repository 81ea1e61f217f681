"""Arms that were seen, and are not any more: what they showed before is no reason to go on. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.look import Missing
from modelrollout.analysis.evidence.ticks import LONGEST_DELAY
from modelrollout.analysis.samples.counters import Scrapes
from modelrollout.api.status import Verdict

MISSED_SCRAPES = 1.5
"""Scrapes that may be missing at the end: one that failed, and half of one that is not due yet."""
UNKNOWN_SPACING = 60.0
"""Seconds from scrape to scrape where nobody can tell."""


def silent_arm(arms: Mapping[str, Scrapes | None], end: float) -> Missing | None:
    """Why nobody can say how an arm does at `end`. `arms`: by what they are called; None: not looked at."""
    newest = {who: (arm.newest, arm.spacing) for who, arm in arms.items() if arm is not None}
    return silent_since(newest, end)


def silent_since(newest: Mapping[str, tuple[float, float]], end: float) -> Missing | None:
    """The same of arms of which the newest sample and the time from one to the next are known."""
    for who, (at, spacing) in newest.items():
        if end - at > LONGEST_DELAY.total_seconds() + MISSED_SCRAPES * (
            spacing if spacing < math.inf else UNKNOWN_SPACING
        ):
            since = wording.duration(timedelta(seconds=end - at))
            return Missing(Verdict.NO_DATA, f"nothing was heard of {who} for {since}")
    return None
