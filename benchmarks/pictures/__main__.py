"""`python -m benchmarks.pictures`: draws docs/pictures and fills in what docs/verdicts.md quotes and tabulates."""

from __future__ import annotations

import sys

from benchmarks.pictures.page import PAGE, PICTURES, filled, is_same, path_of


def main() -> int:
    """Writes what has changed, and says so. Returns the exit status."""
    for name, draw in PICTURES.items():
        path, drawn = path_of(name), draw()
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or not is_same(drawn, path.read_text(encoding="utf-8")):
            path.write_text(drawn, encoding="utf-8")
            sys.stdout.write(f"drew {path.name}\n")
    text = PAGE.read_text(encoding="utf-8")
    if (new := filled(text)) != text:
        PAGE.write_text(new, encoding="utf-8")
        sys.stdout.write(f"filled in {PAGE.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
