"""The house itself: small files, small functions, and no two modules of one room that could be mistaken for each other.

Layers and circles are import contracts, in pyproject.toml.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from tests.places import ROOT

PACKAGES = [
    ROOT / "operator/modelrollout",
    ROOT / "sandbox/localcluster",
    ROOT / "demo",
    ROOT / "benchmarks",
    ROOT / "charts",
    ROOT / "manual",
]
FILES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_file_is_too_long_to_be_read_in_one_sitting() -> None:
    assert {str(path.relative_to(ROOT)): lines(path) for path in FILES if lines(path) > LONGEST_FILE} == {}


def test_no_function_is_too_long_to_be_held_in_the_head() -> None:
    found = [(path, name, length) for path in FILES for name, length in functions(path) if length > LONGEST_FUNCTION]
    assert [f"{path.relative_to(ROOT)}: {name}, {length} lines" for path, name, length in found] == []


@pytest.mark.parametrize(
    ("one", "other", "is_close"),
    [("service", "services", True), ("plan", "plane", True), ("pods", "pods", False), ("world", "words", False)],
)
def test_closeness_of_names_is_one_letter(one: str, other: str, is_close: bool) -> None:
    assert differ_by_a_letter(one, other) is is_close


def test_no_two_modules_of_a_room_differ_by_a_letter() -> None:
    rooms: dict[Path, list[str]] = {}
    for path in FILES:
        rooms.setdefault(path.parent, []).append(path.stem)
    close = {
        f"{room.relative_to(ROOT)}: {one} and {other}"
        for room, names in rooms.items()
        for one, other in combinations(sorted(names), 2)
        if differ_by_a_letter(one, other)
    }
    assert close == set()


def differ_by_a_letter(one: str, other: str) -> bool:
    """Whether one letter more, less, or another makes the one into the other."""
    short, long = sorted((one, other), key=len)
    if short == long or len(long) - len(short) > 1:
        return False
    if len(short) == len(long):
        return sum(a != b for a, b in zip(short, long, strict=True)) == 1
    return any(long[:at] + long[at + 1 :] == short for at in range(len(long)))
