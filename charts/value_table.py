"""The table of values in the chart's README, made of the comments in values.yaml.

A leaf is a scalar, a list, or a mapping that is empty or written in one line. Its comment is in the lines right above
it. A mapping of more lines is a section, whose comment stands above its leaves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

BEGIN, END = "<!-- values -->", "<!-- /values -->"


@dataclass(frozen=True, slots=True)
class Section:
    path: str
    comment: str

    def __str__(self) -> str:
        return f"| **{self.path}** | | {self.comment} |"


@dataclass(frozen=True, slots=True)
class Value:
    path: str
    default: Any
    comment: str

    def __str__(self) -> str:
        return f"| `{self.path}` | {_default(self.default)} | {self.comment} |"


def page(values: str, before: str) -> str:
    """The README with its table written anew. Raises ValueError where it has no place for one."""
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the chart's README has no {BEGIN} and {END}")
    rows = "".join(f"{one}\n" for one in described(values))
    return f"{head}{begin}\n| Value | Default | |\n|---|---|---|\n{rows}{end}{tail}"


def described(values: str) -> Iterator[Section | Value]:
    """All of them, in order. Raises ValueError for one without a comment."""
    root = yaml.compose(values, yaml.SafeLoader)
    yield from _parts(root, (), values.splitlines())


def _parts(node: Any, path: tuple[str, ...], lines: list[str]) -> Iterator[Section | Value]:
    for key, value in node.value:
        here = (*path, key.value)
        if not (comment := _comment_above(key.start_mark.line, lines)):
            raise ValueError(f"values.yaml: {'.'.join(here)} has no comment above it")
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield Section(".".join(here), comment)
            yield from _parts(value, here, lines)
        else:
            yield Value(".".join(here), _plain(value), comment)


def _comment_above(line: int, lines: list[str]) -> str:
    found: list[str] = []
    while line and (match := re.match(r"\s*# ?(.*)", lines[line - 1])):
        found.insert(0, match[1])
        line -= 1
    return " ".join(found)


def _plain(node: Any) -> Any:
    return yaml.SafeLoader("").construct_object(node, deep=True)


def _default(value: Any) -> str:
    """A list that is long says little in a table."""
    text = json.dumps(value)
    return f"`{text}`" if len(text) <= 120 else "see values.yaml"
