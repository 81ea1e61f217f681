"""The namespace controller: deletes all objects in a deleted namespace, then lets it go.

An API client like any controller, for the kinds that the local cluster knows and every custom one.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiohttp

from localcluster.processes.background import running
from modelrollout.kube import Cluster, KubeError, Mirror
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CUSTOM_RESOURCES, KNOWN, NAMESPACES, Resource

logger = logging.getLogger(__name__)

PAUSE = 0.3  # seconds before another look at a namespace that is not empty yet
_NOT_STORED = frozenset({"bindings"})
_BUILT_IN_GROUPS = frozenset({"", "apps", "autoscaling", "batch", "coordination.k8s.io", "discovery.k8s.io", "policy"})
_RBAC = "rbac.authorization.k8s.io"
_FURTHER = (Resource(_RBAC, "v1", "roles", "Role"), Resource(_RBAC, "v1", "rolebindings", "RoleBinding"))


@asynccontextmanager
async def namespaces(cluster: Cluster) -> AsyncIterator[None]:
    """Empty and release deleted namespaces until the block ends. Raises KubeError when they cannot be listed."""
    undertaker = _Undertaker(cluster)
    await undertaker.look()
    async with running(undertaker.follow(), undertaker.work()):
        yield


class _Undertaker:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._mirror = Mirror(cluster, NAMESPACES)
        self._woken = asyncio.Event()

    async def look(self) -> None:
        await self._mirror.fill()
        self._woken.set()

    async def follow(self) -> None:
        await self._mirror.follow(lambda _: self._woken.set())

    async def work(self) -> None:
        """Go on with every deleted namespace until it is gone; sleep while there is none."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            dying = [each for each in self._mirror.items.values() if "deletionTimestamp" in each["metadata"]]
            for namespace in dying:
                try:
                    await self._bury(namespace)
                except (KubeError, aiohttp.ClientError, OSError) as trouble:
                    name = namespace["metadata"]["name"]
                    logger.warning("Emptying namespace %s will be tried again: %s", name, trouble)
            if dying:
                await asyncio.sleep(PAUSE)
                self._woken.set()

    async def _bury(self, namespace: Manifest) -> None:
        if not (namespace.get("spec") or {}).get("finalizers"):
            return
        left = [await self._emptied_of(kind, namespace["metadata"]["name"]) for kind in await self._kinds()]
        if not any(left):
            await _release(self._cluster, namespace)

    async def _kinds(self) -> list[Resource]:
        built_in = (each for each in KNOWN.values() if each.namespaced and each.group in _BUILT_IN_GROUPS)
        stored = [each for each in built_in if each.plural not in _NOT_STORED]
        return [*stored, *_FURTHER, *custom((await self._cluster.list(CUSTOM_RESOURCES)).items)]

    async def _emptied_of(self, kind: Resource, namespace: str) -> bool:
        """Have everything of a kind deleted; whether something is left all the same."""
        items = (await self._cluster.list(kind, namespace)).items
        for item in items:
            if "deletionTimestamp" not in item["metadata"]:
                await self._cluster.delete(kind, namespace, item["metadata"]["name"], uid=item["metadata"]["uid"])
        return bool(items)


def custom(definitions: Iterable[Manifest]) -> Iterable[Resource]:
    """The namespaced kinds that these CustomResourceDefinitions define."""
    for definition in definitions:
        spec = definition["spec"]
        if spec["scope"] == "Namespaced":
            version = next(each["name"] for each in spec["versions"] if each["storage"])
            yield Resource(spec["group"], version, spec["names"]["plural"], spec["names"]["kind"])


async def _release(cluster: Cluster, namespace: Manifest) -> None:
    """Take the finalizer out, with PUT on /finalize, which only this controller may use."""
    way = await cluster.credentials()
    tls = ssl.create_default_context(cafile=way.ca_path)
    if not way.verify:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if way.certificate_path:
        tls.load_cert_chain(way.certificate_path, way.private_key_path)
    headers = {"Authorization": f"Bearer {way.token}"} if way.token else {}
    released = {**namespace, "spec": {**namespace["spec"], "finalizers": []}}
    path = f"/api/v1/namespaces/{namespace['metadata']['name']}/finalize"
    async with (
        aiohttp.ClientSession(way.server, headers=headers, connector=aiohttp.TCPConnector(ssl=tls)) as session,
        session.put(path, json=released) as response,
    ):
        if response.status not in (200, 404, 409):  # gone already, or changed since: the next look will tell
            response.raise_for_status()
