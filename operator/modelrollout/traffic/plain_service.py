"""Plain Services, no gateway: one Service in front, whose selector decides. Pure.

0 and 100 % are exact (the selector names one revision). Between them it selects both, and each gets the share of its
ready pods: the candidate is given as many pods as come nearest to the weight without exceeding it, but at least one.
"""

from __future__ import annotations

from modelrollout.api.base import GROUP
from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import (
    APPLIED,
    REJECTED,
    REVISION_LABEL,
    ROLLOUT_LABEL,
    Manifest,
    Owner,
    annotation,
    seal,
)
from modelrollout.objects.resources import SERVICES
from modelrollout.traffic.router import KEPT, Backend, Split

WEIGHT = f"{GROUP}/weight"
"""Annotation with the weight that a mixed selector stands for; the selector itself cannot say it."""

_WEIGHTS = {str(weight): weight for weight in range(1, 100)}


class ServiceRouter:
    resource = SERVICES
    splits_by_pods = True

    def render(self, owner: Owner, traffic: Traffic, split: Split) -> Manifest:
        # The container port of whoever serves: an edit of traffic.port must not cut off the stable pods.
        target = split.candidate.port if split.candidate and split.weight == 100 else split.stable.port
        return owner.object(
            self.resource,
            owner.name,
            annotations=_annotations(split),
            spec={
                "selector": _selector(owner.name, split),
                "ports": [{"name": "http", "port": traffic.port, "protocol": "TCP", "targetPort": target}],
            },
        )

    def retreat(self, route: Manifest, split: Split) -> Manifest:
        metadata = route["metadata"]
        kept = {key: metadata[key] for key in KEPT if key in metadata}
        rejected = split.rejected or annotation(route, REJECTED)
        back = Split(split.stable, rejected=rejected)
        (first, *_) = route["spec"].get("ports") or [{}]
        port = {"name": "http", "port": split.stable.port, "protocol": "TCP", **first, "targetPort": split.stable.port}
        return seal(
            {
                "apiVersion": route["apiVersion"],
                "kind": route["kind"],
                "metadata": {**kept, "annotations": {APPLIED: "", **_annotations(back)}},
                "spec": {"selector": _selector(metadata["name"], back), "ports": [port]},
            }
        )

    def weight_off_stable(self, route: Manifest | None, stable: Backend) -> int:
        if route is None:
            return 0
        revision = (route["spec"].get("selector") or {}).get(REVISION_LABEL)
        if revision is None:
            # A weight that cannot be read is taken for the most that a mix can be: then it is taken back, or written
            # anew, and is not mistaken for the exact switch to all, which waits for all pods.
            return _WEIGHTS.get(annotation(route, WEIGHT) or "", 99)
        return 0 if revision == stable.revision else 100

    def uses(self, route: Manifest | None, backend: Backend) -> bool:
        if route is None:
            return False
        return (route["spec"].get("selector") or {}).get(REVISION_LABEL) in (None, backend.revision)

    def refusal(self, route: Manifest) -> str | None:
        return None

    def candidate_pods(self, weight: int, wished: int | None) -> int | None:
        if wished is None or weight >= 100:
            return wished
        return max(1, min(wished, weight * wished // (100 - weight)))


def _selector(rollout: str, split: Split) -> dict[str, str]:
    if split.candidate and 0 < split.weight < 100:
        return {ROLLOUT_LABEL: rollout}
    one = split.candidate if split.candidate and split.weight == 100 else split.stable
    return {ROLLOUT_LABEL: rollout, REVISION_LABEL: one.revision}


def _annotations(split: Split) -> dict[str, str]:
    return {**split.notes, WEIGHT: str(split.weight if split.candidate else 0)}
