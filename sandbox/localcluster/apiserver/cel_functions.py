"""The functions that Kubernetes adds to CEL for lists, sets, regular expressions and quantities. Pure.

https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from cel_expr_python import cel

_LIST = cel.Type("list<dyn>")
_SUFFIXES = {
    "": Decimal(1),
    **{name: Decimal(1000) ** power for name, power in zip("kMGTPE", range(1, 7), strict=True)},
    **{f"{name}i": Decimal(1024) ** power for name, power in zip("KMGTPE", range(1, 7), strict=True)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}
_QUANTITY = re.compile(r"^([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkKMGTPE]?i?))$")
NOT_A_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def _parse(text: str) -> Decimal:
    found = _QUANTITY.match(text)
    try:
        if found and found[2]:
            return Decimal(found[1] + found[2])
        return Decimal(found[1]) * _SUFFIXES[found[3] or ""] if found else _refuse()
    except (InvalidOperation, KeyError):
        return _refuse()


def _refuse() -> Decimal:
    raise ValueError(NOT_A_QUANTITY)


def _is_quantity(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


# CEL cannot hold a Python object, so a quantity travels as a map; the checker knows it as a type of its own.
_VALUE = "value"


def _quantity(text: str) -> dict[str, str]:
    return {_VALUE: str(_parse(text))}


def _of(quantity: dict[str, str]) -> Decimal:
    return Decimal(quantity[_VALUE])


def _integer(quantity: dict[str, str]) -> int:
    if _of(quantity) % 1:
        raise ValueError("cannot convert value to integer")
    return int(_of(quantity))


def _sum(items: list[Any]) -> Any:
    return sum(items[1:], items[0]) if items else 0


def _extreme(choose: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any]], Any]:
    def found(items: list[Any]) -> Any:
        if not items:
            raise ValueError(f"{name} called on empty list")
        return choose(items)

    return found


def _index(items: list[Any], wanted: Any) -> int:
    return items.index(wanted) if wanted in items else -1


def _last_index(items: list[Any], wanted: Any) -> int:
    return len(items) - 1 - items[::-1].index(wanted) if wanted in items else -1


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [found[0] for found in re.finditer(pattern, text)]


def _method(name: str, of: Any, returns: Any, does: Callable[..., Any], *arguments: Any) -> Any:
    identity = f"kubernetes_{name}_{of.name()}_{len(arguments)}".lower()
    overload = cel.Overload(identity, return_type=returns, parameters=[of, *arguments], is_member=True, impl=does)
    return cel.FunctionDecl(name, [overload])


def _function(name: str, returns: Any, does: Callable[..., Any], *arguments: Any) -> Any:
    identity = f"kubernetes_{name.replace('.', '_')}_{len(arguments)}".lower()
    return cel.FunctionDecl(name, [cel.Overload(identity, return_type=returns, parameters=[*arguments], impl=does)])


def _lists() -> list[Any]:
    dyn, integer = cel.Type.DYN, cel.Type.INT
    return [
        _method("isSorted", _LIST, cel.Type.BOOL, lambda items: items == sorted(items)),
        _method("sum", _LIST, dyn, _sum),
        _method("min", _LIST, dyn, _extreme(min, "min")),
        _method("max", _LIST, dyn, _extreme(max, "max")),
        _method("indexOf", _LIST, integer, _index, dyn),
        _method("lastIndexOf", _LIST, integer, _last_index, dyn),
        _function("sets.contains", cel.Type.BOOL, lambda all_, some: all(each in all_ for each in some), _LIST, _LIST),
        _function("sets.intersects", cel.Type.BOOL, lambda one, two: any(each in one for each in two), _LIST, _LIST),
        _function("sets.equivalent", cel.Type.BOOL, _equivalent, _LIST, _LIST),
    ]


def _equivalent(one: list[Any], two: list[Any]) -> bool:
    return all(each in one for each in two) and all(each in two for each in one)


def _texts() -> list[Any]:
    text = cel.Type.STRING
    return [
        _method("find", text, text, _find, text),
        _method("findAll", text, cel.Type("list<string>"), _find_all, text),
    ]


def _quantities(quantity: Any) -> list[Any]:
    text, boolean, integer = cel.Type.STRING, cel.Type.BOOL, cel.Type.INT
    return [
        _function("quantity", quantity, _quantity, text),
        _function("isQuantity", boolean, _is_quantity, text),
        _method("isGreaterThan", quantity, boolean, lambda one, two: _of(one) > _of(two), quantity),
        _method("isLessThan", quantity, boolean, lambda one, two: _of(one) < _of(two), quantity),
        _method("compareTo", quantity, integer, _compare, quantity),
        _method("isInteger", quantity, boolean, lambda one: not _of(one) % 1),
        _method("asInteger", quantity, integer, _integer),
        _method("asApproximateFloat", quantity, cel.Type.DOUBLE, lambda one: float(_of(one))),
        _method("sign", quantity, integer, lambda one: (_of(one) > 0) - (_of(one) < 0)),
        _method("add", quantity, quantity, lambda one, two: {_VALUE: str(_of(one) + _of(two))}, quantity),
        _method("sub", quantity, quantity, lambda one, two: {_VALUE: str(_of(one) - _of(two))}, quantity),
    ]


def _compare(one: dict[str, str], two: dict[str, str]) -> int:
    return (_of(one) > _of(two)) - (_of(one) < _of(two))


def _extension(quantity: Any) -> Any:
    return cel.CelExtension("kubernetes", [*_lists(), *_texts(), *_quantities(quantity)])


CHECKED = _extension(cel.Type.AbstractType("kubernetes.Quantity"))
EVALUATED = _extension(cel.Type("map<string, string>"))
