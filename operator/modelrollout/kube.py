"""The one door to Kubernetes: the official client's asyncio side, on plain dictionaries.

Knows paths, patches, watches and whose fault an error is; knows nothing of rollouts and decides nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
import yaml
from kubernetes.aio import client, config

from modelrollout.resources import *  # noqa: F403 - callers find the kinds here beside the calls that take them
from modelrollout.resources import KNOWN, Resource

# ruff: noqa: N818 - the exceptions are named after what happened, not after being errors

logger = logging.getLogger(__name__)

Manifest = dict[str, Any]
Labels = Mapping[str, str] | str

PAGE = 500
WATCH_SECONDS = 240  # the server ends a watch after this; a dead connection is noticed not much later
MAX_PAUSE = 5.0  # seconds between attempts to get a watch going again
READS = frozenset({"get", "list", "watch"})
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class KubeError(Exception):
    """Everything that can go wrong with a call; the subclass says whose move it is."""


class NoCluster(KubeError):
    """The user's: no usable kubeconfig or service account was found."""


class Conflict(KubeError):
    """Nobody's: the object changed since it was read. Look again."""


class AlreadyExists(KubeError):
    """Nobody's: somebody was quicker, or this was done before."""


class Refused(KubeError):
    """The caller's: the API server said no, and will say it again. `message` is its own sentence."""

    def __init__(self, status: int, message: str, target: str) -> None:
        super().__init__(f"{target}: {message} ({status})")
        self.status, self.message, self.object = status, message, target


class Unreachable(KubeError):
    """The world's: connection trouble, a time-out, an overloaded or broken API server. Try again later."""


class Gone(Unreachable):
    """The asked-for point in history is no longer kept (410); start from a fresh list. `watch` and `list` do."""


@dataclass(frozen=True, slots=True)
class Listing:
    items: list[Manifest]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Manifest


