"""A cluster small enough to think about: the verbs of `modelrollout.kube.Cluster` on a dictionary, and controllers
that make pods ready when told to. Every call can be made to fail before or after its effect.

What real API servers do beyond this is checked against real ones, in tests/contract.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from modelrollout.kube import AlreadyExists, Conflict, Listing, Manifest
from modelrollout.resources import DEPLOYMENTS, KNOWN, Resource

Moment = Literal["before", "after"]
Hook = Callable[[Moment, str, str, str], None]
"""Called with the moment, verb, plural and name of every call; raising makes the call fail there."""


class Killed(BaseException):
    """The operator's process died here. Not an Exception: nothing may catch it."""


@dataclass
class FakeCluster:
    objects: dict[tuple[str, str, str], Manifest] = field(default_factory=dict)
    hook: Hook = lambda *_: None
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    version: int = 0
    broken: set[str] = field(default_factory=set)  # versions of the model whose pods never become ready
    slow: timedelta = timedelta()  # how long pods take to become ready
    log: list[tuple[str, str, str]] = field(default_factory=list)  # verb, plural, name of every write

    # What the operator calls

    async def read(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        return await self._call(
            "get", resource, name, lambda: copy.deepcopy(self.objects.get(_key(resource, namespace, name)))
        )

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> Listing:
        def found() -> Listing:
            items = [
                copy.deepcopy(manifest)
                for (plural, space, _), manifest in sorted(self.objects.items())
                if plural == resource.plural
                and space == namespace
                and (labels or {}).items() <= (manifest["metadata"].get("labels") or {}).items()
            ]
            return Listing(items, str(self.version))

        return await self._call("list", resource, "", found)

    async def apply(self, manifest: Manifest, *, manager: str, force: bool = True) -> Manifest:
        resource = _resource(manifest)
        return await self._call("apply", resource, manifest["metadata"]["name"], lambda: self.put(manifest))

    async def create(self, manifest: Manifest) -> Manifest:
        def made() -> Manifest:
            if _key_of(manifest) in self.objects:
                raise AlreadyExists(manifest["metadata"]["name"])
            return self.put(manifest)

        return await self._call("create", _resource(manifest), manifest["metadata"]["name"], made)

    async def patch(self, resource: Resource, namespace: str | None, name: str, patch: Manifest) -> Manifest:
        def patched() -> Manifest:
            return self.put(_merged(self.objects[_key(resource, namespace, name)], patch))

        return await self._call("patch", resource, name, patched)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        def replaced() -> Manifest:
            present = self.objects[_key_of(manifest)]
            if present["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
                raise Conflict("the object has been modified")
            present["status"] = copy.deepcopy(manifest["status"])
            return self._versioned(present)

        return await self._call("status", _resource(manifest), manifest["metadata"]["name"], replaced)

    async def delete(self, resource: Resource, namespace: str | None, name: str, *, uid: str | None = None) -> None:
        def deleted() -> None:
            present = self.objects.get(_key(resource, namespace, name))
            if present is not None and uid in (None, present["metadata"]["uid"]):
                del self.objects[_key(resource, namespace, name)]

        await self._call("delete", resource, name, deleted)

    # What a test does

    def put(self, manifest: Manifest) -> Manifest:
        """Store an object as a whole; what is not given stays only for uid and status."""
        present = self.objects.get(_key_of(manifest))
        stored = copy.deepcopy(manifest)
        metadata = stored["metadata"]
        old = present["metadata"] if present else {"uid": f"uid-{len(self.objects)}-{self.version}", "generation": 0}
        metadata["uid"] = old["uid"]
        changed = present is None or present.get("spec") != stored.get("spec")
        metadata["generation"] = old["generation"] + changed
        if present is not None and "status" in present and "status" not in stored:
            stored["status"] = present["status"]
        self.objects[_key_of(manifest)] = stored
        return self._versioned(stored)

    def get(self, resource: Resource, name: str, namespace: str = "ml") -> Manifest | None:
        return self.objects.get(_key(resource, namespace, name))

    def all(self, resource: Resource) -> list[Manifest]:
        return [manifest for (plural, _, _), manifest in sorted(self.objects.items()) if plural == resource.plural]

    def run_controllers(self, now: datetime) -> None:
        """Deployments: pods become ready, unless their version is broken, and the status says so."""
        for deployment in self.all(DEPLOYMENTS):
            annotations = deployment["metadata"].setdefault("annotations", {})
            born = annotations.setdefault("test/born", now.isoformat())
            model = annotations.get("modelrollout.dev/model", "")
            is_broken = any(f'"version":"{version}"' in model for version in self.broken)
            is_up = not is_broken and now >= datetime.fromisoformat(born) + self.slow
            deployment["status"] = {
                "observedGeneration": deployment["metadata"]["generation"],
                "replicas": deployment["spec"].get("replicas", 1),
                "readyReplicas": deployment["spec"].get("replicas", 1) if is_up else 0,
            }

    def crash(self, deployment: str, restarts: int) -> None:
        """A pod of a Deployment that keeps crashing."""
        owner = self.get(DEPLOYMENTS, deployment)
        assert owner is not None
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}
        self.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "namespace": "ml",
                    "name": f"{deployment}-x7k2p",
                    "labels": owner["spec"]["template"]["metadata"]["labels"],
                },
                "spec": {},
                "status": {
                    "containerStatuses": [
                        {
                            "name": "server",
                            "ready": False,
                            "restartCount": restarts,
                            "state": {"waiting": waiting},
                            "lastState": {"terminated": {"exitCode": 1}},
                        }
                    ]
                },
            }
        )

    @property
    def writes(self) -> int:
        return sum(count for (verb, _), count in self.requests.items() if verb not in ("get", "list"))

    def _versioned(self, manifest: Manifest) -> Manifest:
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(manifest)

    async def _call(self, verb: str, resource: Resource, name: str, effect: Callable[[], Any]) -> Any:
        self.requests[verb, resource.plural] += 1
        self.hook("before", verb, resource.plural, name)
        if verb not in ("get", "list"):
            self.log.append((verb, resource.plural, name))
        result = effect()
        self.hook("after", verb, resource.plural, name)
        return result


def _key(resource: Resource, namespace: str | None, name: str) -> tuple[str, str, str]:
    return (resource.plural, namespace or "", name)


def _key_of(manifest: Manifest) -> tuple[str, str, str]:
    return _key(_resource(manifest), manifest["metadata"].get("namespace"), manifest["metadata"]["name"])


def _resource(manifest: Manifest) -> Resource:
    return KNOWN[manifest["apiVersion"], manifest["kind"]]


def _merged(present: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(present, dict):
        return copy.deepcopy(patch)
    kept = {key: value for key, value in present.items() if key not in patch}
    return kept | {key: _merged(present.get(key), value) for key, value in patch.items() if value is not None}
