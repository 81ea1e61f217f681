"""A cluster small enough to think about: the verbs of `modelrollout.kube.Cluster` on a dictionary.

Every call can be made to fail before or after its effect. It does what real API servers do as far as
tests/contract/clusters/test_verbs.py goes; what runs in a cluster beside the API server is in controllers.py.
"""

from __future__ import annotations

import functools
import marshal
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from modelrollout.kube import AlreadyExists, Conflict, Failed, Labels, Listing, Refused, WatchEvent
from modelrollout.kube.errors import NotFound
from modelrollout.kube.watching import by_key, key_of
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CONFIG_MAPS, DEPLOYMENTS, KNOWN, PODS, SERVICES, Resource
from tests.fakes import controllers
from tests.fakes.typed import untyped
from tests.fakes.watched import Stream, missed

Moment = Literal["before", "after"]
Hook = Callable[[Moment, str, str, str], None]
"""Called with the moment, verb, plural and name of every call; raising makes the call fail there."""
Witness = Callable[[str, str, str], None]
"""Called with verb, plural and name right after a write took effect."""

READS = ("get", "list", "rehearse")
WITHOUT_GENERATION = (PODS.plural, SERVICES.plural, CONFIG_MAPS.plural, "events")


class Killed(BaseException):
    """The operator's process died here. Not an Exception: nothing may catch it."""


def copied(manifest: Any) -> Any:
    """A deep copy of JSON; ten times as fast as copy.deepcopy, and most of what a pass costs here."""
    return marshal.loads(marshal.dumps(manifest))  # noqa: S302 - our own bytes, made in the same line


