"""Which requests a route is for: ``matches`` of ``spec.traffic.gatewayAPI`` and of ``spec.traffic.grpc``. Pure.

Each model is written as the Gateway API stores it, defaults included, so a router puts it into a rule as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import not_
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.names import HeaderName
from modelrollout.api.rules import Rule

# Gateway API: 16. A preview or an audience is told apart by one header more, whose place is kept here.
_MOST_HEADERS = 15
_MOST_PARAMETERS = 16
MOST_MATCHES = 64

ValueMatch = Annotated[
    Literal["Exact", "RegularExpression"],
    Field(description="How the value is compared; each gateway has its own dialect of regular expressions."),
]


def unique_headers(*, by: str = "") -> Rule:
    """No header twice in a list, however its letters are written. `by`: the field of an element that names it."""

    def are_unique(headers: Sequence[Any]) -> bool:
        names = [(getattr(header, by) if by else header).lower() for header in headers]
        return len({*names}) == len(names)

    field = f".{by}" if by else ""
    return Rule(
        are_unique,
        "each header may stand here once, and upper and lower case are the same: remove the second one",
        f"self.all(h, self.exists_one(o, o{field}.lowerAscii() == h{field}.lowerAscii()))",
    )


Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


class HeaderMatch(Model):
    """A header that the request must have."""

    type: ValueMatch = "Exact"
    name: Annotated[HeaderName, Field(description="Name of the header; upper and lower case are the same.")]
    value: Annotated[str, Field(min_length=1, max_length=4096, description="Value that the header must have.")]


class QueryParamMatch(Model):
    """A query parameter that the request must have."""

    type: ValueMatch = "Exact"
    name: Annotated[HeaderName, Field(description="Name of the parameter; upper and lower case differ.")]
    value: Annotated[str, Field(min_length=1, max_length=1024, description="Value that the parameter must have.")]


HeaderMatches = Annotated[
    tuple[HeaderMatch, ...],
    Field(
        max_length=_MOST_HEADERS,
        exclude_if=not_,
        description="Headers that the request must have, all of them; at most 15, for the operator may add one.",
    ),
    unique_headers(by="name"),
]


def _unless_regex(field: str, rule: Rule) -> Rule:
    """Of a model with a `type`: the rule holds of a field's text, unless that is a regular expression or left out."""

    def holds(model: Any) -> bool:
        text = getattr(model, field)
        return model.type == "RegularExpression" or text is None or rule.holds(text)

    said = str(rule.cel).replace("self", f"self.{field}")
    return Rule(
        holds, rule.message, f"has(self.type) && self.type == 'RegularExpression' || !has(self.{field}) || {said}"
    )


_NOT_NORMAL = r"//|/\.\.?/|/\.\.?$|%2[fF]|#"
IS_NORMAL = Rule(
    lambda path: re.search(_NOT_NORMAL, path) is None,
    "a path has no //, /./, /../, %2f or # in it and does not end with /. or /..: write the path that is meant",
    f"!self.matches(r'{_NOT_NORMAL}')",
)
IS_ABSOLUTE = Rule(
    lambda path: path.startswith("/"), "a path starts with /, such as /v1/models", "self.startsWith('/')"
)
HAS_PATH_CHARACTERS = Rule.matching(
    r"^([-A-Za-z0-9/._~!$&\x27()*+,;=:@#]|%[0-9a-fA-F]{2})*$",
    "a path is made of letters, digits and -._~!$&'()*+,;=:@/: write every other character as % and two digits",
)


class PathMatch(Model):
    """The path of the request."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _unless_regex("value", IS_ABSOLUTE),
        _unless_regex("value", IS_NORMAL),
        _unless_regex("value", HAS_PATH_CHARACTERS),
    )

    type: Annotated[
        Literal["Exact", "PathPrefix", "RegularExpression"],
        Field(description="How the path is compared; PathPrefix compares whole parts between slashes."),
    ] = "PathPrefix"
    value: Annotated[str, Field(min_length=1, max_length=1024, description="The path, or how it begins.")] = "/"


class HTTPMatch(Model):
    """Requests that fulfil all that is said here."""

    path: Annotated[PathMatch, Field(description="The path; every path when left out.")] = PathMatch()
    headers: HeaderMatches = ()
    query_params: Annotated[
        tuple[QueryParamMatch, ...],
        Field(
            max_length=_MOST_PARAMETERS,
            exclude_if=not_,
            description="Query parameters that the request must have, all of them.",
        ),
        Rule(
            lambda parameters: len({parameter.name for parameter in parameters}) == len(parameters),
            "each query parameter may stand here once: remove the second one",
            "self.all(p, self.exists_one(o, o.name == p.name))",
        ),
    ] = ()
    method: Annotated[Method | None, Field(description="The method; every method when left out.")] = None


_IS_SERVICE = Rule.matching(
    r"^\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$",
    "this is not a gRPC service: write it with its package, such as inference.GRPCInferenceService",
)
_IS_METHOD = Rule.matching(
    r"^[A-Za-z_][A-Za-z_0-9]*$", "this is not a gRPC method: write its name alone, such as ModelInfer"
)


class GRPCMethodMatch(Model):
    """The gRPC service and method that is called."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda method: method.service is not None or method.method is not None,
            "a match by method needs service, method or both",
            "has(self.service) || has(self.method)",
        ),
        _unless_regex("service", _IS_SERVICE),
        _unless_regex("method", _IS_METHOD),
    )

    type: ValueMatch = "Exact"
    service: Annotated[
        str | None,
        Field(min_length=1, max_length=1024, description="Service with its package; every service when left out."),
    ] = None
    method: Annotated[
        str | None, Field(min_length=1, max_length=1024, description="Method; every method when left out.")
    ] = None


class GRPCMatch(Model):
    """Calls that fulfil all that is said here."""

    method: Annotated[GRPCMethodMatch | None, Field(description="What is called; every method when left out.")] = None
    headers: HeaderMatches = ()