class Cluster:
    """One API server. Use as `async with Cluster.connect(...) as cluster`; one per process is enough."""

    def __init__(self, kubeconfig: Path | None, context: str | None, *, timeout: float, user_agent: str) -> None:
        self._kubeconfig, self._context, self._timeout, self._user_agent = kubeconfig, context, timeout, user_agent
        self._api: Any = None
        self._renewing = asyncio.Lock()
        self.requests: Counter[tuple[str, str]] = Counter()  # (verb as in RBAC, plural[/subresource])

    @classmethod
    def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        timeout: float = 10,
        user_agent: str = "modelrollout",
    ) -> Self:
        """Without arguments the pod's own service account, else $KUBECONFIG or ~/.kube/config.

        `timeout` (seconds) covers each call whole; `user_agent` names the field manager of writes other than `apply`.
        """
        return cls(kubeconfig, context, timeout=timeout, user_agent=user_agent)

    async def __aenter__(self) -> Self:
        configuration = await _load(self._kubeconfig, self._context)
        if _is_loopback(configuration.host):
            # As kubectl does: a proxy from the environment is not asked for what runs on this machine.
            configuration.client_session_kwargs = {"trust_env": False}
        self._api = client.ApiClient(configuration)
        self._api.user_agent = self._user_agent
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

    @property
    def writes(self) -> int:
        """How many requests were sent that could have changed something."""
        return sum(count for (verb, _), count in self.requests.items() if verb not in READS)

    async def read(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        """The object, or None when there is none of that name."""
        try:
            return await self._call("get", resource, namespace, name)
        except _Missing:
            return None

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: Labels | None = None,
        fields: str | None = None,
    ) -> Listing:
        """All objects that match, of all namespaces when none is given, read in pages."""
        query = _selection(labels, fields)
        try:
            return await self._pages(resource, namespace, query | {"limit": str(PAGE)})
        except Gone:  # the list changed too much between two pages: take it in one piece
            return await self._pages(resource, namespace, query)

    async def apply(
        self, manifest: Manifest, *, manager: str, force: bool = True, subresource: str | None = None
    ) -> Manifest:
        """Server-side apply: exactly these fields are `manager`'s from now on, what it left out goes.

        With `force=False` a field of somebody else's raises `Refused`, whose message names them.
        """
        resource, namespace, name = _place(manifest)
        return await self._call(
            "patch",
            resource,
            namespace,
            name,
            subresource,
            body=manifest,
            content_type="application/apply-patch+yaml",
            query={"fieldManager": manager, "force": "true" if force else "false"},
        )

    async def create(self, manifest: Manifest, *, subresource: str | None = None) -> Manifest:
        """Raises `AlreadyExists` when it does. A subresource (a pod's `binding`) belongs to `metadata.name`."""
        if subresource is None:
            resource, namespace, _ = _place(manifest, named=False)
            return await self._call("create", resource, namespace, body=manifest)
        resource, namespace, name = _place(manifest)
        return await self._call("create", resource, namespace, name, subresource, body=manifest)

    async def replace(self, manifest: Manifest) -> Manifest:
        """Raises `Conflict` when `metadata.resourceVersion` is given and no longer the object's."""
        resource, namespace, name = _place(manifest)
        return await self._call("update", resource, namespace, name, body=manifest)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        """As `replace`, for the status alone."""
        resource, namespace, name = _place(manifest)
        return await self._call("update", resource, namespace, name, "status", body=manifest)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Manifest, *, subresource: str | None = None
    ) -> Manifest:
        """Merge patch: None removes a field, lists are replaced whole."""
        return await self._call(
            "patch", resource, namespace, name, subresource, body=patch, content_type="application/merge-patch+json"
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace: int | None = None,
    ) -> None:
        """Have it gone; that it is gone already is fine. With `uid`, another object of that name is left alone."""
        body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            await self._call("delete", resource, namespace, name, body=body)
        except _Missing:
            return
        except Conflict:
            present = await self.read(resource, namespace, name)
            if uid is None or (present and present["metadata"]["uid"] == uid):
                raise

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: Labels | None = None,
        since: Listing | None = None,
    ) -> AsyncGenerator[WatchEvent]:
        """Changes for ever: first ADDED for all that is there, or with `since` only what changed after that listing.

        Disconnects and expired history are bridged by listing again; what was missed comes as events made from the
        difference. Raises `Refused` when the API server does not let us watch. Leave it early only inside
        `contextlib.aclosing`, so that the connection goes at once.
        """
        known = {_key(item): item for item in since.items} if since else {}
        version = since.resource_version if since else None
        failures = 0
        while True:
            try:
                if version is None:
                    listing = await self.list(resource, namespace, labels=labels)
                    for event in _differences(known, listing.items):
                        yield event
                    known, version = {_key(item): item for item in listing.items}, listing.resource_version
                request = _watch_request(resource, namespace, labels, version)
                async with aclosing(self._stream(request)) as stream:
                    async for kind, item in stream:
                        version, failures = item["metadata"]["resourceVersion"], 0
                        if kind != "BOOKMARK":
                            _remember(known, kind, item)
                            yield WatchEvent(kind, item)
            except Gone:
                version = None
            except Unreachable as trouble:
                if failures == 0:
                    logger.warning("Watching %s was interrupted and will be resumed: %s", resource.plural, trouble)
            failures += 1
            await asyncio.sleep(min(MAX_PAUSE, 0.05 * 2 ** min(failures, 10)) * random.uniform(0.5, 1))  # noqa: S311

    async def _pages(self, resource: Resource, namespace: str | None, query: dict[str, str]) -> Listing:
        items: list[Manifest] = []
        proceed: dict[str, str] = {}
        while True:
            page = await self._call("list", resource, namespace, query=query | proceed)
            # Built-in kinds come without these two in lists; everywhere else an object says what it is.
            items += [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                return Listing(items, page["metadata"]["resourceVersion"])
            proceed = {"continue": token}

    async def _stream(self, request: _Request) -> AsyncGenerator[tuple[Any, Manifest]]:
        """One watch connection, bookmarks included, until the server ends it."""
        patience = aiohttp.ClientTimeout(
            total=None, sock_connect=self._timeout, sock_read=WATCH_SECONDS + self._timeout
        )
        with _trouble(request):
            async with await self._send(request, patience) as reply:
                if reply.status != 200:
                    raise _error(reply.status, await reply.text(), request)
                async for line in _lines(reply.content):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _error(event["object"].get("code", 500), json.dumps(event["object"]), request)
                    yield event["type"], event["object"]

    async def _call(self, verb: str, resource: Resource, *where: str | None, **rest: Any) -> Manifest:
        request = _Request(verb, resource, resource.path(*where), where[2] if len(where) > 2 else None, **rest)
        with _trouble(request):
            async with await self._send(request, aiohttp.ClientTimeout(total=self._timeout)) as reply:
                data = await reply.text()
                if reply.status >= 400:
                    raise _error(reply.status, data, request)
                answer: Manifest = json.loads(data)
                return answer

    async def _send(self, request: _Request, patience: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        self.requests[request.verb, request.counted_as] += 1
        reply, token = await self._send_once(request, patience)
        if reply.status != 401:
            return reply
        # Tokens rotate: service accounts hourly, exec plugins as they please. Ask for a new one, once.
        reply.close()
        await self._renew(token)
        return (await self._send_once(request, patience))[0]

    async def _send_once(
        self, request: _Request, patience: aiohttp.ClientTimeout
    ) -> tuple[aiohttp.ClientResponse, str | None]:
        method, headers = METHODS[request.verb], {"Accept": "application/json", "Content-Type": request.content_type}
        headers["User-Agent"] = self._user_agent
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], request.path, method, request.body)
        url = self._api.configuration.host + request.path + (f"?{urlencode(request.query)}" if request.query else "")
        reply = await self._api.call_api(method, url, headers, request.body, _request_timeout=patience)
        return reply.response, headers.get("authorization")

    async def _renew(self, refused: str | None) -> None:
        async with self._renewing:
            current = self._api.configuration
            if current.api_key.get("BearerToken") != refused:
                return  # another request's renewal came first
            fresh = await _load(self._kubeconfig, self._context)
            current.api_key, current.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook


@dataclass(frozen=True, slots=True)
class _Request:
    verb: str
    resource: Resource
    path: str
    subresource: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    body: Manifest | None = None
    content_type: str = "application/json"

    @property
    def counted_as(self) -> str:
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


class _Missing(Refused):
    """There is no object of that name."""


@contextmanager
def _trouble(request: _Request) -> Iterator[None]:
    """Turns what the layers below raise into `Unreachable`."""
    try:
        yield
    except TimeoutError as error:
        raise Unreachable(f"{request.path}: the API server did not answer in time") from error
    except json.JSONDecodeError as error:
        raise Unreachable(f"{request.path}: the answer is not JSON; is a proxy in between?") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"{request.path}: {error or type(error).__name__}") from error


def _error(status: int, data: str, request: _Request) -> KubeError:
    try:
        answer = json.loads(data)
    except ValueError:  # not the words of a handler: there is no such path, or this is a proxy
        answer = {"message": data[:200].strip()}
        if status == 404:
            kind = f"{request.resource.plural} of {request.resource.api_version}"
            return Refused(404, f"the API server does not know {kind}; is the CRD installed?", request.path)
    reason, message = answer.get("reason", ""), str(answer.get("message") or f"HTTP {status}")
    match status:
        case 404:
            return _Missing(status, message, request.path)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(f"{request.path}: {message}")
        case 409 if not _is_field_conflict(answer):
            return Conflict(f"{request.path}: {message}")
        case 410:
            return Gone(f"{request.path}: {message}")
        case _ if status == 429 or status >= 500:
            return Unreachable(f"{request.path}: {message} ({status})")
        case _:
            return Refused(status, message, request.path)


def _is_field_conflict(answer: Manifest) -> bool:
    """Server-side apply met another manager: unlike a stale write, trying again does not help."""
    causes: Sequence[Manifest] = (answer.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "FieldManagerConflict" for cause in causes)


def _differences(known: Mapping[tuple[str, str], Manifest], items: Sequence[Manifest]) -> Iterator[WatchEvent]:
    now = {_key(item): item for item in items}
    for key, old in known.items():
        if key not in now or now[key]["metadata"]["uid"] != old["metadata"]["uid"]:
            yield WatchEvent("DELETED", old)
    for key, new in now.items():
        before = known.get(key, {}).get("metadata", {})
        if before.get("uid") != new["metadata"]["uid"]:
            yield WatchEvent("ADDED", new)
        elif before["resourceVersion"] != new["metadata"]["resourceVersion"]:
            yield WatchEvent("MODIFIED", new)


def _remember(known: dict[tuple[str, str], Manifest], kind: str, item: Manifest) -> None:
    if kind == "DELETED":
        known.pop(_key(item), None)
    else:
        known[_key(item)] = item


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    # Not readline(): it refuses lines longer than its buffer, and one object may be over a megabyte.
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line


def _key(item: Manifest) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _selection(labels: Labels | None, fields: str | None) -> dict[str, str]:
    wanted = labels if isinstance(labels, str) else ",".join(f"{k}={v}" for k, v in (labels or {}).items())
    return {key: value for key, value in (("labelSelector", wanted), ("fieldSelector", fields)) if value}


def _watch_request(resource: Resource, namespace: str | None, labels: Labels | None, version: str) -> _Request:
    query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
    query |= _selection(labels, None) | {"resourceVersion": version}
    return _Request("watch", resource, resource.path(namespace), query=query)


def _place(manifest: Manifest, *, named: bool = True) -> tuple[Resource, str | None, str]:
    """Where the manifest belongs. A gap in it is a mistake of our own, so ValueError."""
    resource = KNOWN.get((manifest.get("apiVersion", ""), manifest.get("kind", "")))
    if resource is None:
        raise ValueError(f"kube.KNOWN has no {manifest.get('apiVersion')} {manifest.get('kind')}; add it there")
    metadata = manifest["metadata"]
    if resource.namespaced and not metadata.get("namespace"):
        raise ValueError(f"{resource.kind} {metadata.get('name')} lacks metadata.namespace")
    if named and not metadata.get("name"):
        raise ValueError(f"{resource.kind} lacks metadata.name")
    return resource, metadata.get("namespace"), metadata.get("name", "")


async def _load(kubeconfig: Path | None, context: str | None) -> Any:
    configuration = client.Configuration()
    try:
        if kubeconfig is None and context is None and _is_in_a_pod():
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            where = _kubeconfig_path(kubeconfig)
            # persist_config would rewrite the user's file.
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                where, context, client_configuration=configuration, persist_config=False
            )
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
        raise NoCluster(f"The kubeconfig cannot be used: {error}") from error
    return configuration


def _is_in_a_pod() -> bool:
    return SERVICE_ACCOUNT.exists()


def _kubeconfig_path(kubeconfig: Path | None) -> str:
    """One path or several, joined as in $KUBECONFIG."""
    where = str(kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube/config")
    if not any(Path(part).expanduser().is_file() for part in where.split(os.pathsep) if part):
        raise NoCluster(f"There is no kubeconfig at {where}, and no service account of a pod.")
    return where


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
