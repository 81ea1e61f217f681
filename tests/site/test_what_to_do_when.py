"""docs/what-to-do-when.md has every reason and every condition that the code can write, and no other."""

from __future__ import annotations

from tests.places import ROOT
from tests.site.reasons import conditions, reasons, rows

PAGE = ROOT / "docs/what-to-do-when.md"


def test_the_page_has_every_reason_and_condition_of_the_code() -> None:
    """A new reason needs a line in the table that fits: the word, its meaning, and what to do."""
    missing = (reasons() | conditions()) - set(rows(PAGE))
    assert sorted(missing) == []


def test_the_page_has_nothing_that_the_code_does_not_write() -> None:
    assert sorted(set(rows(PAGE)) - reasons() - conditions()) == []


def test_the_code_is_read() -> None:
    assert {"Installed", "TemplateNotFound", "QueryRejected", "PrometheusUnavailable", "NothingToDo"} <= reasons()
    assert {"Ready", "Applied", "Edited", "TrafficAsIntended"} <= conditions()
