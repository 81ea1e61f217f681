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
        if isinstance(node, ast.For):
            yield from _of_a_loop(node)
        if isinstance(node, ast.Call):
            yield from _reasons_given_to(node)


def _of_a_loop(loop: ast.For) -> Iterator[ast.expr]:
    """What the first variable of a loop over a written list of tuples stands for, where that is a reason."""
    if not (isinstance(loop.target, ast.Tuple) and isinstance(loop.iter, ast.Tuple)):
        return
    first = ast.unparse(loop.target.elts[0])
    calls = (node for node in ast.walk(loop) if isinstance(node, ast.Call))
    if any(first == ast.unparse(given) for call in calls for given in _reasons_given_to(call)):
        yield from (row.elts[0] for row in loop.iter.elts if isinstance(row, ast.Tuple))


def _reasons_given_to(call: ast.Call) -> Iterator[ast.expr]:
    place = PLACES.get(getattr(call.func, "id", ""))
    if place is not None and len(call.args) > place:
        yield call.args[place]
    yield from (one.value for one in call.keywords if one.arg == "reason")


def _texts(given: ast.expr, named: dict[str, set[str]]) -> Iterator[str]:
    match given:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, named)
            yield from _texts(other, named)
        case ast.Name(id=name):
            if name.isupper() and name not in named:
                raise AssertionError(f"line {given.lineno}: {name} is no text in CamelCase, so its reason is not known")
            yield from named.get(name, ())  # a variable stands for what is collected where it is set
        case ast.Attribute(attr=name):
            yield from named.get(name, ())  # of another module; `why.reason` passes on what is collected there


def conditions() -> set[str]:
    """The types of all conditions: first in the tuples of which plan/conditions.py makes them."""
    named = constants(_trees())
    made = ast.parse((PACKAGE / "plan/conditions.py").read_text()).body
    within = [node for function in made if isinstance(function, ast.FunctionDef) for node in ast.walk(function)]
    first = [node.elts[0] for node in within if isinstance(node, ast.Tuple) and node.elts]
    return {text for one in first for text in _texts(one, named) if _is_camel(text)} - {"True", "False", "Unknown"}


def rows(page: Path) -> list[str]:
    """What the first cells of a page's tables name, in the order in which they stand."""
    return re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE)
