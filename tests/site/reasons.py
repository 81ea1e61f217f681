"""Every reason and condition that the operator's code can write, read from the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.places import ROOT

PACKAGE = ROOT / "operator/modelrollout"
PLACES = {"Finding": 0, "Unexpandable": 0, "Source": 2, "Event": 1}
"""Whose argument, at which place, is a reason."""


@cache
def _trees() -> list[ast.Module]:
    texts = (path.read_text() for path in sorted(PACKAGE.rglob("*.py")))
    return [ast.parse(text) for text in texts if "Finding" in text or "reason" in text or "Event" in text]


def constants(trees: list[ast.Module]) -> dict[str, set[str]]:
    """Texts of module constants by their names: CamelCase, as reasons are."""
    found: dict[str, set[str]] = {}
    for tree in trees:
        for node in tree.body:
            for target, value in _assigned(node):
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and _is_camel(value.value):
                    found.setdefault(target, set()).add(value.value)
    return found


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        yield node.targets[0].id, node.value
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
        names = (one.id for one in node.targets[0].elts if isinstance(one, ast.Name))
        yield from zip(names, node.value.elts, strict=True)


def _is_camel(text: str) -> bool:
    return text.isalpha() and text[0].isupper() and text != text.upper()


def reasons() -> set[str]:
    """All that a Finding, an Event or an error of an expansion can have."""
    trees = _trees()
    named = constants(trees)
    return {reason for tree in trees for given in _given(tree) for reason in _texts(given, named)}


def _given(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "reason":
            yield node.value  # passed on later
        if not isinstance(node, ast.Call):
            continue
        place = PLACES.get(getattr(node.func, "id", ""))
        if place is not None and len(node.args) > place:
            yield node.args[place]
        yield from (one.value for one in node.keywords if one.arg == "reason")


def _texts(given: ast.expr, named: dict[str, set[str]]) -> Iterator[str]:
    match given:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, named)
            yield from _texts(other, named)
        case ast.Name(id=name):
            if name not in named and name != "reason":
                raise AssertionError(f"line {given.lineno}: {name} is no module constant, so its reasons are not known")
            yield from named.get(name, ())


def conditions() -> set[str]:
    """The types of all conditions."""
    named = constants(_trees())
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / "plan/conditions.py").read_text())):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            found |= set(_texts(node.value.elts[0], named))
    return found


def rows(page: Path) -> list[str]:
    """What the first cells of a page's tables name, in the order in which they stand."""
    return re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE)
