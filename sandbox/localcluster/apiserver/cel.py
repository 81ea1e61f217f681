"""Validation rules of custom resources (`x-kubernetes-validations`), on Google's CEL with Kubernetes' functions. Pure.

A rule is compiled twice: against the types of the schema, so that a wrong field or type is found when the definition is
applied, and against dynamic types, for evaluating it on plain dictionaries.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from localcluster.apiserver import cel_types, typed
from localcluster.apiserver.cel_functions import CHECKED, EVALUATED
from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.resources import Schema
from localcluster.apiserver.typed import MISSING
from localcluster.apiserver.values import equal

KINDS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}
# After one of these the rest of the object cannot be judged, says Kubernetes.
BLOCKING = frozenset({"FieldValueTypeInvalid", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany"})
NOT_CHECKED = FieldError(
    "<nil>",
    "Invalid value",
    "null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)
RULES = "x-rules"  # on a completed schema: what rules there are in it
_OLD_SELF = re.compile(r"\boldSelf\b")


def _extensions(kubernetes: Any) -> list[Any]:
    return [ext_strings.ExtStrings(), ext_optional.ExtOptional(), kubernetes]


# An optional cannot be handed in from outside, so it is made where the rule speaks of it.
_OPTIONAL_OLD_SELF = "(hasOldSelf ? optional.of(oldSelf) : optional.none())"


@functools.cache
def _evaluator() -> Any:
    variables = {"self": cel.Type.DYN, "oldSelf": cel.Type.DYN, "hasOldSelf": cel.Type.BOOL}
    return cel.NewEnv(variables=variables, extensions=_extensions(EVALUATED))


@functools.lru_cache(maxsize=4096)
def _program(expression: str, optional_old_self: bool) -> Any:
    return _evaluator().compile(_source(expression, optional_old_self))


def _source(expression: str, optional_old_self: bool) -> str:
    return _OLD_SELF.sub(_OPTIONAL_OLD_SELF, expression) if optional_old_self else expression


def complaint(expression: str, schema: Schema, returns: str, optional_old_self: bool = False) -> str | None:
    """Why an expression cannot stand in a schema, or None."""
    return _complaint(expression, json.dumps(schema), returns, optional_old_self)


@functools.lru_cache(maxsize=4096)
def _complaint(expression: str, schema: str, returns: str, optional_old_self: bool) -> str | None:
    """A definition says the same in several places, and every rule costs a millisecond: `schema` as text is a key."""
    try:
        compiled = _checker(schema).compile(_source(expression, optional_old_self))
        _program(expression, optional_old_self)
    except RuntimeError as error:
        return f"compilation failed: {_cleaned(str(error))}"
    if compiled.return_type().name() != returns.upper():
        return f"must evaluate to a {returns}"
    return None


@functools.lru_cache(maxsize=1024)
def _checker(schema: str) -> Any:
    pool, self_type = cel_types.declare(json.loads(schema))
    variables = {"self": cel.Type(self_type), "oldSelf": cel.Type(self_type), "hasOldSelf": cel.Type.BOOL}
    return cel.NewEnv(descriptor_pool=pool, variables=variables, extensions=_extensions(CHECKED))


def _cleaned(message: str) -> str:
    """The compiler's words as Kubernetes' compiler says them."""
    message = message.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    message = re.sub(r"(undefined field '[^']*') not found in struct '[^']*'", r"\1", message)
    return message.replace("cannot be the range of", "cannot be range of")


def rules_in(schema: Schema) -> str:
    """The kind of rules in a completed schema: "", "plain", or "transition" when one compares with the old value."""
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    found = {each.get(RULES, "") for each in below if isinstance(each, dict)}
    for rule in schema.get("x-kubernetes-validations") or ():
        found.add("transition" if _OLD_SELF.search(rule.get("rule") or "") else "plain")
    return max(found, default="")


def validate(value: Any, schema: Schema, path: str = "", old: Any = MISSING) -> Iterator[FieldError]:
    """Every rule in the schema that the value breaks."""
    if not schema.get(RULES) or (schema[RULES] == "plain" and equal(old, value)):
        return
    rules = schema.get("x-kubernetes-validations")
    if rules and value is not None:
        view, before = cel_types.view(value, schema), MISSING if old is MISSING else cel_types.view(old, schema)
        unchanged = old is not MISSING and equal(old, value)
        for rule in rules:
            yield from _Rule(rule, value, path).broken(view, before, unchanged)
    for below, item, where, was in _below(value, schema, path, old):
        yield from validate(item, below, where, was)


def _below(value: Any, schema: Schema, path: str, old: Any) -> Iterator[tuple[Schema, Any, str, Any]]:
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        known, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            if key in known:
                yield known[key], item, f"{path}.{key}" if path else key, before.get(key, MISSING)
            elif isinstance(extra, dict):
                yield extra, item, f"{path}[{key}]", before.get(key, MISSING)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        keyed = schema.get("x-kubernetes-list-type") in ("map", "set")
        found = typed.elements(old, schema) if keyed and isinstance(old, list) else {}
        for index, item in enumerate(value):
            was = found.get(typed.element(item, schema), MISSING) if keyed else MISSING
            yield schema["items"], item, f"{path}[{index}]", was


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule at one place."""

    rule: dict[str, Any]
    value: Any
    path: str

    def broken(self, view: Any, before: Any, unchanged: bool) -> Iterator[FieldError]:
        text, optional = self.rule["rule"], bool(self.rule.get("optionalOldSelf"))
        speaks_of_old = bool(_OLD_SELF.search(text))
        if speaks_of_old and before is MISSING and not optional:
            return  # a transition needs two states
        if unchanged and not speaks_of_old:
            return
        has_old = before is not MISSING
        data = {"self": view, "oldSelf": before if has_old else None, "hasOldSelf": has_old}
        result = _program(text, optional).eval(data=data)
        if result.type().name() == "ERROR":
            said = self.rule.get("message") or text
            detail = f"{_object_or(self.value)}: {_runtime(str(result.value()))} evaluating rule: {said}"
            yield FieldError(self.path, "Invalid value", detail)
        elif not result.value():
            yield self._refusal(data, optional)

    def _refusal(self, data: dict[str, Any], optional: bool) -> FieldError:
        kind = KINDS[self.rule.get("reason") or "FieldValueInvalid"]
        where = self.path + (self.rule.get("fieldPath") or "")
        message = self._message(data, optional)
        plain = not isinstance(self.value, dict | list) and not self.rule.get("fieldPath") and kind == "Invalid value"
        return FieldError(where, kind, f"{json.dumps(self.value)}: {message}" if plain else message)

    def _message(self, data: dict[str, Any], optional: bool) -> str:
        if expression := self.rule.get("messageExpression"):
            result = _program(expression, optional).eval(data=data)
            if result.type().name() == "STRING" and (told := str(result.value()).strip()) and "\n" not in told:
                return told
        return self.rule.get("message") or f"failed rule: {self.rule['rule'].strip()}"


def _object_or(value: Any) -> str:
    if isinstance(value, dict | list):
        return '"object"' if isinstance(value, dict) else '"array"'
    return json.dumps(value)


def _runtime(message: str) -> str:
    """The evaluator's words as Kubernetes' evaluator says them."""
    message = re.sub(r"^[A-Z_]+: ", "", message)
    if found := re.match(r'Key not found in map : "(.*)"', message):
        return f"no such key: {found[1]}"
    return {"divide by zero": "division by zero", "modulus by zero": "modulus by zero"}.get(message, message)
