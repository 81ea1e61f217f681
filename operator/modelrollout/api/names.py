"""How objects, kinds, hosts and headers are named, as Kubernetes and its Gateway API have it. Pure.

The patterns are those of Gateway API v1: a name that it would refuse later is refused when the rollout is applied.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelrollout.api.rules import Rule

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DOMAIN = rf"{_LABEL}(\.{_LABEL})*"

Name = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule.matching(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a name is made of lower-case letters, digits and -, such as canary-2"
    ),
]
"""Of a stage or a metric."""
OBJECT_NAME = Rule.matching(
    rf"^{_DOMAIN}$", "this is not the name of an object: lower-case letters, digits, - and . only"
)
ObjectName = Annotated[str, Field(min_length=1, max_length=253), OBJECT_NAME]
Namespace = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule.matching(rf"^{_LABEL}$", "this is not the name of a namespace: lower-case letters, digits and - only"),
]
Group = Annotated[
    str,
    Field(max_length=253),
    Rule.matching(rf"^({_DOMAIN})?$", "this is not an API group such as gateway.networking.k8s.io, without a version"),
]
Kind = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule.matching(r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", "this is not a kind of object such as Gateway"),
]
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule.matching(
        rf"^(\*\.)?{_DOMAIN}$",
        "this is not a host name such as fraud.example.com or *.example.com, in lower case",
    ),
]
ExactHostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Rule.matching(rf"^{_DOMAIN}$", "this is not one host name such as fraud.example.com, in lower case"),
]
CookieName = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Rule.matching(
        r"^[A-Za-z0-9._-]+$", "this is not the name of a cookie, such as fraud-arm: letters, digits and ._- only"
    ),
]
HeaderName = Annotated[
    str,
    Field(min_length=1, max_length=256),
    Rule.matching(
        r"^[A-Za-z0-9!#$%&*+.^_|~`\x27-]+$",
        "this is not the name of a header, such as X-Model: letters, digits and - are, a colon or a space is not",
    ),
]
