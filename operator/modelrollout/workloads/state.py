"""What is known of one revision's workload, whatever its kind. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_UNAVAILABLE = 0.25
"""Share of its pods that a workload may lack and still carry its traffic: Kubernetes' own default for Deployments."""


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """Pods wished for, ready and available, as the workload's controller last reported them.

    A pod that is ready answers, and becomes available once it has been ready for minReadySeconds. So traffic is kept
    by what is ready, and gained by what is available.
    """

    name: str
    revision: str
    replicas: int
    ready: int
    available: int
    is_observed: bool  # the controller has seen the latest change
    starting: int = 0  # pods that were never ready yet, where they are not to be counted against it
    scaled_by: str | None = None  # who last set the number of pods through `/scale`, as an autoscaler does
    is_size_applied: bool = False  # the number is one that was applied: who leaves it out takes it off
    failure: str | None = None  # why its controller cannot make the pods, in its own words

    @property
    def is_fully_available(self) -> bool:
        """All of its pods are: needed before it is given (more) traffic."""
        return self.is_observed and self.replicas > 0 and self.available >= self.replicas

    @property
    def can_serve(self) -> bool:
        """Enough of its pods are ready to keep the traffic it has; one pod that is replaced must not stop a release."""
        up = self.replicas - self.starting
        return self.ready > 0 and self.ready >= up - int(up * MAX_UNAVAILABLE)

    def __str__(self) -> str:
        young = f", {self.available} for long enough (minReadySeconds)" if self.available < self.ready else ""
        return f"{self.ready} of {self.replicas} pods are ready{young}"
