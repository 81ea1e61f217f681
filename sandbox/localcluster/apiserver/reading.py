"""GET: one object, a list in pages, a watch. It changes nothing."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from localcluster.apiserver import errors, requests
from localcluster.apiserver.errors import StatusError
from localcluster.apiserver.requests import Route
from localcluster.apiserver.resources import Resource
from localcluster.apiserver.selectors import Selection
from localcluster.apiserver.store import Collection, Event, Object, Store
from localcluster.apiserver.writes import shown

BOOKMARK_SECONDS = 60
REMEMBERED_PAGES = 200

View = Callable[[Object], Object]  # how an object goes over the wire: as it is, as a table, only its metadata


class Pages:
    """Lists that are read page by page see one moment: the rest of the list is kept until it is asked for."""

    def __init__(self) -> None:
        self._rest: OrderedDict[str, tuple[int, list[Object]]] = OrderedDict()
        self._numbers = itertools.count(1)

    def keep(self, revision: int, rest: list[Object]) -> str:
        token = base64.urlsafe_b64encode(f"page-{next(self._numbers)}".encode()).decode()
        self._rest[token] = (revision, rest)
        if len(self._rest) > REMEMBERED_PAGES:
            self._rest.popitem(last=False)
        return token

    def take(self, token: str) -> tuple[int, list[Object]]:
        try:
            return self._rest[token]
        except KeyError:
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            ) from None


def list_objects(request: web.Request, resource: Resource, at: Route, store: Store, pages: Pages) -> dict[str, Any]:
    """One page of a list."""
    limit = int(request.query.get("limit") or 0)
    token = request.query.get("continue")
    if token:
        revision, found = pages.take(token)
    else:
        revision, found = store.revision, _select(store, resource, requests.selection(request, resource, at))
        _expect_revision(request, revision)
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if limit and len(found) > limit:
        metadata["continue"] = pages.keep(revision, found[limit:])
        if not requests.selection(request, resource, at).labels:
            metadata["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "items": [_listed(resource, item) for item in found],
    }


def _listed(resource: Resource, item: Object) -> Object:
    """An item of a list; those of built-in kinds do not say what they are, the list does."""
    item = shown(resource, item)
    if resource.custom:
        return item
    return {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}


def _select(store: Store, resource: Resource, selection: Selection) -> list[Object]:
    items = collection_of(store, resource).items
    return [item for _, item in sorted(items.items()) if selection.matches(shown(resource, item))]


def collection_of(store: Store, resource: Resource) -> Collection:
    return store.collection(*(resource.stored_in or (resource.group, resource.plural)))


def _expect_revision(request: web.Request, current: int) -> None:
    asked = request.query.get("resourceVersion", "")
    if asked and not asked.isdigit():
        why = f'strconv.ParseUint: parsing "{asked}": invalid syntax'
        raise StatusError(500, "", f'resourceVersion: Invalid value: "{asked}": {why}')
    if asked and int(asked) > current:
        message = f"Too large resource version: {asked}, current: {current}"
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        raise StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


async def watch(request: web.Request, resource: Resource, at: Route, store: Store, view: View) -> web.StreamResponse:
    """Stream changes as they happen until the client leaves or its time is over."""
    collection = collection_of(store, resource)
    selection = requests.selection(request, resource, at)
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
    seen, first = _start(request, resource, store, collection, selection)
    await response.prepare(request)
    stream = _Stream(request, response, resource, selection, view)
    await stream.send(first)
    if first and first[-1]["type"] == "ERROR":
        return response
    await stream.follow(store, collection, seen)
    return response


def _start(
    request: web.Request, resource: Resource, store: Store, collection: Collection, selection: Selection
) -> tuple[int, list[dict[str, Any]]]:
    """From which revision to follow, and what is said before."""
    asked = request.query.get("resourceVersion", "")
    initial = requests.is_true(request, "sendInitialEvents")
    if asked in ("", "0") or initial:
        first = []
        if initial or "sendInitialEvents" not in request.query:
            found = _select(store, resource, selection)
            first = [{"type": "ADDED", "object": shown(resource, item)} for item in found]
        if initial and requests.is_true(request, "allowWatchBookmarks"):
            first.append(_bookmark(resource, store.revision, ends_initial=True))
        return store.revision, first
    if not asked.isdigit():
        why = f'strconv.ParseUint: parsing "{asked}": invalid syntax'
        raise StatusError(500, "", f'resourceVersion: Invalid value: "{asked}": {why}')
    if int(asked) < collection.oldest():
        gone = errors.expired(f"too old resource version: {asked} ({collection.oldest()})")
        return store.revision, [{"type": "ERROR", "object": gone.status()}]
    return int(asked), []


def _bookmark(resource: Resource, revision: int, *, ends_initial: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if ends_initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    item = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return {"type": "BOOKMARK", "object": item}


class _Stream:
    """One watch: what it wants to see, and the connection it goes to."""

    def __init__(
        self, request: web.Request, response: web.StreamResponse, resource: Resource, selection: Selection, view: View
    ) -> None:
        self._response = response
        self._resource = resource
        self._selection = selection
        self._view = view
        self._bookmarks = requests.is_true(request, "allowWatchBookmarks")
        asked = int(request.query.get("timeoutSeconds") or 0)
        self._seconds = asked or random.randint(1800, 3600)  # noqa: S311 -- spreads reconnections, as Kubernetes does

    async def send(self, changes: Iterable[dict[str, Any]]) -> None:
        lines = [json.dumps(self._on_the_wire(each), separators=(",", ":")) + "\n" for each in changes]
        if lines:
            await self._response.write("".join(lines).encode())

    def _on_the_wire(self, change: dict[str, Any]) -> dict[str, Any]:
        return change if change["type"] == "ERROR" else {**change, "object": self._view(change["object"])}

    async def follow(self, store: Store, collection: Collection, seen: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        next_bookmark = loop.time() + BOOKMARK_SECONDS
        while (left := deadline - loop.time()) > 0 and not collection.closed:
            changed = collection.changed
            if seen < collection.oldest():
                gone = errors.expired(f"too old resource version: {seen} ({collection.oldest()})")
                await self.send([{"type": "ERROR", "object": gone.status()}])
                return
            news = list(collection.since(seen))
            if news:
                seen = news[-1].revision
                await self.send(change for event in news if (change := self._seen_as(event)))
                continue
            try:
                async with asyncio.timeout(min(left, max(next_bookmark - loop.time(), 0.001))):
                    await changed.wait()
            except TimeoutError:
                if self._bookmarks and loop.time() >= next_bookmark:
                    next_bookmark = loop.time() + BOOKMARK_SECONDS
                    await self.send([_bookmark(self._resource, store.revision)])

    def _seen_as(self, event: Event) -> dict[str, Any] | None:
        """An object that comes to match is new to this watch, one that no longer matches is gone from it."""
        now = shown(self._resource, event.object)
        matches = self._selection.matches(now)
        before = event.previous is not None and self._selection.matches(shown(self._resource, event.previous))
        if event.type == "DELETED":
            return {"type": "DELETED", "object": now} if before else None
        if matches:
            return {"type": "MODIFIED" if before else "ADDED", "object": now}
        return {"type": "DELETED", "object": now} if before else None
