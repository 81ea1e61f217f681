"""The HTTP side: who may come in, which path means what, in which form the answer goes out."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from modelrollout.sandbox.apiserver import discovery, errors, patches, reading, requests
from modelrollout.sandbox.apiserver.builtin.kinds import built_in_kinds, status_success
from modelrollout.sandbox.apiserver.crds import Definitions
from modelrollout.sandbox.apiserver.errors import StatusError
from modelrollout.sandbox.apiserver.openapi import Documents
from modelrollout.sandbox.apiserver.reading import Pages
from modelrollout.sandbox.apiserver.requests import Route
from modelrollout.sandbox.apiserver.resources import Registry, Resource
from modelrollout.sandbox.apiserver.store import Object, Store
from modelrollout.sandbox.apiserver.writes import Options, Outcome, Writes

log = logging.getLogger(__name__)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
OPEN_TO_ALL = frozenset({"/healthz", "/readyz", "/livez", "/version"})
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


class Server:
    """One cluster's worth of objects behind HTTP."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._store = Store()
        self._registry = Registry(built_in_kinds())
        self._writes = Writes(self._store, self._registry)
        self._writes.after_write.append(Definitions(self._store, self._registry, self._writes).follow)
        self._pages = Pages()
        self._documents = Documents(self._registry)
        self._create_namespaces()

    def app(self) -> web.Application:
        """The aiohttp application; every path goes through one door."""
        app = web.Application(client_max_size=3 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    def _create_namespaces(self) -> None:
        namespaces = self._registry.find("", "v1", "namespaces")
        if namespaces is not None:
            for name in NAMESPACES:
                self._writes.create(namespaces, "", {"metadata": {"name": name}}, Options(manager="kube-apiserver"))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            self._admit(request)
            return await self._serve(request)
        except StatusError as refusal:
            return _json(refusal.status(), refusal.code)

    def _admit(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path not in OPEN_TO_ALL and not hmac.compare_digest(given, self._token):
            raise StatusError(401, "Unauthorized", "Unauthorized")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path in ("/healthz", "/readyz", "/livez") or request.path.startswith(("/livez/", "/readyz/")):
            return web.Response(text="ok")
        at = requests.route(request.path)
        if at is None:
            return self._discover(request)
        resource = self._registry.find(at.group, at.version, at.plural)
        if resource is None or (at.subresource and at.subresource not in resource.subresources):
            raise errors.unknown_path()
        if not at.name:
            return await self._collection(request, resource, at)
        if resource.namespaced != bool(at.namespace):
            raise errors.unknown_path()
        return await self._object(request, resource, at)

    def _discover(self, request: web.Request) -> web.Response:
        if request.path == "/version":
            return _json(discovery.VERSION)
        if request.path.startswith("/openapi/"):
            return self._describe(request)
        parts = request.path.strip("/").split("/")
        if parts in (["api"], ["apis"]):
            return self._discover_groups(request, core=parts == ["api"])
        known = self._registry.groups()
        if parts == ["api", "v1"]:
            return _json(discovery.resources(self._registry, "", "v1"))
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in known:
            found = discovery.group(self._registry, parts[1])
            return _json({"kind": "APIGroup", "apiVersion": "v1", **found})
        if parts[0] == "apis" and len(parts) == 3 and parts[2] in known.get(parts[1], ()):
            return _json(discovery.resources(self._registry, parts[1], parts[2]))
        raise errors.unknown_path()

    def _describe(self, request: web.Request) -> web.Response:
        parts = request.path.strip("/").split("/")[1:]
        if parts == ["v2"]:
            if "protobuf" in request.headers.get("Accept", "") and "json" not in request.headers["Accept"]:
                raise StatusError(406, "NotAcceptable", "only application/json is served")
            return _document(self._documents.v2())
        if parts == ["v3"]:
            return _document(self._documents.index())
        group, version = ("", parts[2]) if parts[1:2] == ["api"] and len(parts) == 3 else _last_two(parts)
        if version not in self._registry.groups().get(group, ()):
            raise errors.unknown_path()
        return _document(self._documents.v3(group, version))

    def _discover_groups(self, request: web.Request, *, core: bool) -> web.Response:
        accept = request.headers.get("Accept", "")
        for version in ("v2", "v2beta1"):
            form = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            if form in accept:
                found = discovery.aggregated(self._registry, core=core, version=version)
                return web.Response(body=json.dumps(found), headers={"Content-Type": form})
        return _json(discovery.core_versions() if core else discovery.groups(self._registry))

    async def _collection(self, request: web.Request, resource: Resource, at: Route) -> web.StreamResponse:
        match request.method:
            case "GET" if requests.is_true(request, "watch"):
                return await reading.watch(request, resource, at, self._store, lambda item: item)
            case "GET":
                return _json(reading.list_objects(request, resource, at, self._store, self._pages))
            case "POST":
                submitted = await requests.body(request)
                options = requests.options(request, "")
                return _outcome(self._writes.create(resource, at.namespace, submitted, options), 201)
        raise errors.method_not_allowed()

    async def _object(self, request: web.Request, resource: Resource, at: Route) -> web.StreamResponse:
        match request.method:
            case "GET":
                return _json(self._writes.read(resource, at.namespace, at.name))
            case "PUT":
                submitted = await requests.body(request)
                options = requests.options(request, at.subresource)
                return _outcome(self._writes.update(resource, at.namespace, at.name, submitted, options))
            case "PATCH":
                return await self._patch(request, resource, at)
            case "DELETE":
                outcome = self._writes.delete(resource, at.namespace, at.name, await requests.deletion(request))
                gone = outcome.removed and not resource.rules.returns_deleted
                return _json(status_success(resource, outcome.item)) if gone else _outcome(outcome)
        raise errors.method_not_allowed()

    async def _patch(self, request: web.Request, resource: Resource, at: Route) -> web.Response:
        options = requests.options(request, at.subresource)
        given = await requests.body(request)
        if request.content_type == "application/apply-patch+yaml":
            if not request.query.get("fieldManager"):
                raise errors.bad_request('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value')
            return _outcome(self._writes.apply(resource, at.namespace, at.name, given, options))
        change = _change(request.content_type, given)
        return _outcome(self._writes.patch(resource, at.namespace, at.name, change, options))


def _change(kind: str, given: Any) -> Callable[[Object], Object]:
    match kind:
        case "application/json-patch+json":
            return lambda old: patches.json_patch(old, given)
        case "application/merge-patch+json" | "application/strategic-merge-patch+json":
            return lambda old: patches.merge_patch(old, given)
    raise errors.unsupported_media_type(PATCHES)


def _outcome(outcome: Outcome, code: int = 200) -> web.Response:
    headers = [("Warning", f'299 - "{each}"') for each in outcome.warnings]
    response = _json(outcome.item, 201 if outcome.created else 200)
    for key, value in headers:
        response.headers.add(key, value)
    return response


def _document(content: bytes) -> web.Response:
    return web.Response(body=content, content_type="application/json")


def _last_two(parts: list[str]) -> tuple[str, str]:
    return (parts[2], parts[3]) if len(parts) == 4 and parts[1] == "apis" else ("", "")


def _json(item: Any, code: int = 200) -> web.Response:
    return web.Response(body=json.dumps(item, separators=(",", ":")), status=code, content_type="application/json")
