"""One look at the demo: everything the screen shows, and what changed between two looks in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from demo.chronicle import NOBODY, EventSeen
from demo.story import Release
from modelrollout.api.status import MetricVerdict, ModelRolloutStatus
from modelrollout.trial.steps import exposure_at


@dataclass(frozen=True, slots=True)
class Crowd:
    """What users got so far, and how many asked within the last second."""

    per_second: int = 0
    served: int = 0
    harmed: int = 0
    failed_by_switch: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """`shares` is the route's percentage of each version, `elapsed` seconds since the demo began."""

    elapsed: float = 0.0
    release: Release | None = None
    status: ModelRolloutStatus = NOBODY
    shares: Mapping[str, int] = field(default_factory=dict)
    crowd: Crowd = Crowd()
    told: tuple[EventSeen, ...] = ()


def step(status: ModelRolloutStatus) -> str:
    """Where the rollout stands among its steps."""
    return f"{status.stage.name} {exposure_at(status.stage)}" if status.stage else ""


def split(shares: Mapping[str, int]) -> str:
    """`v1 95 %, v2 5 %`"""
    return ", ".join(f"{version} {share} %" for version, share in sorted(shares.items()))


def both_values(verdict: MetricVerdict) -> str:
    """`4.2% (stable 0.1%)`"""
    return f"{verdict.candidate or '–'}" + (f" (stable {verdict.stable})" if verdict.stable else "")


def differences(before: Scene, after: Scene) -> Iterator[str]:
    """What changed, a line each, for those who watch no live screen."""
    if (after.status.phase, step(after.status)) != (before.status.phase, step(before.status)):
        yield " ".join(filter(None, ["phase  ", str(after.status.phase or ""), step(after.status)]))
    if after.shares != before.shares:
        yield f"route   {split(after.shares)}"
    known = {verdict.metric: verdict.verdict for verdict in before.status.verdicts}
    for verdict in after.status.verdicts:
        if known.get(verdict.metric) != verdict.verdict:
            yield f"verdict {verdict.metric}: {verdict.verdict}, {both_values(verdict)}"
    for event in after.told[len(before.told) :]:
        yield f"event   {event.reason}: {event.message}"
    if after.crowd.harmed > before.crowd.harmed and before.crowd.harmed == 0:
        yield "users   the first one was harmed"
    if after.crowd.failed_by_switch > before.crowd.failed_by_switch:
        yield f"users   {after.crowd.failed_by_switch} requests failed because traffic moved"


def summary(crowd: Crowd) -> str:
    return (
        f"{crowd.per_second} requests/s, {crowd.served} users served, {crowd.harmed} harmed, "
        f"{crowd.failed_by_switch} requests failed by the switch"
    )
