"""Fills `{{ name }}` in strings that users write: workload templates and PromQL. Pure.

Nothing is evaluated: a name stands for one string. Literal braces are written `{{ "{{" }}`, as Helm's users know it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r'\{\{\s*(?:"([^"]*)"|(.*?))\s*\}\}', re.DOTALL)


class UnknownName(ValueError):  # noqa: N818 - what is wrong, in words; the text is for the user's eyes
    """A template asks for what is not known. Its text names the place, the name and the known ones."""


def render_text(text: str, values: Mapping[str, str], *, where: str, only: str = "") -> str:
    """The text with every placeholder filled; `where` says in an error which text it was. Raises UnknownName.

    `only` is what the names to fill begin with: the others, and literals, stay as they are for a later rendering.
    """

    def value(found: re.Match[str]) -> str:
        literal, name = found[1], found[2]
        if only and (literal is not None or not name.startswith(only)):
            return found[0]
        if literal is not None:
            return literal
        if name not in values:
            raise UnknownName(_unknown(name, values, where))
        return values[name]

    # What is filled in is not looked at again, and what lies between placeholders has to be plain text.
    plain = _PLACEHOLDER.sub(" ", text)
    if "{{" in plain:
        raise UnknownName(f'{where}: "{{{{" is never closed; write {{{{ name }}}}, and {{{{ "{{{{" }}}} for braces.')
    return _PLACEHOLDER.sub(value, text)


def names_in(text: str) -> frozenset[str]:
    """The names that the text asks for."""
    return frozenset(found[2] for found in _PLACEHOLDER.finditer(text) if found[1] is None)


def render_tree(tree: Any, values: Mapping[str, str], *, where: str, only: str = "") -> Any:
    """A copy of a JSON tree with every string in it rendered; keys stay as they are. Raises UnknownName."""
    match tree:
        case str():
            return render_text(tree, values, where=where, only=only)
        case dict():
            return {key: render_tree(value, values, where=f"{where}.{key}", only=only) for key, value in tree.items()}
        case list() | tuple():
            return [render_tree(value, values, where=f"{where}[{at}]", only=only) for at, value in enumerate(tree)]
        case _:
            return tree


def require_known(text: str, known: Collection[str], *, where: str) -> None:
    """Raises UnknownName, as filling the text in would."""
    render_text(text, dict.fromkeys(known, ""), where=where)


def _unknown(name: str, values: Mapping[str, str], where: str) -> str:
    known = ", ".join(sorted(values)) or "none"
    return f"{where}: {{{{ {name} }}}} is not a known name; known here: {known}."
