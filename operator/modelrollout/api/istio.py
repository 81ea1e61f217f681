"""``spec.traffic.istio``: what a VirtualService of the operator's says beside the weights. Pure.

Fields are named and written as Istio has them (networking.istio.io/v1), so they come to the VirtualService as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import not_
from typing import Annotated, Any, ClassVar

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.rules import Rule, exactly_one_of
from modelrollout.api.scalars import Duration

MOST_MATCHES, MOST_HEADERS = 16, 8
NONE: dict[str, Any] = {}

Host = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule.matching(
        r"^(\*|(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$",
        "this is not a host such as fraud.example.com, *.example.com, or the name of a Service, in lower case",
    ),
]
GatewayName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule.matching(
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "this is not the name of a Gateway of Istio, such as istio-ingress/public, nor the word mesh",
    ),
]


class IstioDuration(Duration):
    """A duration as Istio has it: no days."""

    __slots__ = ()
    pattern = r"^([0-9]{1,6}(\.[0-9]{1,6})?(h|m|s|ms)){1,4}$"
    expected = "a duration such as 10s, 1m30s or 500ms"


class StringMatch(Model):
    """A text, by exactly one of these."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("exact", "prefix", "regex"), message="a text is compared in one way: set exact, prefix or regex"
        ),
    )

    exact: Annotated[str | None, Field(min_length=1, max_length=1024, description="The whole text.")] = None
    prefix: Annotated[str | None, Field(min_length=1, max_length=1024, description="How it begins.")] = None
    regex: Annotated[str | None, Field(min_length=1, max_length=1024, description="In the syntax of RE2.")] = None


def _are_lower_case(headers: Mapping[str, Any]) -> bool:
    return all(re.fullmatch(r"[a-z0-9-]{1,256}", name) for name in headers)


_Texts = Annotated[
    dict[str, StringMatch], Field(max_length=MOST_HEADERS, exclude_if=not_, json_schema_extra={"type": "object"})
]
_Headers = Annotated[
    _Texts,
    # The operator alone checks it: CEL cannot bound the cost of a map's keys, which may be of any length.
    Rule(_are_lower_case, "Istio compares names of headers in lower case: use a-z, 0-9 and - only", cel=None),
]


class IstioMatch(Model):
    """Requests of which all of this is true."""

    uri: Annotated[StringMatch | None, Field(description="The path, without the query.")] = None
    ignore_uri_case: Annotated[bool | None, Field(description="Whether upper and lower case of uri are the same.")] = (
        None
    )
    authority: Annotated[StringMatch | None, Field(description="The host that the request names.")] = None
    method: Annotated[StringMatch | None, Field(description="The HTTP method.")] = None
    headers: Annotated[_Headers, Field(description="Headers that the request must have, by lower-case name.")] = NONE
    without_headers: Annotated[_Headers, Field(description="Headers that it must not have.")] = NONE
    query_params: Annotated[_Texts, Field(description="Query parameters that it must have.")] = NONE
    source_labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]],
        Field(max_length=MOST_HEADERS, exclude_if=not_, description="Labels of the pod that asks, inside the mesh."),
    ] = NONE
    gateways: Annotated[
        tuple[GatewayName, ...],
        Field(max_length=8, exclude_if=not_, description="Only requests through these; all of the router's else."),
    ] = ()


class Rewrite(Model):
    """What the model server sees in place of the path and the host that were asked for."""

    uri: Annotated[
        str | None,
        Field(min_length=1, max_length=1024, description="The path; after a match by prefix, that part of it."),
    ] = None
    authority: Annotated[str | None, Field(min_length=1, max_length=253, description="The host.")] = None


class Retries(Model):
    """How often a request that failed is tried again."""

    attempts: Annotated[int, Field(strict=True, ge=0, le=100, description="Times beside the first one.")]
    per_try_timeout: Annotated[IstioDuration | None, Field(description="For one try; timeout when left out.")] = None
    retry_on: Annotated[
        str | None, Field(min_length=1, max_length=256, description="Envoy's conditions, such as 5xx,connect-failure.")
    ] = None


class Istio(Model):
    """Split traffic by weight in a VirtualService that the operator makes and owns, named after the rollout."""

    hosts: Annotated[
        tuple[Host, ...],
        Field(
            min_length=1,
            max_length=16,
            description="Hosts that requests ask for: of a gateway, or a Service that callers in the mesh know.",
        ),
    ]
    gateways: Annotated[
        tuple[GatewayName, ...],
        Field(
            max_length=8,
            exclude_if=not_,
            description="Gateways of Istio that users come through; `mesh` means all sidecars, as does leaving it out.",
        ),
    ] = ()
    matches: Annotated[
        tuple[IstioMatch, ...],
        Field(
            max_length=MOST_MATCHES,
            exclude_if=not_,
            description="Which requests are for this model, any one of these; all to the hosts when left out.",
        ),
    ] = ()
    rewrite: Rewrite | None = None
    timeout: Annotated[IstioDuration | None, Field(description="How long a request may take, tries included.")] = None
    retries: Retries | None = None
