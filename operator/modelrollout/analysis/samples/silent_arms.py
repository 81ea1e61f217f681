"""Arms that fell silent: their earlier samples are no reason to move on. Pure."""

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
"""The scrapes that may be missing at the end: one that failed, and half of one that is not due yet."""
UNKNOWN_SPACING = 60.0
"""Seconds from scrape to scrape where the spacing is unknown."""


def silent_arm(arms: Mapping[str, Scrapes | None], end: float) -> Missing | None:
    """Why an arm cannot be judged at `end`: it fell silent. `arms`: by name; None: not looked at."""
    newest = {who: (arm.newest, arm.spacing) for who, arm in arms.items() if arm is not None}
    return silent_since(newest, end)


def silent_since(newest: Mapping[str, tuple[float, float]], end: float) -> Missing | None:
    """The same from the time of each arm's newest sample and the spacing of its samples."""
    for who, (at, spacing) in newest.items():
        if end - at > LONGEST_DELAY.total_seconds() + MISSED_SCRAPES * (
            spacing if spacing < math.inf else UNKNOWN_SPACING
        ):
            since = wording.duration(timedelta(seconds=end - at))
            return Missing(Verdict.NO_DATA, f"nothing was heard of {who} for {since}")
    return None
