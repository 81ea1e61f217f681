"""What a gateway changes in a request or an answer: ``filters`` of ``spec.traffic``. Pure.

Each model is written as the Gateway API stores it, so a router puts it into a rule as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import not_
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.matches import unique_headers
from modelrollout.api.names import ExactHostname, Group, HeaderName, Kind, ObjectName
from modelrollout.api.rules import Rule, block_of_its_type

# Gateway API: 16. The place of the operator's RequestMirror is kept here.
MOST_FILTERS = 15
_MOST_HEADERS = 16

_BLOCKS = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "ExtensionRef": "extensionRef",
}
_HTTP_BLOCKS = {**_BLOCKS, "URLRewrite": "urlRewrite"}
_IS_NO_MIRROR = Rule(
    lambda type_: type_ != "RequestMirror",
    "the operator alone mirrors requests: remove this filter",
    "self != 'RequestMirror'",
)
_IS_NO_REDIRECT = Rule(
    lambda type_: type_ != "RequestRedirect",
    "a redirect is answered by the gateway and never reaches a model: remove this filter",
    "self != 'RequestRedirect'",
)


def _is_known(blocks: Mapping[str, str]) -> Rule:
    """Instead of an `enum`, which could not say why the types above are none here."""
    known = [*blocks, "RequestMirror", "RequestRedirect"]
    return Rule(
        lambda type_: type_ in known,
        f"this is not a type of filter here; known: {', '.join(blocks)}",
        f"self in {known}",
    )


def _named_by_type(blocks: Mapping[str, str]) -> Rule:
    needs = ", ".join(f"{type_} needs {block}" for type_, block in blocks.items())
    return block_of_its_type(blocks, message=f"a filter has the field that its type names, and no other: {needs}")


class Header(Model):
    """A header and its value."""

    name: Annotated[HeaderName, Field(description="Name of the header; upper and lower case are the same.")]
    value: Annotated[str, Field(min_length=1, max_length=4096, description="Value of the header.")]


Headers = Annotated[tuple[Header, ...], Field(max_length=_MOST_HEADERS, exclude_if=not_), unique_headers(by="name")]


class HeaderModifier(Model):
    """Headers that are changed on the way."""

    set: Annotated[Headers, Field(description="Headers that get this value, whatever they had.")] = ()
    add: Annotated[Headers, Field(description="Headers that get this value beside those they have.")] = ()
    remove: Annotated[
        tuple[HeaderName, ...],
        Field(max_length=_MOST_HEADERS, exclude_if=not_, description="Names of headers that are taken away."),
        unique_headers(),
    ] = ()


class PathRewrite(Model):
    """Another path for the model server."""

    rules: ClassVar[tuple[Rule, ...]] = (
        block_of_its_type(
            {"ReplaceFullPath": "replaceFullPath", "ReplacePrefixMatch": "replacePrefixMatch"},
            message="a path is rewritten by the field that its type names, and no other: ReplaceFullPath needs "
            "replaceFullPath, ReplacePrefixMatch needs replacePrefixMatch",
        ),
    )

    type: Annotated[
        Literal["ReplaceFullPath", "ReplacePrefixMatch"],
        Field(description="Whether the whole path is replaced, or the prefix by which the request matched."),
    ]
    replace_full_path: Annotated[str | None, Field(max_length=1024, description="The new path.")] = None
    replace_prefix_match: Annotated[
        str | None, Field(max_length=1024, description="Instead of the prefix; / takes it away.")
    ] = None


class URLRewrite(Model):
    """Another host name or path for the model server."""

    hostname: Annotated[ExactHostname | None, Field(description="Host name that the model server sees.")] = None
    path: Annotated[PathRewrite | None, Field(description="Path that the model server sees.")] = None


class ExtensionRef(Model):
    """A filter of the gateway's own, in the rollout's namespace."""

    group: Annotated[Group, Field(description="API group of the filter, without a version.")]
    kind: Annotated[Kind, Field(description="Kind of the filter.")]
    name: Annotated[ObjectName, Field(description="Name of the filter.")]


class _Filter(Model):
    """One change, and the type that says which."""

    type: str
    request_header_modifier: Annotated[
        HeaderModifier | None, Field(description="Headers of requests, changed before the model server sees them.")
    ] = None
    response_header_modifier: Annotated[
        HeaderModifier | None, Field(description="Headers of answers, changed before users see them.")
    ] = None
    extension_ref: Annotated[ExtensionRef | None, Field(description="A filter of the gateway's own.")] = None


class HTTPFilter(_Filter):
    """One change, and the type that says which."""

    rules: ClassVar[tuple[Rule, ...]] = (_named_by_type(_HTTP_BLOCKS),)

    type: Annotated[
        str,
        Field(max_length=64, description=f"One of {', '.join(_HTTP_BLOCKS)}."),
        _IS_NO_MIRROR,
        _IS_NO_REDIRECT,
        _is_known(_HTTP_BLOCKS),
    ]
    url_rewrite: Annotated[
        URLRewrite | None, Field(alias="urlRewrite", description="Host name and path, as the model server sees them.")
    ] = None

    @property
    def replaces_prefix(self) -> bool:
        """Whether it works on the prefix by which the request matched."""
        path = self.url_rewrite.path if self.url_rewrite else None
        return path is not None and path.type == "ReplacePrefixMatch"


class GRPCFilter(_Filter):
    """One change, and the type that says which."""

    rules: ClassVar[tuple[Rule, ...]] = (_named_by_type(_BLOCKS),)

    type: Annotated[
        str,
        Field(max_length=64, description=f"One of {', '.join(_BLOCKS)}."),
        _IS_NO_MIRROR,
        _IS_NO_REDIRECT,
        _is_known(_BLOCKS),
    ]


def _stand_once(filters: Sequence[_Filter]) -> bool:
    types = [filter_.type for filter_ in filters if filter_.type != "ExtensionRef"]
    return len({*types}) == len(types)


# ExtensionRef may be repeated: each names another filter.
_IS_NOT_REPEATED = Rule(
    _stand_once,
    "each type of filter but ExtensionRef may stand here once: put both into one filter",
    "self.all(f, f.type == 'ExtensionRef' || self.exists_one(o, o.type == f.type))",
)
_LIST = Field(
    max_length=MOST_FILTERS,
    exclude_if=not_,
    description="Changes to requests and answers; at most 15, for the operator may add a mirror.",
)
HTTPFilters = Annotated[tuple[HTTPFilter, ...], _LIST, _IS_NOT_REPEATED]
GRPCFilters = Annotated[tuple[GRPCFilter, ...], _LIST, _IS_NOT_REPEATED]
