"""`python -m demo`: four releases of a small model, live; then a table and a report.

Exit code 0 when the story went as it should, 1 when it did not or could not be told, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

INTERRUPTED = "Interrupted: everything that was started is stopped."


def _leave(number: int, _: Any) -> None:
    sys.stdout.write(f"{INTERRUPTED}\n")
    sys.stdout.flush()
    os._exit(128 + number)


if __name__ == "__main__":
    # What comes below takes a second to import, in which nothing has been started yet.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _leave)
    from demo.command import main

    sys.exit(main())
