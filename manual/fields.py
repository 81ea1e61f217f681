"""Tables of a resource's fields, from the schema that its models make. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from modelrollout.api.rules import RULES

Schema = dict[str, Any]
HEAD = "| Field | Type | Default | Must be | |\n|---|---|---|---|---|\n"
_LONGEST_DEFAULT = 60  # characters that a cell of a table can bear
_BAR = "\\|"


def section(title: str, schema: Schema, *, prefix: str = "") -> str:
    """What a part of a resource is for, its rules, and a table of all fields below it.

    `prefix`: where the part stands, if that is not its title.
    """
    rows = "".join(_rows(prefix or title, schema))
    said = [f"### {title}", _plain(schema.get("description", "")), _rules(schema), _long_default(schema)]
    return "\n\n".join(filter(None, [*said, (HEAD + rows).strip()])) + "\n"


def has_parts(schema: Schema) -> bool:
    """Whether there are fields below it."""
    of = schema.get("additionalProperties")
    return any("properties" in one for one in (schema, schema.get("items", {}), of if isinstance(of, dict) else {}))


def without_parts(schema: Schema) -> Schema:
    """The field alone, as it stands in a table of others that are told of elsewhere."""
    gone = {"properties", "items", "additionalProperties", *((RULES,) if has_parts(schema) else ())}
    kept = {key: value for key, value in schema.items() if key not in gone}
    return kept | ({"items": without_parts(schema["items"])} if "items" in schema else {})


def _rows(path: str, schema: Schema) -> Iterator[str]:
    if (item := schema.get("items")) is not None:
        yield from _rows(f"{path}[]", item)
    if isinstance(of := schema.get("additionalProperties"), dict):
        yield from _rows(f"{path}.*", of)
    needed = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield _row(here, field, is_required=name in needed)
        yield from _rows(here, field)


def _row(path: str, field: Schema, *, is_required: bool) -> str:
    default = "required" if is_required else _default(field)
    cells = (f"`{path}`", _type(field), default, _constraints(field), _description(field))
    return f"| {' | '.join(_plain(cell).replace('|', _BAR) for cell in cells)} |\n"


def _plain(text: str) -> str:
    """Markdown would take `<rollout>` for HTML."""
    return text.replace("<", "&lt;")


def _default(field: Schema) -> str:
    if "default" not in field:
        return ""
    text = field["default"] if isinstance(field["default"], str) else json.dumps(field["default"])
    if field["default"] == "":
        return '`""`'
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "its parts' defaults"


def _long_default(schema: Schema) -> str:
    """Of a list, as its parts have none of their own."""
    default = schema.get("default")
    return f"When left out: `{json.dumps(default)}`." if default and schema.get("type") == "array" else ""


def _description(field: Schema) -> str:
    """Its own words; the default has a column of its own."""
    text = str(field.get("description", ""))
    default = field.get("default")
    return text.removesuffix(f"Default: {default}.").strip() if isinstance(default, str) else text


def _type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "number or text"
    match field.get("type"):
        case "array":
            return f"list of {_type(field['items'])}"
        case "object" if isinstance(of := field.get("additionalProperties"), dict):
            return f"map of {_type(of)}"
        case "object" if field.get("x-kubernetes-preserve-unknown-fields"):
            return "any object"
        case "string" if field.get("format") == "date-time":
            return "time"
        case kind:
            return str(kind or "anything")


def _constraints(field: Schema) -> str:
    """In the words of the sentences that refuse, where there are any."""
    return "; ".join(_limits(field))


def _limits(field: Schema) -> Iterator[str]:
    if "enum" in field:
        yield "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    yield from _span("", field.get("minimum"), field.get("maximum"))
    yield from _span(" items", field.get("minItems"), field.get("maxItems"))
    yield from _span(" characters", field.get("minLength"), field.get("maxLength"))
    yield from _span(" entries", field.get("minProperties"), field.get("maxProperties"))
    for rule in field.get(RULES, ()):
        yield str(rule["message"]).removeprefix("this is not ")


def _span(of: str, least: int | None, most: int | None) -> Iterator[str]:
    match least, most:
        case None, None:
            return
        case None, _:
            yield f"at most {most}{of}"
        case _, None:
            yield f"at least {least}{of}"
        case _:
            yield f"{least} to {most}{of}"


def _rules(schema: Schema) -> str:
    """The rules of the part itself; those of fields below it stand in their rows."""
    return "\n".join(f"- {_plain(rule['message'])}" for rule in schema.get(RULES, ()))
