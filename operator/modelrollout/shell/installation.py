"""Waits for what an operator cannot begin without: that the API server serves ModelRollouts, and lets it see them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from modelrollout.kube import Cluster, KubeError
from modelrollout.objects.resources import MODEL_ROLLOUTS

logger = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds between attempts: definitions may be applied after the operator, in any order."""


async def rollouts_are_served(
    cluster: Cluster, namespaces: Sequence[str], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Returns once ModelRollouts can be read. Says why they cannot, whenever the reason changes."""
    told = ""
    while True:
        try:
            await cluster.read(MODEL_ROLLOUTS, (*namespaces, "default")[0], "any")
        except KubeError as trouble:
            if (why := str(trouble)) != told:
                logger.warning("Waiting for ModelRollouts to be served: %s", why)
                told = why
            await sleep(PAUSE)
        else:
            return
