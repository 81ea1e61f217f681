"""The JSONPath that printer columns are written in: fields, indices, `[*]` and `[?(@.type=="Ready")]`. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\]\\])+)
      | \['(?P<quoted>[^']+)'\]
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\])
      | \[\?\(@\.(?P<key>[\w.]+)\s*(?P<operator>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[\w.]+)\)\]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path; exactly one of its meanings is set."""

    field: str | None = None
    index: int | None = None
    test: tuple[str, bool, Any] | None = None  # key, equal or not, value

    def follow(self, value: Any) -> Iterator[Any]:
        if self.field is not None:
            if isinstance(value, dict) and self.field in value:
                yield value[self.field]
        elif self.index is not None:
            if isinstance(value, list) and -len(value) <= self.index < len(value):
                yield value[self.index]
        else:
            items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
            yield from (item for item in items if self._passes(item))

    def _passes(self, item: Any) -> bool:
        if self.test is None:
            return True
        key, equal, wanted = self.test
        for part in key.split("."):
            item = item.get(part) if isinstance(item, dict) else None
        return bool(item == wanted) is equal


@functools.lru_cache(maxsize=512)
def parse(path: str) -> tuple[Step, ...] | None:
    """The steps of a path, or None when it cannot be read."""
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps, end = [], 0
    while end < len(text):
        found = _STEP.match(text, end)
        if found is None:
            return None
        steps.append(_step(found))
        end = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    if (name := found["field"]) is not None:
        return Step(field=re.sub(r"\\(.)", r"\1", name))
    if found["quoted"] is not None:
        return Step(field=found["quoted"])
    if found["index"] is not None:
        return Step(index=int(found["index"]))
    if found["all"]:
        return Step()
    return Step(test=(found["key"], found["operator"] == "==", _literal(found["value"])))


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def find(value: Any, path: str) -> list[Any]:
    """Every value at the path."""
    found = [value]
    for step in parse(path) or ():
        found = [each for item in found for each in step.follow(item)]
    return found
