"""docs/verdicts.md: what it shows, quotes and tabulates is what the code makes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from benchmarks.pictures.page import DOCS, PAGE, PICTURES, filled, is_same, path_of
from benchmarks.pictures.sayings import SAYINGS
from benchmarks.pictures.tables import TABLES

STALE = "run `make docs`, look at what has changed, and commit it"
SEEN = "dashboard"
"""The picture that nothing here makes: what a real Prometheus answered (docs/observability.md)."""
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize(("name", "draw"), PICTURES.items(), ids=list(PICTURES))
def test_a_picture_is_what_the_code_draws(name: str, draw: Callable[[], str]) -> None:
    assert is_same(draw(), path_of(name).read_text(encoding="utf-8")), STALE


def test_quotes_and_tables_are_what_the_code_makes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, STALE


def test_a_picture_that_moved_is_another_one() -> None:
    assert is_same("M1.0 2.0", "M1.1 2.0")
    assert not is_same("M1.0 2.0", "M1.0 4.0")
    assert not is_same("M1.0 2.0", "M1.0 2.0L3.0 3.0")


def test_all_that_is_made_is_on_a_page() -> None:
    text, every = PAGE.read_text(encoding="utf-8"), "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in PICTURES if f"(pictures/{name}.svg)" not in every] == []
    assert [name for name in SAYINGS if not re.search(rf"<!-- made: (quote|status) {name} -->", text)] == []
    assert [name for name in TABLES if f"<!-- made: table {name} -->" not in text] == []
    assert sorted(path.stem for path in (DOCS / "pictures").glob("*")) == sorted([*PICTURES, SEEN])