@dataclass(repr=False)  # asyncio puts what a fixture returned into words after each test, and this one grows with each
class FakeCluster:
    objects: dict[tuple[str, str, str], Manifest] = field(default_factory=dict)
    hook: Hook = lambda *_: None
    witnesses: list[Witness] = field(default_factory=list)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    version: int = 1  # as etcd: no object ever has this one
    changes: int = 0  # that the operator's watches see; Events are none of it
    log: list[tuple[str, str, str]] = field(default_factory=list)  # verb, plural, name of every write
    applied: dict[tuple[str, str, str], dict[str, Manifest]] = field(default_factory=dict)  # by manager, for SSA
    scaled: dict[tuple[str, str, str], tuple[str, str, int]] = field(default_factory=dict)  # who set pods, how, to what
    streams: list[tuple[Resource, Stream]] = field(default_factory=list)  # the watches that are open
    history: list[tuple[Resource, WatchEvent]] = field(default_factory=list)
    # What is wrong with the pods
    broken: set[str] = field(default_factory=set)  # versions of the model whose pods are not ready
    limping: dict[str, int] = field(default_factory=dict)  # versions of which so many pods are not ready
    crashing: dict[str, int] = field(default_factory=dict)  # Deployments with a pod that crashed so many times
    slow: timedelta = timedelta()  # how long pods take to become ready
    now: datetime | None = None  # what the API server's clock says, where a test has one
    homeless: dict[str, str] = field(default_factory=dict)  # versions that the scheduler has no place for, and why
    refused: dict[str, str] = field(default_factory=dict)  # versions whose pods may not be made, and why
    # What is wrong with the gateways
    missing_gateways: set[str] = field(default_factory=set)  # by name; nobody says anything about their routes
    is_gateway_down: bool = False  # the controller: whatever is written meanwhile is not accepted

    # What the operator calls

    async def read(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        return await self._call(
            "get", resource, name, lambda: copied(self.objects.get(_key(resource, namespace, name)))
        )

    async def list(self, resource: Resource, namespace: str | None = None, *, labels: Labels | None = None) -> Listing:
        def found() -> Listing:
            items = [copied(manifest) for manifest in self.all(resource) if _is_selected(manifest, namespace, labels)]
            return Listing(items, str(self.version))

        return await self._call("list", resource, "", found)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: Labels | None = None,
        since: Listing | None = None,
    ) -> AsyncGenerator[WatchEvent]:
        """Changes for ever, as a `Stream` in `streams` lets them through."""
        self.requests["watch", resource.plural] += 1
        self.hook("before", "watch", resource.plural, "")
        stream, known = Stream(), set(by_key(since.items if since else ()))
        for event in missed(self.history, resource, since):
            stream.happened(event)
        self.streams.append((resource, stream))
        try:
            async with aclosing(stream.events()) as events:
                async for event in events:
                    if _is_selected(event.object, namespace, labels):
                        known |= {key_of(event.object)}
                        yield WatchEvent(event.type, copied(event.object))
                    elif key_of(event.object) in known:  # it has left the selection
                        known -= {key_of(event.object)}
                        yield WatchEvent("DELETED", copied(event.object))
        finally:
            self.streams.remove((resource, stream))

    async def apply(self, manifest: Manifest, *, manager: str, force: bool = True) -> Manifest:
        name = manifest["metadata"]["name"]
        return await self._call("apply", _resource(manifest), name, lambda: self._applied(manifest, manager, force))

    async def rehearse(self, manifest: Manifest, *, manager: str) -> Manifest:
        def rehearsed() -> Manifest:
            copy = FakeCluster(copied(self.objects), applied=copied(self.applied), version=self.version)
            copy.scaled = dict(self.scaled)
            return copy._applied(manifest, manager, True)

        return await self._call("rehearse", _resource(manifest), manifest["metadata"]["name"], rehearsed)

    def _applied(self, manifest: Manifest, manager: str, force: bool) -> Manifest:
        if (fault := untyped(manifest)) is not None:
            raise Failed(500, fault, manifest["metadata"]["name"])
        key, wanted = _key_of(manifest), copied(manifest)
        present, managers = self.objects.get(key), self.applied.setdefault(key, {})
        _expect(present, wanted["metadata"].pop("resourceVersion", None))
        if (
            force
            and key in self.scaled
            and wanted.get("spec", {}).get("replicas", self.scaled[key][2]) != self.scaled[key][2]
        ):
            del self.scaled[key]
        others = {other: theirs for other, theirs in managers.items() if other != manager}
        if key in self.scaled:
            others["scaled"] = {"spec": {"replicas": self.scaled[key][2]}}
        if not force and (owners := [other for other, theirs in others.items() if _contradict(theirs, wanted)]):
            raise Refused(409, f"Apply failed with a conflict with {owners}", wanted["metadata"]["name"])
        still = functools.reduce(_overlaid, others.values(), wanted)
        kept = _without(present or {}, managers.get(manager, {}), still)
        managers[manager] = wanted
        return self.put(self._with_owners(key, _overlaid(kept, wanted)))

    async def create(self, manifest: Manifest) -> Manifest:
        def made() -> Manifest:
            if _key_of(manifest) in self.objects:
                raise AlreadyExists(manifest["metadata"]["name"])
            return self.put(manifest)

        return await self._call("create", _resource(manifest), manifest["metadata"]["name"], made)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Manifest, *, subresource: str | None = None
    ) -> Manifest:
        def patched() -> Manifest:
            if subresource == "scale":
                return self.scale(resource, name, patch["spec"]["replicas"], by="test", namespace=namespace or "")
            key = _key(resource, namespace, name)
            present = self._present(key)
            _expect(present, (patch.get("metadata") or {}).get("resourceVersion"))
            if (number := (patch.get("spec") or {}).get("replicas")) is not None:
                self._hand_over(key, "test", "", number)
            return self.put(self._with_owners(key, merged(present, patch)))

        return await self._call("patch", resource, name, patched)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        def replaced() -> Manifest:
            present = self._present(_key_of(manifest))
            _expect(present, manifest["metadata"]["resourceVersion"])
            return self.put({**present, "status": manifest["status"]})

        return await self._call("status", _resource(manifest), manifest["metadata"]["name"], replaced)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        def deleted() -> None:
            present = self.objects.get(_key(resource, namespace, name))
            if present is not None and uid in (None, present["metadata"]["uid"]):
                _expect(present, version)
                self.remove(resource, name, namespace or "")

        await self._call("delete", resource, name, deleted)

    # What a test does

    def put(self, manifest: Manifest) -> Manifest:
        """Store an object as a whole; what is not given stays only for uid and status. No change, no new version."""
        key = _key_of(manifest)
        present, stored = self.objects.get(key), _defaulted(copied(manifest))
        metadata = stored["metadata"]
        owners = metadata.get("ownerReferences") or []
        if sum(bool(owner.get("controller")) for owner in owners) > 1:
            raise Refused(422, "Only one reference can have Controller set to true", metadata["name"])
        if present is not None:
            metadata |= {name: present["metadata"][name] for name in ("uid", "resourceVersion")}
            if "status" in present and "status" not in stored:
                stored["status"] = present["status"]
        else:
            metadata.setdefault("uid", f"uid-{len(self.objects)}-{self.version}")
            if self.now is not None:
                metadata.setdefault("creationTimestamp", f"{self.now:%Y-%m-%dT%H:%M:%SZ}")
        if key[0] not in WITHOUT_GENERATION:
            is_changed = present is None or present.get("spec") != stored.get("spec")
            metadata["generation"] = (present["metadata"]["generation"] if present else 0) + is_changed
        if present != stored:
            self.version += 1
            metadata["resourceVersion"] = str(self.version)
            self.objects[key] = stored
            self.changes += key[0] != "events"
            self._happened("MODIFIED" if present is not None else "ADDED", stored)
        return copied(stored)

    def scale(
        self,
        resource: Resource,
        name: str,
        replicas: int,
        *,
        by: str = "kube-controller-manager",
        namespace: str = "ml",
    ) -> Manifest:
        """What an autoscaler does. Of a number that was nobody's, as of one that is a default, no owner is kept."""
        key = _key(resource, namespace, name)
        present, applied = self._present(key), self.applied.get(key, {}).values()
        if key in self.scaled or any("replicas" in theirs.get("spec", {}) for theirs in applied):
            self._hand_over(key, by, "scale", replicas)
        return self.put(self._with_owners(key, merged(present, {"spec": {"replicas": replicas}})))

    def _hand_over(self, key: tuple[str, str, str], to: str, subresource: str, replicas: int) -> None:
        """A number that somebody changed is his alone, and none of what anybody else applied."""
        if (self.objects[key].get("spec") or {}).get("replicas") != replicas:
            for theirs in self.applied.get(key, {}).values():
                theirs.get("spec", {}).pop("replicas", None)
            self.scaled[key] = to, subresource, replicas

    def _with_owners(self, key: tuple[str, str, str], manifest: Manifest) -> Manifest:
        """With the only managedFields that are kept here: who owns the number of pods."""
        metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
        applied = [name for name, theirs in self.applied.get(key, {}).items() if "replicas" in theirs.get("spec", {})]
        owners = [{"manager": name, "operation": "Apply"} for name in applied]
        if key in self.scaled:
            scaler, subresource, _ = self.scaled[key]
            of_scale = {"subresource": subresource} if subresource else {}
            owners.append({"manager": scaler, "operation": "Update", **of_scale})
        if owners:
            own = {"fieldsV1": {"f:spec": {"f:replicas": {}}}}
            metadata["managedFields"] = [{**owner, **own} for owner in owners]
        return {**manifest, "metadata": metadata}

    def remove(self, resource: Resource, name: str, namespace: str = "ml") -> None:
        key = _key(resource, namespace, name)
        self.applied.pop(key, None)
        self.scaled.pop(key, None)
        if (gone := self.objects.pop(key, None)) is not None:
            self.changes += 1
            self.version += 1
            self._happened("DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}})

    def _happened(self, what: Literal["ADDED", "MODIFIED", "DELETED"], manifest: Manifest) -> None:
        resource, event = _resource(manifest), WatchEvent(what, manifest)
        self.history.append((resource, event))
        for watched, stream in self.streams:
            if watched == resource:
                stream.happened(event)

    def get(self, resource: Resource, name: str, namespace: str = "ml") -> Manifest | None:
        return self.objects.get(_key(resource, namespace, name))

    def all(self, resource: Resource) -> list[Manifest]:
        return [self.objects[key] for key in sorted(key for key in self.objects if key[0] == resource.plural)]

    def run_controllers(self, now: datetime) -> None:
        """Deployments make pods, pods become ready unless their version is broken, and statuses say so."""
        self.now = now
        controllers.run(self, now)

    def crash(self, deployment: str, restarts: int) -> None:
        """Have a pod of a Deployment crash again and again; 0 restarts mend it."""
        assert self.get(DEPLOYMENTS, deployment) is not None
        self.crashing[deployment] = restarts
        controllers.show_crash(self, deployment)

    @property
    def writes(self) -> int:
        return sum(count for (verb, _), count in self.requests.items() if verb not in READS)

    def _present(self, key: tuple[str, str, str]) -> Manifest:
        if key not in self.objects:
            raise NotFound(404, f"{key[0]} {key[2]!r} not found", key[2])
        return self.objects[key]

    async def _call(self, verb: str, resource: Resource, name: str, effect: Callable[[], Any]) -> Any:
        self.requests[verb, resource.plural] += 1
        self.hook("before", verb, resource.plural, name)
        result = effect()
        if verb not in READS:
            self.log.append((verb, resource.plural, name))
            for witness in self.witnesses:
                witness(verb, resource.plural, name)
        self.hook("after", verb, resource.plural, name)
        return result


def _is_selected(manifest: Manifest, namespace: str | None, labels: Labels | None) -> bool:
    metadata = manifest["metadata"]
    has = metadata.get("labels") or {}
    is_labelled = labels in has if isinstance(labels, str) else (labels or {}).items() <= has.items()
    return is_labelled and namespace in (None, metadata.get("namespace"))


def _expect(present: Manifest | None, version: str | None) -> None:
    """Optimistic locking. What is not there has no version to differ from: server-side apply then makes it."""
    if present is not None and version not in (None, present["metadata"]["resourceVersion"]):
        raise Conflict("the object has been modified")


def _key(resource: Resource, namespace: str | None, name: str) -> tuple[str, str, str]:
    return (resource.plural, namespace or "", name)


def _key_of(manifest: Manifest) -> tuple[str, str, str]:
    return _key(_resource(manifest), manifest["metadata"].get("namespace"), manifest["metadata"]["name"])


def _resource(manifest: Manifest) -> Resource:
    return KNOWN[manifest["apiVersion"], manifest["kind"]]


def merged(present: Any, patch: Any) -> Any:
    """A merge patch: None removes, lists are replaced."""
    if not isinstance(patch, dict) or not isinstance(present, dict):
        return copied(patch)
    kept = {key: value for key, value in present.items() if key not in patch}
    return kept | {key: merged(present.get(key), value) for key, value in patch.items() if value is not None}


def _without(present: Any, before: Any, after: Any) -> Any:
    """What server-side apply leaves of an object: no field that this manager gave before and no longer does."""
    if not isinstance(present, dict) or not isinstance(before, dict):
        return present
    after = after if isinstance(after, dict) else {}
    return {
        key: _without(value, before.get(key), after.get(key))
        for key, value in present.items()
        if key not in before or key in after or key == "status"
    }


def _contradict(one: Any, other: Any) -> bool:
    """Whether a field that both have differs."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return bool(one != other)
    return any(_contradict(one[key], other[key]) for key in one.keys() & other.keys())


def _overlaid(present: Any, manifest: Any) -> Any:
    """An object with a manifest's fields. Lists and selectors are taken whole; owners are told apart by their uid."""
    if not isinstance(present, dict) or not isinstance(manifest, dict):
        return manifest
    new = {key: value if key == "selector" else _overlaid(present.get(key), value) for key, value in manifest.items()}
    if (old := present.get("ownerReferences")) and (owners := manifest.get("ownerReferences")):
        uids = {owner["uid"] for owner in owners}
        new["ownerReferences"] = [*(owner for owner in old if owner["uid"] not in uids), *owners]
    return {**present, **new}


def _defaulted(manifest: Manifest) -> Manifest:
    """With some of the fields that API servers add, so that comparing with what was wished for has to bear them."""
    spec = manifest.get("spec") or {}
    match manifest["kind"]:
        case "HTTPRoute":
            for parent in spec.get("parentRefs") or ():
                parent.setdefault("group", "gateway.networking.k8s.io")
                parent.setdefault("kind", "Gateway")
            for rule in spec.get("rules") or ():
                rule.setdefault("matches", [{"path": {"type": "PathPrefix", "value": "/"}}])
                for backend in rule.get("backendRefs") or ():
                    backend |= {"group": "", "kind": "Service", "weight": backend.get("weight", 1)}
        case "Service":
            spec.setdefault("clusterIP", "10.96.0.7")
            spec.setdefault("sessionAffinity", "None")
        case "Deployment":
            spec.setdefault("replicas", 1)
            spec.setdefault("revisionHistoryLimit", 10)
    return manifest
