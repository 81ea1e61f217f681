"""Asks the API server whether it takes objects that are yet to be written. Writes nothing."""

from __future__ import annotations

import logging

from modelrollout.kube import Cluster, Failed, KubeError, Refused
from modelrollout.objects.manifests import APPLIED, Apply, Ref, annotation
from modelrollout.shell.refusals import Refusal, Rehearsed, cannot_rehearse

logger = logging.getLogger(__name__)


async def rehearse(cluster: Cluster, writes: tuple[Apply, ...]) -> Rehearsed:
    """What the API server says against the objects.

    Where it says nothing, or nothing about them, they may begin: what it will not take then is told as well.
    """
    refused: dict[Ref, Refusal] = {}
    for write in writes:
        said = await _said_to(cluster, write)
        if isinstance(said, Failed):  # which may be over in a moment
            said = await _said_to(cluster, write)
        if said is not None:
            refused[write.ref] = said
    return Rehearsed(contents(writes), refused)


def contents(writes: tuple[Apply, ...]) -> tuple[str, ...]:
    """Names what is to be tried."""
    return tuple(f"{write.ref} {annotation(write.manifest, APPLIED)}" for write in writes)


async def _said_to(cluster: Cluster, write: Apply) -> Refusal | None:
    try:
        await cluster.rehearse(write.manifest, manager=write.manager)
    except (Refused, Failed) as refusal:
        return None if cannot_rehearse(refusal) else refusal
    except KubeError as trouble:
        logger.debug("%s could not be tried: %s", write.ref, trouble)
    return None
