"""`python -m manual` writes the generated pages of docs/, or with --check says which is not up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from charts import written_files
from manual import reference

DOCS = Path(__file__).parents[1] / "docs"


def generated() -> dict[Path, str]:
    """The text of every page that is written here."""
    return {DOCS / "reference.md": reference.page()}


def main(arguments: Sequence[str]) -> int:
    return written_files.write(generated(), arguments, "is not what the code says: run `make reference`")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
