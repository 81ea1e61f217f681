"""Requests that a candidate has to answer well before anybody meets it: ``smoke`` of a stage. Pure."""

from __future__ import annotations

from datetime import timedelta
from operator import not_
from typing import Annotated, Literal

from pydantic import Field, JsonValue, WithJsonSchema

from modelrollout.api.base import Model
from modelrollout.api.compare import JsonPath, NumberTolerance
from modelrollout.api.filters import Header
from modelrollout.api.matches import unique_headers
from modelrollout.api.names import Name
from modelrollout.api.rules import Rule, unique_by
from modelrollout.api.scalars import CLOCK_PATTERN, Duration, Statuses, StatusText

LONGEST = timedelta(seconds=30)
"""The longest that an answer may take: one pass of the operator waits for it."""
OF_THE_CONNECTION = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that speak of one connection and not of the request (RFC 9110, 7.6.1)."""

_ANY_JSON = {"x-kubernetes-preserve-unknown-fields": True}
AnyJson = Annotated[JsonValue, WithJsonSchema(_ANY_JSON)]


class JsonExpectation(Model):
    """A part of the answer's JSON that has to have a value."""

    path: Annotated[JsonPath, Field(description="The part, such as $.label; with [*] each part that it leads to.")]
    equals: Annotated[
        AnyJson,
        Field(description="Its value, any JSON. Numbers are equal by value."),
        # The API server drops what is null, and then says itself that it is missing.
        Rule(lambda value: value is not None, "null cannot be asked for: name a part that has a value", None),
    ]
    numbers: Annotated[
        NumberTolerance | None,
        Field(description="Numbers may differ by absolute + relative × the expected one."),
    ] = None


class Expectation(Model):
    """What the answer has to be like, all of it."""

    status: Annotated[
        StatusText,
        Field(description='Its status: a number, or a text such as "2xx" (the default), "200-204" or "200,404".'),
    ] = Statuses("2xx")
    json_: Annotated[
        tuple[JsonExpectation, ...],
        Field(alias="json", max_length=8, description="Parts of its JSON that have to have a value."),
    ] = ()
    contains: Annotated[
        str | None, Field(min_length=1, max_length=1024, description="A text that has to stand in its body.")
    ] = None
    max_latency: Annotated[
        Duration,
        Field(description="The longest time until it is complete, 30s at most."),
        Rule(
            lambda duration: timedelta() < duration.timedelta <= LONGEST,
            "an answer may take 30s at most, and more than nothing: choose maxLatency between 1ms and 30s",
            f"!self.matches(r'{CLOCK_PATTERN}') || duration(self) > duration('0s') && duration(self) <= "
            "duration('30s')",
        ),
    ] = Duration("10s")


class SmokeRequest(Model):
    """A request to the candidate's own Service, and the answer that it has to get."""

    name: Annotated[Name, Field(description="What people call it; unique within the stage.")]
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] | None,
        Field(description="Its method; when left out GET, or POST where there is a body."),
    ] = None
    scheme: Annotated[
        Literal["HTTP", "HTTPS"],
        Field(
            exclude_if=lambda scheme: scheme == "HTTP",
            description="HTTPS asks over TLS, without verifying the certificate, as the kubelet's probes do.",
        ),
    ] = "HTTP"
    path: Annotated[
        str,
        Field(min_length=1, max_length=1024, description="Its path, with a query if it needs one."),
        Rule.matching(
            r"^/[!-~]*$", "a path starts with / and has neither spaces nor letters beyond ASCII: percent-encode them"
        ),
    ] = "/"
    headers: Annotated[
        tuple[Header, ...],
        Field(max_length=8, description="Its headers. They stand in the spec for all to read: put no secret here."),
        unique_headers(by="name"),
        Rule(
            lambda headers: all(header.name.lower() not in OF_THE_CONNECTION for header in headers),
            "this header speaks of a connection and not of a request: remove Connection, Content-Length and the like",
            f"self.all(h, !(h.name.lowerAscii() in {sorted(OF_THE_CONNECTION)}))",
        ),
        Rule(
            lambda headers: all(header.value.isprintable() for header in headers),
            "the value of a header is one line of printable characters",
            None,  # a second pattern over every value of every request would be beyond CEL's cost
        ),
    ] = ()
    body: Annotated[
        AnyJson | None,
        Field(description="Its body: a text is sent as it is, anything else as JSON with that content type."),
    ] = None
    expect: Annotated[Expectation, Field(description="The answer it has to get; any 2xx when left out.")] = (
        Expectation()
    )


Requests = Annotated[
    tuple[SmokeRequest, ...],
    Field(
        max_length=10,
        exclude_if=not_,
        description="Requests to the candidate's own Service, before anybody meets it; the stage goes on once all of "
        "them have had the answer that they expect.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
    unique_by("name"),
]


class Smoked(Model):
    """A stage that begins with requests of the operator's own."""

    smoke: Requests = ()
    smoke_deadline: Annotated[
        Duration,
        Field(
            description="How long an answer may be wrong, from the first one on: a model server may be warming up. "
            "After it the candidate is rejected."
        ),
    ] = Duration("5m")
