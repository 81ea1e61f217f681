"""The record of a demo in plain values, from which report, page and screen are made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from localcluster.load import Outcome
from modelrollout.api.status import ModelRolloutStatus

NOBODY = ModelRolloutStatus()


@dataclass(frozen=True, slots=True)
class ReleaseStart:
    """A version was asked for. Times are unix seconds, here and below."""

    at: float
    name: str
    command: str


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The resource's status from this moment on."""

    at: float
    status: ModelRolloutStatus


@dataclass(frozen=True, slots=True)
class Split:
    """What the route says from this moment on: percent by workload."""

    at: float
    shares: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EventSeen:
    """A Kubernetes Event about the rollout."""

    at: float
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of the demo."""

    started: float
    prepared: float  # when everything ran and the first version could be applied
    ended: float
    rate: float  # requests a second that were meant to be sent
    api_server: str
    api_version: str
    commands_by: Literal["kubectl", "client"]


@dataclass(frozen=True, slots=True)
class Chronicle:
    """Each part in the order of time, outcomes in the order in which they ended."""

    facts: Circumstances
    releases: tuple[ReleaseStart, ...] = ()
    turns: tuple[StatusChange, ...] = ()
    splits: tuple[Split, ...] = ()
    told: tuple[EventSeen, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    @property
    def workloads(self) -> Mapping[str, str]:
        """The workload of each version that was stable or candidate."""
        return workloads(tuple(turn.status for turn in self.turns))

    def served(self, version: str, at: float) -> bool:
        """Whether the route gave this version anything at a moment."""
        shares = next((split.shares for split in reversed(self.splits) if split.at <= at), {})
        return shares.get(self.workloads.get(version, ""), 0) > 0

    def until(self, release: ReleaseStart) -> float:
        """When the next version was asked for, or the end."""
        later = [other.at for other in self.releases if other.at > release.at]
        return min(later, default=self.facts.ended)


def workloads(statuses: tuple[ModelRolloutStatus, ...]) -> dict[str, str]:
    """Workload by version, of all arms that the statuses name."""
    arms = [arm for status in statuses for arm in (status.stable, status.candidate) if arm]
    return {arm.model.version: arm.workload for arm in arms}


def by_version(shares: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    """A route's shares by version instead of workload; an unknown one keeps the name of its workload."""
    versions = {workload: version for version, workload in names.items()}
    return {versions.get(workload, workload): share for workload, share in shares.items()}
