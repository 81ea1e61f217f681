"""What every kind of workload can do: a translator between our words and the kind's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from modelrollout.api.findings import Finding
from modelrollout.objects.access import Access
from modelrollout.objects.manifests import Manifest, Owner, Patch, Ref
from modelrollout.objects.resources import Resource
from modelrollout.workloads.state import WorkloadState


@dataclass(frozen=True, slots=True)
class Names:
    """What one revision's workload is called; its Service has the same name."""

    workload: str
    revision: str


class Kind(Protocol):
    """One kind of workload. `workloads/kind_table.py` has the table."""

    @property
    def resource(self) -> Resource:
        """The kind of object."""

    @property
    def access(self) -> tuple[Access, ...]:
        """What it does with which kinds of objects."""

    def fault(self, template: Manifest) -> Finding | None:
        """What is wrong with a rendered template, or None. The API server judges the rest when it is applied."""

    def identity(self, template: Manifest) -> Any:
        """The part that decides how the model answers; a change of it is a new revision."""

    def size(self, template: Manifest) -> int | None:
        """The pods wished for; None leaves the number to an autoscaler."""

    def render(self, owner: Owner, names: Names, template: Manifest, size: int | None) -> Manifest:
        """The workload of one revision; `size` None leaves the number of pods alone."""

    def resized(self, ref: Ref, size: int) -> Patch:
        """The write that changes the number of pods and nothing else."""

    def state(self, manifest: Manifest) -> WorkloadState:
        """What its controller reported."""

    def pods_named(self, workload: str) -> str:
        """A regular expression (RE2) for the names of a workload's pods, and of no other's."""
