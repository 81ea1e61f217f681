"""Gateway API: an HTTPRoute that is ours as a whole, with one weighted rule. Pure.

Its list of rules is atomic under server-side apply, so weights alone cannot be shared with another owner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import APPLIED, REJECTED, Manifest, Owner, seal
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.traffic.router import KEPT, SERVICE_PORT, Backend, Split


class GatewayRouter:
    resource = HTTP_ROUTES
    splits_by_pods = False

    def render(self, owner: Owner, traffic: Traffic, split: Split) -> Manifest:
        if traffic.gateway_api is None:
            raise ValueError("traffic.gatewayAPI is not set")
        parents = [
            ref.model_dump(mode="json", by_alias=True, exclude_none=True) for ref in traffic.gateway_api.parent_refs
        ]
        hostnames = {"hostnames": list(traffic.gateway_api.hostnames)} if traffic.gateway_api.hostnames else {}
        return owner.object(
            self.resource,
            owner.name,
            annotations=split.notes,
            spec={"parentRefs": parents, **hostnames, "rules": [{"backendRefs": _backend_refs(split)}]},
        )

    def retreat(self, route: Manifest, split: Split) -> Manifest:
        back = _backend_refs(Split(split.stable))
        kept = {key: route["metadata"][key] for key in KEPT if key in route["metadata"]}
        annotations = {
            name: value
            for name, value in (route["metadata"].get("annotations") or {}).items()
            if name in (APPLIED, REJECTED)
        }
        if split.rejected:
            annotations[REJECTED] = split.rejected
        return seal(
            {
                "apiVersion": route["apiVersion"],
                "kind": route["kind"],
                "metadata": {**kept, "annotations": annotations},
                "spec": {**route["spec"], "rules": [{**rule, "backendRefs": back} for rule in route["spec"]["rules"]]},
            }
        )

    def weight_off_stable(self, route: Manifest | None, stable: Backend) -> int:
        # We write one rule; where somebody added others, the one that sends the most away counts.
        return max((_off(weights, stable.service) for weights in _rules(route)), default=0)

    def uses(self, route: Manifest | None, backend: Backend) -> bool:
        return any(weights.get(backend.service, 0) > 0 for weights in _rules(route))

    def refusal(self, route: Manifest) -> str | None:
        generation = int(route["metadata"].get("generation") or 0)
        for parent in (route.get("status") or {}).get("parents") or ():
            for condition in parent.get("conditions") or ():
                is_current = int(condition.get("observedGeneration") or 0) >= generation
                if is_current and condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] == "False":
                    gateway = (parent.get("parentRef") or {}).get("name", "?")
                    return (
                        f"Gateway '{gateway}' does not take the route: {condition.get('message', '')} "
                        f"({condition.get('reason', condition['type'])})."
                    )
        return None

    def candidate_pods(self, weight: int, wished: int | None) -> int | None:
        return wished


def _backend_refs(split: Split) -> list[dict[str, Any]]:
    """A backend that gets nothing is left out: an HTTPRoute that names a Service which is gone is not resolved."""
    shares = {split.stable.service: 100 - split.weight}
    if split.candidate:
        shares[split.candidate.service] = split.weight
    return [{"name": name, "port": SERVICE_PORT, "weight": weight} for name, weight in shares.items() if weight]


def _rules(route: Manifest | None) -> Iterator[Counter[str]]:
    """Weights by Service, of each rule."""
    for rule in (route or {}).get("spec", {}).get("rules") or ():
        weights: Counter[str] = Counter()
        for ref in rule.get("backendRefs") or ():
            weights[ref["name"]] += 1 if ref.get("weight") is None else int(ref["weight"])
        yield weights


def _off(weights: Counter[str], service: str) -> int:
    return 100 - round(100 * weights[service] / weights.total()) if weights.total() else 0
