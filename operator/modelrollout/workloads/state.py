"""What is known of one revision's workload, whatever its kind. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_UNAVAILABLE = 0.25
"""Share of its pods that a workload may lack and still carry its traffic: Kubernetes' own default for Deployments."""


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """Pods wished for and ready, as the workload's controller last reported them."""

    name: str
    revision: str
    replicas: int
    ready: int
    is_observed: bool  # the controller has seen the latest change
    starting: int = 0  # pods that were never ready yet, where they are not to be counted against it

    @property
    def is_fully_ready(self) -> bool:
        """All of its pods are: needed before it is given (more) traffic."""
        return self.is_observed and self.replicas > 0 and self.ready >= self.replicas

    @property
    def can_serve(self) -> bool:
        """Enough of its pods are ready to keep the traffic it has; one pod that is replaced must not stop a release."""
        up = self.replicas - self.starting
        return self.ready > 0 and self.ready >= up - int(up * MAX_UNAVAILABLE)
