"""docs/invariants.md: every promise names a test, and the test is there."""

from __future__ import annotations

import re

import pytest

from tests.places import ROOT

ROWS = re.findall(r"^\| (?!Promise|---)(.+) \| (.+) \|$", (ROOT / "docs/invariants.md").read_text(), re.MULTILINE)
TESTS = [test for _, held in ROWS for test in held.split(", ")]


def test_every_promise_names_its_tests() -> None:
    assert len(ROWS) > 20
    assert [test for test in TESTS if not re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", test)] == []


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_holds_a_promise_is_there(test: str) -> None:
    path, name = test.strip("`").split("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
