"""The time by the API server's clock, told by the `Date` of its answers.

Moments in a status were written by whichever process led then. One whose clock is wrong would take a hold for over that
has just begun; the API server's clock is one that all of them can see.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

logger = logging.getLogger(__name__)

SECOND = timedelta(seconds=1)
"""An answer's date is cut to whole seconds."""
RIGHT_ENOUGH = 2 * SECOND
"""A clock that differs by less is taken as it is: the date of an answer tells no better."""
SLOWEST = SECOND
"""An answer that took longer tells too little."""


class ServerTime:
    """How far the API server's clock is ahead of this machine's; zero while they agree."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def heard(self, date: str | None, sent: datetime, received: datetime) -> None:
        """Take note of an answer's date, and of when this machine's clock says that it was asked for and came."""
        if date is None or received < sent or received - sent > SLOWEST:
            return
        try:
            told = parsedate_to_datetime(date)
        except ValueError:  # a proxy's
            return
        least, most = told - received, told + SECOND - sent
        if self.ahead:  # moved by no more than this answer asks for, so that time stands firm
            found = min(max(self.ahead, least), most)
        else:
            found = timedelta() if least <= timedelta() <= most else least + (most - least) / 2
        self._set(found if abs(found) > RIGHT_ENOUGH else timedelta())

    def of(self, here: datetime) -> datetime:
        """The API server's time for a moment of this machine's clock."""
        return here + self.ahead

    def _set(self, ahead: timedelta) -> None:
        before, self.ahead, seconds = self.ahead, ahead, ahead.total_seconds()
        if ahead and abs(ahead - before) > RIGHT_ENOUGH:
            side = "behind" if seconds > 0 else "ahead of"
            text = "This machine's clock is %.1f s %s the API server's, whose time is used. Set it right."
            logger.warning(text, abs(seconds), side)
        if before and not ahead:
            logger.info("This machine's clock agrees with the API server's again.")


def here() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)
