"""Files that are generated and committed: written anew, or only looked at."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def write(generated: Mapping[Path, str], arguments: Sequence[str], stale: str) -> int:
    """Writes what is not up to date, or with --check says so of each file; the exit code. `stale`: the words for it."""
    check = "--check" in arguments
    others = {path: text for path, text in generated.items() if not path.is_file() or path.read_text() != text}
    for path, text in others.items():
        if check:
            sys.stderr.write(f"{path} {stale}\n")
        else:
            path.write_text(text)
    return 1 if check and others else 0
