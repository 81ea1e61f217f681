"""The folder that a run leaves its files in: one run at a time, and nothing in it from the one before."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"
OURS = ("gateway", "kubernetes", "logs", "prometheus")  # what a local cluster leaves; anything else stays
REPORTS = ("report.json", "report.html")


class BusyError(Exception):
    """Another run uses the folder."""


@contextmanager
def claimed(folder: Path, who: str) -> Iterator[None]:
    """Ours until the block ends, and cleared of an earlier run; `who` claims it.

    Raises BusyError, and OSError where the folder cannot be made or written.
    """
    was_ours = (folder / LOCK).exists()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"A {who} runs in {folder} already; --directory names another place.") from None
        if was_ours:  # else a folder of that name is somebody else's
            _clear(folder)
        yield


def _clear(folder: Path) -> None:
    for name in OURS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in REPORTS:  # a demo that is broken off must not leave the report of another
        (folder / name).unlink(missing_ok=True)
