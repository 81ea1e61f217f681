"""The one way to read a Secret that a rollout names, from the rollout's own namespace.

Values are handed on and kept nowhere: they never reach status, Events, logs or metrics.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Protocol

from modelrollout.kube.errors import KubeError, LeftAlone, Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import SECRETS, Resource


class SecretTrouble(Exception):  # noqa: N818 - named after what happened, as all errors of this room
    """A Secret cannot be used. Its text is a sentence for people, and holds no value."""


class Reading(Protocol):
    """The verb of a cluster that this takes."""

    async def read(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None: ...


async def read_secret(cluster: Reading, namespace: str, name: str) -> Mapping[str, str]:
    """The Secret's values by their keys; one that is no text is left out. Raises SecretTrouble."""
    try:
        found = await cluster.read(SECRETS, namespace, name)
    except KubeError as trouble:
        raise SecretTrouble(_told(namespace, name, trouble)) from trouble
    if found is None:
        raise SecretTrouble(f"Secret '{name}' does not exist in namespace '{namespace}'")
    values = ((key, _text(value)) for key, value in (found.get("data") or {}).items())
    return {key: text for key, text in values if text is not None}


def _told(namespace: str, name: str, trouble: KubeError) -> str:
    what = f"Secret '{name}' of namespace '{namespace}' cannot be read"
    if isinstance(trouble, LeftAlone) or (isinstance(trouble, Refused) and trouble.status in (401, 403)):
        return f"{what}: this operator may not read Secrets (integrations.secrets in its chart's values)"
    return f"{what}: {trouble}"


def _text(value: object) -> str | None:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
