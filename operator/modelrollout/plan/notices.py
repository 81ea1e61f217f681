"""The words of a notification, from what its errand says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from modelrollout.api.notifications import FIELDS, Topic
from modelrollout.api.placeholders import render_text
from modelrollout.api.status import Errand

NEXT: Mapping[str, str] = {
    Topic.STARTED: "It gets traffic step by step once it is ready.",
    Topic.PROMOTED: "The old version's pods are kept for spec.promotion.keepOld.",
    Topic.ROLLING_BACK: "All users return to the stable version. Nobody has to act for that.",
    Topic.ROLLED_BACK: "The stable version serves. This revision is not tried again until somebody asks for a retry.",
    Topic.WAITING_FOR_PERSON: "The weight is held until a person decides or the missing evidence arrives.",
    Topic.STUCK: "The rollout goes on once the cause is mended. The stable version serves meanwhile.",
    Topic.TRAFFIC_SHARE_MISMATCH: "The step is held until requests follow the weight.",
}
"""What happens after the news, by topic."""


def fields(namespace: str, rollout: str, errand: Errand, link: str | None) -> dict[str, str]:
    """The value of each field that a text may have. `link`: a template whose values are escaped as URLs need it."""
    known = {
        **dict.fromkeys(FIELDS, ""),
        **{name: value for name, value in errand.facts.items() if name in FIELDS},
        "namespace": namespace,
        "rollout": rollout,
        "time": moment(errand.at),
        "next": NEXT.get(errand.facts.get("topic", ""), ""),
    }
    escaped = {name: quote(value, safe="") for name, value in known.items()}
    return {**known, "link": render_text(link, escaped, where="link") if link else ""}


def title(values: Mapping[str, str]) -> str:
    return f"{values['topic']}: {values['namespace']}/{values['rollout']}"


def text(values: Mapping[str, str], template: str | None) -> str:
    """The user's own text, or the usual one: who, why, on which evidence, and what happens next."""
    if template is not None:
        return render_text(template, values, where="text")
    lines = (
        f"Model {values['model']}, version {values['version']}." if values["version"] else "",
        f"{values['message']} ({values['reason']})",
        _step(values),
        f"Evidence: {values['evidence']}" if values["evidence"] else "",
        f"Next: {values['next']}" if values["next"] else "",
        values["link"],
    )
    return "\n".join(filter(None, lines))


def _step(values: Mapping[str, str]) -> str:
    if not values["stage"]:
        return ""
    return f"Stage {values['stage']}" + (f", at {values['weight']} %." if values["weight"] not in ("", "0") else ".")


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
