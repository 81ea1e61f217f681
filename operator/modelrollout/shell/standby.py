"""Keeps the picture of the world up to date while another process leads. Decides and writes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from modelrollout.kube import Cluster, KubeError, Mirror, WatchEvent
from modelrollout.kube.watching import key_of
from modelrollout.objects.resources import MODEL_ROLLOUTS
from modelrollout.rollout.references import reads
from modelrollout.shell.reader import Reader

logger = logging.getLogger(__name__)

RETRY_SECONDS = 30.0


class Standby:
    """Has a `Reader` know what every rollout's passes will ask for."""

    def __init__(self, cluster: Cluster, reader: Reader, namespaces: Sequence[str]) -> None:
        self._cluster, self._reader, self._namespaces = cluster, reader, namespaces

    async def run(self) -> None:
        """For ever."""
        await asyncio.gather(*(self._follow(namespace) for namespace in self._namespaces or (None,)))

    async def _follow(self, namespace: str | None) -> None:
        while True:
            try:
                await Mirror(self._cluster, MODEL_ROLLOUTS, namespace).follow(self._changed)
            except KubeError as trouble:
                logger.warning("ModelRollouts cannot be watched while standing by: %s", trouble)
            await asyncio.sleep(RETRY_SECONDS)

    def _changed(self, event: WatchEvent) -> None:
        key = key_of(event.object)
        if event.type == "DELETED":
            self._reader.forget(key)
        else:
            self._reader.at_hand(key, reads(event.object))
