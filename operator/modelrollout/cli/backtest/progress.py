"""Progress on standard error: one moving line on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 24
EVERY, SELDOM = 0.1, 15.0  # seconds between two lines


class Progress:
    """Call `seen` with the share that is done (0–1), as often as you like."""

    def __init__(self, what: str, out: TextIO | None = None, *, is_quiet: bool = False) -> None:
        self._what, self._out, self._is_quiet = what, out or sys.stderr, is_quiet
        self._is_live = self._out.isatty()
        self._begun = self._told = time.monotonic()
        self._samples = 0

    def fetched(self, samples: int) -> None:
        self._samples += samples

    def seen(self, share: float) -> None:
        now = time.monotonic()
        if self._is_quiet or now - self._told < (EVERY if self._is_live else SELDOM):
            return
        self._told = now
        self._write(self._line(min(max(share, 0.0), 1.0), now - self._begun))

    def done(self) -> None:
        """Leave the terminal as it was."""
        if self._is_live and not self._is_quiet:
            self._out.write("\r\x1b[2K")
            self._out.flush()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def _line(self, share: float, seconds: float) -> str:
        filled = round(share * WIDTH)
        bar = "━" * filled + "·" * (WIDTH - filled)
        left = f", about {seconds / share * (1 - share):.0f} s left" if share > 0.02 else ""
        return f"{self._what} {bar} {100 * share:.0f} %, {self._samples:,} samples read{left}"

    def _write(self, line: str) -> None:
        self._out.write(f"\r\x1b[2K{line}" if self._is_live else f"{line}\n")
        self._out.flush()
