"""The HTTP side: who may come in, and which path and method mean what."""

from __future__ import annotations

import hmac
import json
from typing import Any

from aiohttp import web

from localcluster.apiserver import answers, discovery, errors, openapi, patches, pod_proxy, reading, requests, scale
from localcluster.apiserver.answers import as_document, as_json, as_outcome
from localcluster.apiserver.builtin.kinds import built_in_kinds
from localcluster.apiserver.builtin.services import Addresses
from localcluster.apiserver.crds import Definitions
from localcluster.apiserver.errors import StatusError
from localcluster.apiserver.openapi import Documents
from localcluster.apiserver.reading import Pages
from localcluster.apiserver.requests import Route
from localcluster.apiserver.resources import Registry, Resource
from localcluster.apiserver.store import Object, Store
from localcluster.apiserver.strategic import strategic_merge
from localcluster.apiserver.writes import Options, Outcome, Writes

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
OPEN_TO_ALL = frozenset({"/healthz", "/readyz", "/livez", "/version", "/version/"})
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Server:
    """One cluster's worth of objects behind HTTP."""

    def __init__(self, token: str, service_range: str) -> None:
        self._token = token
        self._store = Store()
        self._registry = Registry(built_in_kinds(Addresses(service_range, self._cluster_ips)))
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

    def _cluster_ips(self) -> set[str]:
        services = self._store.collection("", "services").items.values()
        return {address for each in services for address in each["spec"].get("clusterIPs") or ()}

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
            return as_json(refusal.status(), refusal.code)

    def _admit(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path not in OPEN_TO_ALL and not hmac.compare_digest(given, self._token):
            raise StatusError(401, "Unauthorized", "Unauthorized")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith(("/healthz", "/readyz", "/livez")):
            return web.Response(text="ok")
        if (door := pod_proxy.door(request.path)) is not None and (pods := self._registry.find("", "v1", "pods")):
            return await pod_proxy.passed_on(request, door, self._writes.read(pods, door.namespace, door.pod))
        at = requests.route(request.path)
        if at is None:
            return self._discover(request)
        resource = self._registry.find(at.group, at.version, at.plural)
        if resource is None or (at.subresource and at.subresource not in resource.subresources):
            raise errors.unknown_path()
        if at.namespace and not resource.namespaced:
            raise errors.unknown_path()
        if not at.name:
            return await self._collection(request, resource, at)
        if resource.namespaced and not at.namespace:
            raise errors.unknown_path()
        if at.subresource == "scale":
            return await self._scale(request, resource, at)
        return await self._object(request, resource, at)

    def _discover(self, request: web.Request) -> web.Response:
        if request.path.rstrip("/") == "/version":
            return as_json(discovery.VERSION)
        if request.path.startswith("/openapi/"):
            return self._describe(request)
        parts = request.path.strip("/").split("/")
        if parts in (["api"], ["apis"]):
            return self._discover_groups(request, core=parts == ["api"])
        known = self._registry.groups()
        if parts == ["api", "v1"]:
            return as_json(discovery.resources(self._registry, "", "v1"))
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in known:
            found = discovery.group(self._registry, parts[1])
            return as_json({"kind": "APIGroup", "apiVersion": "v1", **found})
        if parts[0] == "apis" and len(parts) == 3 and parts[2] in known.get(parts[1], ()):
            return as_json(discovery.resources(self._registry, parts[1], parts[2]))
        raise errors.unknown_path()

    def _describe(self, request: web.Request) -> web.Response:
        parts = request.path.strip("/").split("/")[1:]
        if parts == ["v2"]:
            if "protobuf" in request.headers.get("Accept", "") and "json" not in request.headers["Accept"]:
                return as_document(openapi.V2_PROTOBUF, openapi.V2_PROTOBUF_TYPE)
            return as_document(self._documents.v2())
        if parts == ["v3"]:
            return as_document(self._documents.index())
        group, version = ("", parts[2]) if parts[1:2] == ["api"] and len(parts) == 3 else _last_two(parts)
        if version not in self._registry.groups().get(group, ()):
            raise errors.unknown_path()
        return as_document(self._documents.v3(group, version))

    def _discover_groups(self, request: web.Request, *, core: bool) -> web.Response:
        accept = request.headers.get("Accept", "")
        for version in ("v2", "v2beta1"):
            form = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            if form in accept:
                found = discovery.aggregated(self._registry, core=core, version=version)
                return web.Response(body=json.dumps(found), headers={"Content-Type": form})
        return as_json(discovery.core_versions() if core else discovery.groups(self._registry))

    async def _collection(self, request: web.Request, resource: Resource, at: Route) -> web.StreamResponse:
        view = answers.view(request, resource)
        match request.method:
            case "GET" if "list" not in resource.verbs:
                raise errors.method_not_allowed()
            case "GET" if requests.is_true(request, "watch"):
                return await reading.watch(request, resource, at, self._store, view)
            case "GET":
                return as_json(view(reading.list_objects(request, resource, at, self._store, self._pages)))
            case "POST":
                return as_outcome(await self._create(request, resource, at), view)
            case "DELETE" if "deletecollection" in resource.verbs:
                return as_json(view(await self._delete_many(request, resource, at)))
        raise errors.method_not_allowed()

    async def _create(self, request: web.Request, resource: Resource, at: Route) -> Outcome:
        submitted = requests.an_object(await requests.body(request), resource)
        if resource.verbs == ("create",):
            # A review is answered, not stored; whoever has the token may do everything.
            return Outcome({**submitted, "metadata": {}, "status": {"allowed": True}}, created=True)
        if resource.namespaced and not at.namespace:
            raise errors.method_not_allowed()
        return self._writes.create(resource, at.namespace, submitted, requests.options(request, ""))

    async def _delete_many(self, request: web.Request, resource: Resource, at: Route) -> Object:
        deletion = await requests.deletion(request)
        found = reading.list_objects(request, resource, at, self._store, self._pages)
        for item in found["items"]:
            metadata = item["metadata"]
            self._writes.delete(resource, metadata.get("namespace", ""), metadata["name"], deletion)
        return found

    async def _object(self, request: web.Request, resource: Resource, at: Route) -> web.StreamResponse:
        view = answers.view(request, resource)
        match request.method:
            case "GET" if requests.is_true(request, "watch"):
                return await reading.watch(request, resource, at, self._store, view)
            case "GET":
                return as_json(view(self._writes.read(resource, at.namespace, at.name)))
            case "PUT":
                submitted = requests.an_object(await requests.body(request), resource, at.name)
                options = requests.options(request, at.subresource)
                return as_outcome(self._writes.update(resource, at.namespace, at.name, submitted, options), view)
            case "PATCH":
                return as_outcome(await self._patch(request, resource, at), view)
            case "DELETE" if not at.subresource:
                outcome = self._writes.delete(resource, at.namespace, at.name, await requests.deletion(request))
                gone = outcome.removed and not resource.rules.returns_deleted
                return as_json(answers.deleted(resource, outcome.item)) if gone else as_outcome(outcome, view)
        raise errors.method_not_allowed()

    async def _patch(self, request: web.Request, resource: Resource, at: Route) -> Outcome:
        options = requests.options(request, at.subresource)
        given = await requests.body(request)
        if request.content_type == APPLY:
            if not request.query.get("fieldManager"):
                why = "fieldManager: Required value: is required for apply patch"
                raise StatusError(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {why}')
            return self._writes.apply(resource, at.namespace, at.name, given, options)

        def change(old: Object) -> Object:
            return _patched(request.content_type, resource, old, given)

        return self._writes.patch(resource, at.namespace, at.name, change, options)

    async def _scale(self, request: web.Request, resource: Resource, at: Route) -> web.Response:
        item = self._writes.read(resource, at.namespace, at.name)
        shown = scale.shown_scale(resource, item)
        if request.method == "GET":
            return as_json(shown)
        given = await requests.body(request)
        match request.method:
            case "PUT":
                wanted = given
            case "PATCH":
                wanted = _patched(request.content_type, resource, shown, given)
            case _:
                raise errors.method_not_allowed()
        options = requests.options(request, "scale")
        outcome = self._writes.patch(
            resource, at.namespace, at.name, lambda old: scale.scaled(resource, old, wanted), options
        )
        return as_json(scale.shown_scale(resource, outcome.item))


def _patched(kind: str, resource: Resource, old: Object, given: Any) -> Object:
    match kind:
        case "application/json-patch+json":
            patched: Object = patches.json_patch(old, given)
        case "application/merge-patch+json":
            patched = patches.merge_patch(old, given)
        case "application/strategic-merge-patch+json" if not resource.custom:
            patched = strategic_merge(old, given, resource.schema)
        case _:
            accepted = [JSON_PATCH, MERGE_PATCH, *([] if resource.custom else [STRATEGIC]), APPLY]
            raise errors.unsupported_media_type(accepted)
    return patched


def _last_two(parts: list[str]) -> tuple[str, str]:
    return (parts[2], parts[3]) if len(parts) == 4 and parts[1] == "apis" else ("", "")
