"""Runs `modelrollout` with a wall clock that is wrong by so many seconds: python wrong_clock.py SECONDS run ..."""

from __future__ import annotations

import datetime
import sys
import time

WRONG = datetime.timedelta(seconds=float(sys.argv.pop(1)))
_right = time.time


class Wrong(datetime.datetime):
    """What this process takes for the time of day. Clocks that nobody sets go on as they did."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Wrong:
        return super().now(tz) + WRONG


time.time = lambda: _right() + WRONG.total_seconds()
datetime.datetime = Wrong  # type: ignore[misc]

if __name__ == "__main__":
    from modelrollout.__main__ import main

    sys.exit(main())
