"""Reads a request from its path, query and headers. Touches no object."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from localcluster.apiserver import errors, protobuf
from localcluster.apiserver.deletion import Deletion
from localcluster.apiserver.resources import Resource
from localcluster.apiserver.selectors import FieldTerm, Selection, field_selector, label_selector
from localcluster.apiserver.store import Object
from localcluster.apiserver.writes import Options

_OF_A_NAMESPACE = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Route:
    """The address of a collection, an object or a subresource."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def route(path: str) -> Route | None:
    """Read `/api/v1/…` or `/apis/<group>/<version>/…`; None when it addresses no kind."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        parts.insert(1, "")
    elif parts[0] != "apis":
        return None
    _, group, version, *rest = [*parts, *[""] * (3 - len(parts))]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in _OF_A_NAMESPACE:
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3:
        return None
    plural, name, subresource = [*rest, "", ""][:3]
    return Route(group, version, plural, namespace, name, subresource)


async def body(request: web.Request) -> Any:
    """The decoded body: JSON, or YAML where the client says so."""
    raw = await request.read()
    kind = request.content_type
    if kind == protobuf.MEDIA_TYPE:
        return protobuf.decode(raw)
    try:
        if kind.endswith("yaml"):
            return _yaml(raw)
        if kind in ("application/json", "application/octet-stream", "*/*") or kind.endswith("+json"):
            return json.loads(raw, parse_float=_number)
    except (ValueError, yaml.YAMLError) as error:
        raise errors.bad_request(
            f"the object provided is unrecognized (must be valid JSON or YAML): {error}"
        ) from error
    raise errors.unsupported_media_type(["application/json", "application/yaml"])


def _yaml(raw: bytes) -> Any:
    """Clients send JSON for an apply, under the name of YAML; as YAML it would take longer than all the rest."""
    try:
        return json.loads(raw, parse_float=_number)
    except ValueError:
        return yaml.load(raw, yaml.CSafeLoader)


def an_object(given: Any, resource: Resource, name: str = "") -> Object:
    """The submitted object, refused where it is none, or one of another kind or name."""
    if not isinstance(given, dict):
        raise errors.bad_request("the object provided is unrecognized (must be an object)")
    if resource.custom and not given.get("kind"):
        raise errors.bad_request(f"Object 'Kind' is missing in '{json.dumps(given)}'")
    if given.get("apiVersion", resource.api_version) != resource.api_version:
        message = f"the API version in the data ({given['apiVersion']}) does not match the expected API version "
        raise errors.bad_request(f"{message}({resource.api_version})")
    if given.get("kind", resource.kind) not in (resource.kind, "Scale"):
        wanted = f"{resource.api_version}, Kind={resource.kind}"
        raise errors.bad_request(f"the kind in the data ({given['kind']}) does not match the expected kind ({wanted})")
    named = (given.get("metadata") or {}).get("name", name)
    if name and named != name:
        raise errors.bad_request(f"the name of the object ({named}) does not match the name on the URL ({name})")
    return given


def _number(text: str) -> float | int:
    """JSON has one kind of number: 2.0 is 2."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


def manager(request: web.Request) -> str:
    """The field manager: as named, else the program's name as the User-Agent starts with it."""
    named = request.query.get("fieldManager")
    return named or request.headers.get("User-Agent", "unknown").split("/")[0][:128] or "unknown"


def options(request: web.Request, subresource: str) -> Options:
    dry_run = request.query.getall("dryRun", [])
    if any(each != "All" for each in dry_run):
        raise errors.bad_request(f'Invalid value: "{dry_run[0]}": supported values: "All"')
    return Options(
        manager=manager(request),
        dry_run=bool(dry_run),
        field_validation=request.query.get("fieldValidation") or "Warn",
        force=request.query.get("force") in ("true", "1"),
        subresource=subresource,
    )


async def deletion(request: web.Request) -> Deletion:
    """DeleteOptions from the body, or from the query when there is no body."""
    given: dict[str, Any] = dict(await body(request) or {}) if request.can_read_body else {}
    query = request.query
    for key in ("propagationPolicy", "gracePeriodSeconds", "orphanDependents"):
        if key in query:
            given.setdefault(key, query[key])
    preconditions = given.get("preconditions") or {}
    grace = given.get("gracePeriodSeconds")
    propagation = given.get("propagationPolicy")
    if propagation is None and given.get("orphanDependents") is not None:
        propagation = "Orphan" if str(given["orphanDependents"]).lower() == "true" else "Background"
    return Deletion(
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        propagation=propagation,
        grace_seconds=None if grace is None else int(grace),
        dry_run="All" in (given.get("dryRun") or []) or "All" in query.getall("dryRun", []),
    )


def selection(request: web.Request, resource: Resource, at: Route) -> Selection:
    """The selection of a list, a watch, or a deletion of many."""
    query = request.query
    fields = field_selector(query.get("fieldSelector", ""), resource.selectable)
    if at.name:
        fields = (*fields, FieldTerm("metadata.name", at.name, equal=True))
    labels = label_selector(query.get("labelSelector", ""))
    return Selection(at.namespace or None, labels, fields)


def is_true(request: web.Request, key: str) -> bool:
    return request.query.get(key, "").lower() in ("true", "1")
