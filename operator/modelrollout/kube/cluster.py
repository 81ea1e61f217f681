"""One API server's verbs: read, list, apply, rehearse, create, replace, patch, delete, watch.

Plain dictionaries in and out; every failure is a `KubeError`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, Self

from modelrollout.kube.connection import Connection, Credentials, Request
from modelrollout.kube.errors import Conflict, Gone, NotFound, Unreachable
from modelrollout.kube.server_time import here
from modelrollout.kube.watching import WatchEvent, by_key, differences, remember
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import KNOWN, PODS, Resource

logger = logging.getLogger(__name__)

Labels = Mapping[str, str] | str

PAGE = 500
WATCH_SECONDS = 240  # the server ends a watch after this; a dead connection is noticed soon after it
MAX_PAUSE = 5.0  # seconds between attempts to get a watch going again
READS = frozenset({"get", "list", "watch"})
NO_VERSION = "1"
"""A resourceVersion that no object has: etcd is empty at its first revision, and every write makes another.

Server-side apply cannot say "only if it is not there". With this version it does: kube-apiserver compares versions when
there is an object (registry/generic/registry/store.go, Update) and drops the given one when it makes an object."""


@dataclass(frozen=True, slots=True)
class Listing:
    items: list[Manifest]
    resource_version: str


class Fence(Protocol):
    """Says whether this process may write."""

    def writing(self) -> AbstractContextManager[float]:
        """Around each write: the seconds within which it has to end. Raises NotLeading where none may begin."""


class Cluster:
    """One API server. Use as `async with Cluster.connect(...) as cluster`; one per process is enough."""

    def __init__(self, connection: Connection, timeout: float, fence: Fence | None = None) -> None:
        self._connection, self._timeout, self._fence = connection, timeout, fence

    @classmethod
    def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        timeout: float = 10,
        user_agent: str = "modelrollout",
        left_alone: Mapping[Resource, str] | None = None,
    ) -> Self:
        """Without arguments the pod's own service account, else $KUBECONFIG or ~/.kube/config.

        `timeout` (seconds) covers each call whole; `user_agent` names the field manager of writes other than `apply`.
        Requests for a kind that is `left_alone` raise `LeftAlone` with the name given for it.
        """
        return cls(Connection(kubeconfig, context, timeout, user_agent, left_alone or {}), timeout)

    def fenced(self, fence: Fence) -> Cluster:
        """The same connection, for one who may write only while the fence is open."""
        return Cluster(self._connection, self._timeout, fence)

    async def __aenter__(self) -> Self:
        await self._connection.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def credentials(self) -> Credentials:
        """The way in, read anew. Raises NoCluster."""
        return await self._connection.credentials()

    async def default_namespace(self) -> str:
        """The namespace that kubectl uses without `--namespace`. Raises NoCluster."""
        return await asyncio.to_thread(self._connection.default_namespace)

    def now(self) -> datetime:
        """The time by the API server's clock, as far as its answers tell."""
        return self._connection.time.of(here())

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """Requests sent, by verb (as in RBAC rules) and plural, `plural/subresource` for those."""
        return self._connection.requests

    @property
    def failures(self) -> Counter[tuple[str, str, str]]:
        """Those of them that failed, by verb, plural and the answer's code, which is "none" where none came."""
        return self._connection.failures

    @property
    def writes(self) -> int:
        """How many write requests were sent."""
        return sum(count for (verb, _), count in self.requests.items() if verb not in READS)

    async def read(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        """The object, or None when there is none of that name."""
        try:
            return await self._connection.call(Request("get", resource, namespace, name))
        except NotFound:
            return None

    async def ask_pod(self, namespace: str, name: str, port: int, path: str) -> Manifest:
        """The JSON that a pod serves at a path, through the API server: no way into the cluster's network is needed.

        RBAC calls it `get` of `pods/proxy`.
        """
        return await self._connection.call(Request("get", PODS, namespace, f"{name}:{port}", "proxy", beyond=path))

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

    async def _pages(self, resource: Resource, namespace: str | None, query: dict[str, str]) -> Listing:
        items: list[Manifest] = []
        proceed: dict[str, str] = {}
        while True:
            page = await self._connection.call(Request("list", resource, namespace, query=query | proceed))
            # Built-in kinds come without these two in lists; everywhere else an object says what it is.
            items += [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                return Listing(items, page["metadata"]["resourceVersion"])
            proceed = {"continue": token}

    async def apply(
        self, manifest: Manifest, *, manager: str, force: bool = True, subresource: str | None = None
    ) -> Manifest:
        """Server-side apply: exactly these fields are `manager`'s from now on, what it left out goes.

        With `force=False` a field of somebody else's raises `Refused`, whose message names them. Raises `Conflict`
        when `metadata.resourceVersion` is given and no longer the object's; an object that is gone is made anew.
        No object ever has `NO_VERSION`: with it, only a missing object is made.
        """
        return await self._apply(manifest, manager, force, subresource)

    async def rehearse(self, manifest: Manifest, *, manager: str) -> Manifest:
        """`apply` with all that the API server says to it, and nothing stored. Returns what would have been."""
        return await self._apply(manifest, manager, True, dryRun="All")

    async def _apply(
        self, manifest: Manifest, manager: str, force: bool, subresource: str | None = None, **query: str
    ) -> Manifest:
        request = Request(
            "patch",
            *_place(manifest),
            subresource,
            query={"fieldManager": manager, "force": "true" if force else "false", **query},
            body=manifest,
            content_type="application/apply-patch+yaml",
        )
        return await (self._connection.call(request) if "dryRun" in query else self._write(request))

    async def create(self, manifest: Manifest) -> Manifest:
        """Raises `AlreadyExists` when it does. `metadata.generateName` will do for a name."""
        resource, namespace, _ = _place(manifest, named=False)
        return await self._write(Request("create", resource, namespace, body=manifest))

    async def replace(self, manifest: Manifest) -> Manifest:
        """Raises `Conflict` when `metadata.resourceVersion` is given and no longer the object's."""
        return await self._write(Request("update", *_place(manifest), body=manifest))

    async def replace_status(self, manifest: Manifest) -> Manifest:
        """As `replace`, for the status alone."""
        return await self._write(Request("update", *_place(manifest), "status", body=manifest))

    async def _write(self, request: Request) -> Manifest:
        """Raises NotLeading when this process may not write. A write ends, one way or the other, while it may."""
        if self._fence is None:
            return await self._connection.call(request)
        with self._fence.writing() as seconds:
            return await self._connection.call(request, within=seconds)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Manifest, *, subresource: str | None = None
    ) -> Manifest:
        """Merge patch: None removes a field, lists are replaced whole."""
        kind = "application/merge-patch+json"
        request = Request("patch", resource, namespace, name, subresource, body=patch, content_type=kind)
        return await self._write(request)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace: int | None = None,
    ) -> None:
        """Delete the object, unless it is gone already. With `uid`, another object of that name is left alone.

        Raises `Conflict` when `version` is given and no longer the object's resourceVersion.
        """
        body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        expected = {"uid": uid, "resourceVersion": version}
        if preconditions := {name: value for name, value in expected.items() if value is not None}:
            body["preconditions"] = preconditions
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            await self._write(Request("delete", resource, namespace, name, body=body))
        except NotFound:
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
        """Changes for ever: first ADDED for every object, or with `since` only the changes after that listing.

        After a disconnect or expired history it lists again, and makes the missed events from the difference. Raises
        `Refused` when the API server does not let us watch. Leave it early only inside `contextlib.aclosing`, so that
        the connection goes at once.
        """
        known = by_key(since.items) if since else {}
        version = since.resource_version if since else None
        failures = 0
        while True:
            try:
                if version is None:
                    listing = await self.list(resource, namespace, labels=labels)
                    now = by_key(listing.items)
                    for event in differences(known, now):
                        yield event
                    known, version = now, listing.resource_version
                async with aclosing(self._watch_once(resource, namespace, labels, version)) as changes:
                    async for change in changes:
                        version, failures = change["object"]["metadata"]["resourceVersion"], 0
                        if change["type"] != "BOOKMARK":
                            event = WatchEvent(change["type"], change["object"])
                            remember(known, event)
                            yield event
                failures = 0
            except Gone:
                version = None
            except Unreachable as trouble:
                if failures == 0:
                    logger.warning("Watching %s was interrupted and will be resumed: %s", resource.plural, trouble)
            failures += 1
            await asyncio.sleep(min(MAX_PAUSE, 0.05 * 2 ** min(failures, 10)) * random.uniform(0.5, 1))  # noqa: S311

    def _watch_once(
        self, resource: Resource, namespace: str | None, labels: Labels | None, version: str
    ) -> AsyncGenerator[Manifest]:
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        query |= _selection(labels, None) | {"resourceVersion": version}
        request = Request("watch", resource, namespace, query=query)
        return self._connection.stream(request, quiet=WATCH_SECONDS + self._timeout)


def _selection(labels: Labels | None, fields: str | None) -> dict[str, str]:
    wanted = labels if isinstance(labels, str) else ",".join(f"{k}={v}" for k, v in (labels or {}).items())
    return {key: value for key, value in (("labelSelector", wanted), ("fieldSelector", fields)) if value}


def _place(manifest: Manifest, *, named: bool = True) -> tuple[Resource, str | None, str]:
    """The place of the manifest. Raises ValueError for an incomplete one, which is a mistake of our own."""
    resource = KNOWN.get((manifest.get("apiVersion", ""), manifest.get("kind", "")))
    if resource is None:
        raise ValueError(f"resources.KNOWN has no {manifest.get('apiVersion')} {manifest.get('kind')}; add it there")
    metadata = manifest["metadata"]
    if resource.namespaced and not metadata.get("namespace"):
        raise ValueError(f"{resource.kind} {metadata.get('name')} lacks metadata.namespace")
    if named and not metadata.get("name"):
        raise ValueError(f"{resource.kind} lacks metadata.name")
    return resource, metadata.get("namespace"), metadata.get("name", "")
