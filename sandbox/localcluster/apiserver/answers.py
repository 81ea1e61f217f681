"""How an answer goes out: as the object, as a table, as metadata alone; and the headers beside it. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from localcluster.apiserver.resources import Resource
from localcluster.apiserver.store import Object
from localcluster.apiserver.tables import partial, table
from localcluster.apiserver.writes import Outcome

View = Callable[[Object], Object]


def as_json(item: Any, code: int = 200) -> web.Response:
    return web.Response(body=json.dumps(item, separators=(",", ":")), status=code, content_type="application/json")


def as_document(content: bytes, content_type: str = "application/json") -> web.Response:
    return web.Response(body=content, content_type=content_type)


def as_outcome(outcome: Outcome, view: View) -> web.Response:
    """The result of a write, with its warnings."""
    response = as_json(view(outcome.item), 201 if outcome.created else 200)
    for each in outcome.warnings:
        response.headers.add("Warning", f"299 - {json.dumps(each)}")
    return response


def deleted(resource: Resource, item: Object) -> Object:
    """The answer to DELETE when the object is gone."""
    details = {"name": item["metadata"]["name"], "kind": resource.plural, "uid": item["metadata"]["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def view(request: web.Request, resource: Resource) -> View:
    """The form in which the client wants objects and lists of them."""
    for accepted in request.headers.get("Accept", "").split(","):
        kind, *given = (part.strip() for part in accepted.split(";"))
        parameters = dict(each.partition("=")[::2] for each in given)
        if kind == "application/json" and parameters.get("g") == "meta.k8s.io":
            match parameters.get("as"):
                case "Table":
                    include = request.query.get("includeObject", "Metadata")
                    return lambda item: _as_table(resource, item, include)
                case "PartialObjectMetadata" | "PartialObjectMetadataList":
                    return _as_metadata
        if kind in ("application/json", "*/*") and "as" not in parameters:
            break
    return lambda item: item


def _as_table(resource: Resource, item: Object, include: str) -> Object:
    if item["kind"] == "Status":
        return item
    if "items" in item and item["kind"] == f"{resource.kind}List":
        return table(resource, item["items"], item["metadata"], include)
    version = item["metadata"].get("resourceVersion", "")
    return table(resource, [item], {"resourceVersion": version}, include)


def _as_metadata(item: Object) -> Object:
    if item["kind"] == "Status":
        return item
    if "items" in item and item["kind"].endswith("List"):
        items = [partial(each) for each in item["items"]]
        return {**item, "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "items": items}
    return partial(item)
