"""What of the docs is made: pictures, and in verdicts.md the blocks from `<!-- made: … -->` to `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks.pictures import courses, crowds, strategies, zones
from benchmarks.pictures.sayings import as_status, quote, sensitive
from benchmarks.pictures.tables import TABLES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "verdicts.md"
PICTURES: Mapping[str, Callable[[], str]] = {
    "evidence": courses.evidence,
    "alarms": crowds.alarms,
    "incident": courses.incident,
    "late": courses.late,
    "zones": zones.zones,
    "traffic": crowds.traffic,
    **{name: partial(strategies.picture_of, *drawn) for name, drawn in strategies.PICTURES.items()},
}
"""By the name of their file in docs/pictures."""

_MADE = re.compile(r"(<!-- made: (\w+) ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
CLOSE = 1.0
"""A tenth of a pixel may fall on the other side on another machine."""


def path_of(picture: str) -> Path:
    return DOCS / "pictures" / f"{picture}.svg"


def filled(text: str) -> str:
    """The page with its blocks as the code makes them now. Raises KeyError for a block that nothing makes."""
    return _MADE.sub(lambda found: f"{found[1]}{made(found[2], found[3])}\n{found[4]}", text)


def made(kind: str, of: str) -> str:
    """One block."""
    match kind:
        case "quote":
            return quote(of)
        case "status":
            return as_status(of)
        case "table":
            return TABLES[of]()
        case "sensitive":
            rps, share = of.split()
            return f"> {sensitive(float(rps), float(share))}"
        case _:
            raise KeyError(kind)


def is_same(drawn: str, other: str) -> bool:
    """Whether two pictures are alike, but for differences that nobody sees."""
    if _NUMBER.sub("#", drawn) != _NUMBER.sub("#", other):
        return False
    numbers = ([float(number) for number in _NUMBER.findall(text)] for text in (drawn, other))
    return all(abs(one - two) <= CLOSE for one, two in zip(*numbers, strict=True))
