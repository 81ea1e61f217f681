"""`python -m manual` writes the generated pages of docs/, or with --check says which is not up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from manual import reference

DOCS = Path(__file__).parents[1] / "docs"


def generated() -> dict[Path, str]:
    """The text of every page that is written here."""
    return {DOCS / "reference.md": reference.page()}


def main(arguments: Sequence[str]) -> int:
    check = "--check" in arguments
    stale = {path: text for path, text in generated().items() if not path.is_file() or path.read_text() != text}
    for path, text in stale.items():
        if check:
            sys.stderr.write(f"{path} is not what the code says: run `make reference`\n")
        else:
            path.write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
