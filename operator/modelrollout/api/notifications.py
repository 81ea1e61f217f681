"""Who is told of what happens in a release: `spec.notifications`. Pure.

Addresses are in Secrets: a ModelRollout is read by many, and lies in Git.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from modelrollout.api.base import Model
from modelrollout.api.names import Name, ObjectName
from modelrollout.api.placeholders import UnknownName, require_known
from modelrollout.api.rules import Rule, unique_by


class Topic(StrEnum):
    """What people are told of."""

    STARTED = "Started"
    PROMOTED = "Promoted"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    WAITING_FOR_PERSON = "WaitingForPerson"
    STUCK = "Stuck"
    TRAFFIC_SHARE_MISMATCH = "TrafficShareMismatch"


USUAL = (
    Topic.PROMOTED,
    Topic.ROLLED_BACK,
    Topic.WAITING_FOR_PERSON,
    Topic.STUCK,
    Topic.TRAFFIC_SHARE_MISMATCH,
)
"""The topics where none are chosen."""
FIELDS = (
    *("namespace", "rollout", "topic", "time", "model", "version", "revision", "stable", "stage", "weight"),
    *("reason", "message", "evidence", "next", "link"),
)
"""The names that a text may have in braces."""


def _fills_known_fields(text: str) -> bool:
    try:
        require_known(text, FIELDS, where="text")
    except UnknownName:
        return False
    return True


Topics = Annotated[tuple[Topic, ...], Field(min_length=1, max_length=len(Topic))]
Text = Annotated[
    str,
    Field(min_length=1, max_length=2000),
    Rule(
        _fills_known_fields,
        f"text may fill in these only: {', '.join(f'{{{{ {name} }}}}' for name in FIELDS)}",
        None,  # CEL has no words for what lies between braces
    ),
]


class SecretKey(Model):
    """Where an address is kept: a key of a Secret in the rollout's namespace."""

    name: Annotated[ObjectName, Field(description="The Secret's name.")]
    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            description="Its key with one address: https://… for CloudEvents by webhook, or an Apprise URL such as "
            "slack://… or pagerduty://….",
        ),
    ] = "url"
    signing_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=253,
            description="Its key with the secret (whsec_…) by which a webhook's receiver knows that we sent it "
            "(Standard Webhooks).",
        ),
    ] = None


class Notification(Model):
    """Somebody who is told, and of what."""

    name: Annotated[Name, Field(description="By this name, and never by its address, status speaks of it.")]
    topics: Annotated[Topics, Field(description="What it is told of.")] = USUAL  # `on` would be true in YAML
    secret_ref: SecretKey
    text: Annotated[
        Text | None,
        Field(description="The text in place of the usual one, with fields such as {{ rollout }} and {{ reason }}."),
    ] = None


Notifications = Annotated[
    tuple[Notification, ...],
    Field(
        max_length=10,
        description="Who is told when a version is promoted, rolled back, or needs a person.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
    unique_by("name"),
]
_LIST = TypeAdapter[tuple[Notification, ...]](Notifications)


def notifications_in(spec: Mapping[str, Any] | None) -> tuple[Notification, ...]:
    """Those of a spec, whatever else may be wrong with it; none where they make no sense themselves."""
    try:
        return _LIST.validate_python((spec or {}).get("notifications") or ())
    except ValidationError:
        return ()
