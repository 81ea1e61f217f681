"""The table of metrics in docs/observability.md, made of what the operator says of them."""

from __future__ import annotations

from collections.abc import Iterable

from modelrollout.shell import metrics
from modelrollout.shell.metrics import Described

_TABLES = {"process": metrics.OF_THE_PROCESS, "rollout": metrics.OF_A_ROLLOUT}


def page(before: str) -> str:
    """The page with its tables written anew. Raises ValueError where it has no place for one."""
    for name, described in _TABLES.items():
        begin, end = f"<!-- metrics of a {name} -->", "<!-- /metrics -->"
        head, found, rest = before.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no {begin} and {end}")
        before = f"{head}{begin}\n{_table(described)}{end}{tail}"
    return before


def _table(described: Iterable[Described]) -> str:
    rows = "".join(f"| `{one.name}` | {one.kind} | {_labels(one)} | {one.text} |\n" for one in described)
    return f"| Metric | Kind | Labels | |\n|---|---|---|---|\n{rows}"


def _labels(one: Described) -> str:
    return ", ".join(f"`{name}`" for name in one.labels)
