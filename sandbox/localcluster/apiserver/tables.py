"""Objects as the table that kubectl prints. Pure; which columns a kind has is the kind's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from localcluster.apiserver import jsonpath
from localcluster.apiserver.formats import date_time
from localcluster.apiserver.resources import Cell, Column, Resource
from localcluster.apiserver.store import Object

UNKNOWN = "<unknown>"
NONE = "<none>"


def age(stamp: str | None) -> str:
    """How long ago, in kubectl's short form: `5s`, `3m12s`, `2d4h`."""
    moment = date_time(stamp or "")
    return UNKNOWN if moment is None else human(int((datetime.now(UTC) - moment).total_seconds()))


def human(seconds: int) -> str:
    """A length of time, the longer the coarser."""
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{seconds % 60}s" if seconds % 60 else "")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    return f"{days}d"


NAME = Column(
    "Name",
    "string",
    lambda item: str(item["metadata"]["name"]),
    "Name must be unique within a namespace.",
    format="name",
)
AGE = Column("Age", "string", lambda item: age(item["metadata"].get("creationTimestamp")), "Time since creation.")
CREATED_AT = Column("Created At", "date", lambda item: item["metadata"].get("creationTimestamp"), "Time of creation.")


def printer_column(given: dict[str, Any]) -> Column:
    """A column as a CustomResourceDefinition describes it."""
    path, kind = given["jsonPath"], given["type"]

    def cell(item: Object) -> Cell:
        found = jsonpath.find(item, path)
        return _cell(found[0], kind) if found else None

    return Column(
        given["name"], kind, cell, given.get("description", ""), given.get("format", ""), given.get("priority", 0)
    )


def _cell(value: Any, kind: str) -> Cell:
    if value is None:
        return None
    match kind:
        case "date":
            return age(value) if isinstance(value, str) else None
        case "integer":
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _joined(value)


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(each if isinstance(each, str) else str(each) for each in value) + "]"
    return str(value)


def table(resource: Resource, items: Sequence[Object], metadata: dict[str, Any], include: str) -> dict[str, Any]:
    """A `Table` of these objects; `include` says how much of each goes with its row."""
    columns = resource.columns or (NAME, CREATED_AT)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_definition(each) for each in columns],
        "rows": [{"cells": [each.cell(item) for each in columns], "object": _object(item, include)} for item in items],
    }


def _definition(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _object(item: Object, include: str) -> Object | None:
    match include:
        case "Object":
            return item
        case "None":
            return None
    return partial(item)


def partial(item: Object) -> Object:
    """An object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
