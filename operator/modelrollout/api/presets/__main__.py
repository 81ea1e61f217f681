"""``python -m modelrollout.api.presets docs/presets.md`` writes the page; with ``--check`` it says whether it is up to
date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from modelrollout.api.presets import PRESETS
from modelrollout.api.presets.page import page


def main(arguments: Sequence[str]) -> int:
    path, text = Path(arguments[-1]), page(tuple(PRESETS.values()))
    if "--check" not in arguments:
        path.write_text(text)
    elif not path.is_file() or path.read_text() != text:
        sys.stderr.write(f"{path} is not what the catalogue says: run `make presets`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
