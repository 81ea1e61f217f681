"""What is wrong with a resource, in a sentence that names the field and the mend. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from modelrollout.api.spec import ROLLOUT_NAME, ModelRolloutSpec

MOST_SENTENCES = 3
"""Nobody reads more errors than this at once."""
_LONGEST_VALUE = 60  # characters

Location = Sequence[int | str]


def spec_error(error: ValidationError, *, of: type[BaseModel] = ModelRolloutSpec, at: str = "spec") -> str:
    """The first errors of a spec as one line: `spec.stages[0].canary.weights is [5, 3]: weights must rise …`.

    `of` is the model that refused, and `at` what its whole is called.
    """
    found = _first_causes(error.errors(include_url=False))
    told = "; ".join(_sentence(one, of, at) for one in found[:MOST_SENTENCES])
    return f"{told}; and {len(found) - MOST_SENTENCES} more" if len(found) > MOST_SENTENCES else told


def name_error(name: str) -> str | None:
    """What is wrong with a rollout's name, which stands outside of its spec; None when nothing is."""
    return None if ROLLOUT_NAME.holds(name) else f"metadata.name is {json.dumps(name)}: {ROLLOUT_NAME.message}"


def _first_causes(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without the length of lists of which an element is refused: pydantic counts only the others."""
    paths = [error["loc"] for error in errors]

    def is_consequence(error: ErrorDetails) -> bool:
        path = error["loc"]
        return error["type"] == "too_short" and any(len(p) > len(path) and p[: len(path)] == path for p in paths)

    return [error for error in errors if not is_consequence(error)]


def _sentence(error: ErrorDetails, of: type[BaseModel], at: str) -> str:
    path = error["loc"]
    where = _wire(path, at)
    match error["type"]:
        case "missing":
            return f"{where} is missing: add it"
        case "extra_forbidden":
            return f"{where} is not a known field: {_mend_unknown(path, of)}"
    mend = _MENDS.get(error["type"], _own_words)(error)
    return f"{where}{_said(error['input'])}: {mend}"


def _wire(path: Location, at: str) -> str:
    return at + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _said(value: Any) -> str:
    """The value as it was written, when it is short enough to help; of a part of the resource, its name."""
    if isinstance(value, dict):
        return f" ({value['name']})" if isinstance(value.get("name"), str) else ""
    if isinstance(value, list | tuple) and _has_parts(value):
        return ""
    if isinstance(value, str) and "://" in value and "@" in value:  # people write passwords into addresses
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f" is {text}" if len(text) <= _LONGEST_VALUE else ""


def _has_parts(values: Sequence[Any]) -> bool:
    return any(isinstance(value, dict | BaseModel) for value in values)


def _own_words(error: ErrorDetails) -> str:
    """Our rules' message, or that of our scalars; else pydantic's, which is a sentence as well."""
    context = error.get("ctx") or {}
    return str(context.get("sentence") or context.get("error") or error["msg"])


def _mend_unknown(path: Location, of: type[BaseModel]) -> str:
    known = _fields_beside(path, of)
    if near := get_close_matches(str(path[-1]), known, n=1):
        return f"did you mean {near[0]}?"
    return f"remove it; known here: {', '.join(known)}" if known else "remove it"


def _fields_beside(path: Location, of: type[BaseModel]) -> list[str]:
    """The names, as people write them, of the fields that may stand where the path ends."""
    model: type[BaseModel] | None = of
    for part in path[:-1]:
        if model is not None and isinstance(part, str):
            found = [field.annotation for field in model.model_fields.values() if field.alias == part]
            model = _model_in(found[0]) if found else None
    return [str(field.alias) for field in model.model_fields.values()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def _mend_text(error: ErrorDetails) -> str:
    return f"this must be text, so put it in quotes: {json.dumps(str(error['input']))}"


def _limit(name: str, words: str) -> Callable[[ErrorDetails], str]:
    return lambda error: words.format((error.get("ctx") or {})[name])


_MENDS: dict[str, Callable[[ErrorDetails], str]] = {
    "string_type": _mend_text,
    "int_type": lambda _: "this must be a whole number, without quotes",
    "bool_type": lambda _: "this must be true or false, without quotes",
    "tuple_type": lambda _: "this must be a list",
    "dict_type": lambda _: "this must be a block of fields",
    "model_type": lambda _: "this must be a block of fields",
    "literal_error": _limit("expected", "this must be {}"),
    "greater_than_equal": _limit("ge", "this must be {} or more"),
    "less_than_equal": _limit("le", "this must be {} or less"),
    "string_too_short": lambda _: "this must not be empty",
    "string_too_long": _limit("max_length", "this may have at most {} characters"),
    "too_short": _limit("min_length", "this needs at least {} element"),
    "too_long": _limit("max_length", "this may have at most {} elements"),
}
