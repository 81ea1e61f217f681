"""Keeps Envoy and the statuses true to what the API server holds: watch, translate, program, then say so.

Traffic comes first: a slow or failing status write never holds up a route.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

from localcluster.gateway.addresses import AddressBook
from localcluster.gateway.backends import Object, backends
from localcluster.gateway.doors import Address, Addresses, Door, doors
from localcluster.gateway.envoy import Envoy
from localcluster.gateway.status import statuses
from localcluster.gateway.translate import World, translate
from modelrollout.kube import Cluster, Conflict, KubeError, Mirror, Refused
from modelrollout.kube.watching import Key, key_of
from modelrollout.objects.resources import GATEWAY_CLASSES, GATEWAYS, GRPC_ROUTES, HTTP_ROUTES, PODS, SERVICES

logger = logging.getLogger(__name__)

WATCHED = (GATEWAY_CLASSES, GATEWAYS, HTTP_ROUTES, GRPC_ROUTES, SERVICES, PODS)
GATHER_SECONDS = 0.01  # what changes together is programmed together
RETRY_SECONDS = 0.5


class Controller:
    """Run `run` as a task; `address_of` tells where a door is once Envoy stands behind it."""

    def __init__(self, cluster: Cluster, envoy: Envoy, *, access_log: Path | None) -> None:
        self._cluster, self._envoy, self._access_log = cluster, envoy, access_log
        self._mirrors = [Mirror(cluster, resource) for resource in WATCHED]
        self._book = AddressBook()
        self._world, self._refusal = World(), ""
        self._open: Addresses = {}
        self._told: dict[tuple[str, Key], tuple[str, Object]] = {}  # by kind and key: what was said of which version
        self._changed, self._to_tell, self._programmed = asyncio.Event(), asyncio.Event(), asyncio.Condition()

    async def run(self) -> None:
        """For ever, until cancelled."""
        try:
            for mirror in self._mirrors:  # all before the first pass: half a picture would take routes away
                await self._filled(mirror)
            async with asyncio.TaskGroup() as tasks:
                for mirror in self._mirrors:
                    tasks.create_task(mirror.follow(lambda _: self._changed.set()))
                tasks.create_task(self._keep_programmed())
                tasks.create_task(self._keep_telling())
        finally:
            self._book.close()

    async def address_of(self, door: Door) -> Address:
        """Waits until Envoy has opened it."""
        async with self._programmed:
            await self._programmed.wait_for(lambda: door in self._open)
            return self._open[door]

    async def _filled(self, mirror: Mirror) -> None:
        while True:
            try:
                return await mirror.fill()
            except KubeError as trouble:  # a CRD may be on its way, an API server starting
                logger.warning("The gateway cannot begin yet: %s", trouble)
                await asyncio.sleep(RETRY_SECONDS)

    async def _keep_programmed(self) -> None:
        while True:
            self._changed.clear()
            classes, gateways, http, grpc, services, pods = (tuple(each.items.values()) for each in self._mirrors)
            await self._program(World(classes, gateways, (*http, *grpc), services, pods))
            await self._changed.wait()
            await asyncio.sleep(GATHER_SECONDS)

    async def _program(self, world: World) -> None:
        addresses = self._book.give(doors(world.ours, world.services))
        wanted = translate(world, addresses, self._envoy.folder, access_log=self._access_log)
        refusal = await self._envoy.program(wanted)
        if self._envoy.is_late:
            self._changed.set()
        if refusal and refusal != self._refusal:
            logger.error("%s", refusal)
        async with self._programmed:
            self._world, self._open, self._refusal = world, addresses, refusal
            self._programmed.notify_all()
        self._to_tell.set()

    async def _keep_telling(self) -> None:
        while True:
            await self._to_tell.wait()
            self._to_tell.clear()
            try:
                await self._tell()
            except KubeError as trouble:
                logger.warning("The gateway's statuses are late: %s", trouble)
                await asyncio.sleep(RETRY_SECONDS)
                self._to_tell.set()

    async def _tell(self) -> None:
        world = self._world
        known = backends(world.services, world.pods)
        for item, status in list(statuses(world, known, self._open, self._refusal, datetime.now(UTC))):
            key, saying = (item["kind"], key_of(dict(item))), (item["metadata"]["resourceVersion"], status)
            if self._told.get(key) == saying:
                continue  # written or refused already; the watch brings what came of it
            try:
                await self._cluster.replace_status({**item, "status": status})
            except (Conflict, Refused) as why:
                logger.debug("The status of %s was not written: %s", key, why)
            self._told[key] = saying
