"""Tells people: Kubernetes Events and log lines with the same words. Never stops a pass."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from modelrollout.api.base import API_VERSION, KIND
from modelrollout.kube import AlreadyExists, Cluster, KubeError, Manifest
from modelrollout.objects.manifests import Owner, digest
from modelrollout.plan.world import Event

logger = logging.getLogger(__name__)
COMPONENT = "modelrollout"
_LONGEST = 1024  # characters that Kubernetes takes in an Event's message


async def announce(cluster: Cluster, owner: Owner, events: Sequence[Event], now: datetime) -> None:
    for event in events:
        level = logging.WARNING if event.type == "Warning" else logging.INFO
        about = {"rollout": owner.name, "namespace": owner.namespace, "reason": event.reason}
        logger.log(level, "%s/%s: %s", owner.namespace, owner.name, event.message, extra=about)
        try:
            await cluster.create(event_manifest(owner, event, now))
        except AlreadyExists:
            continue  # said in a pass that died right after
        except KubeError as trouble:
            logger.warning("An Event could not be written: %s", trouble, extra=about)


def event_manifest(owner: Owner, event: Event, now: datetime) -> Manifest:
    """The Event, under a name that the same happening always gets."""
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": owner.namespace,
            "name": f"{owner.name}.{digest([owner.uid, event.reason, event.message, moment])}",
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_LONGEST],
        "source": {"component": COMPONENT},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
