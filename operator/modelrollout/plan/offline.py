"""What an operator would say and make of a ModelRollout that is only in a file, beside objects of other files. Pure.

The same code decides as in a cluster, so words are the same. What only a cluster knows (traffic, gateways, quotas) is
taken to be well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from modelrollout.api.base import KIND
from modelrollout.api.errors import spec_error
from modelrollout.api.findings import Finding
from modelrollout.api.metric_templates import MetricTemplateSpec
from modelrollout.api.status import Arm, ModelRolloutStatus, Phase
from modelrollout.objects.manifests import APPLIED, Delete, Manifest, Ref, outcome
from modelrollout.plan import desired, foresight
from modelrollout.plan.conditions import MAY_ARRIVE
from modelrollout.plan.planner import plan
from modelrollout.rollout.rollout import Rollout, Wish, parse
from modelrollout.trial.facts import Facts
from modelrollout.trial.world import World

SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)
"""Nothing here depends on the time."""
SOME_IMAGE = "modelrollout"
"""Of the operator, as far as comparers need one."""
_ELSEWHERE = "It may be in the cluster; it is in none of these files, so what depends on it is not checked."
Objects = Mapping[Ref, Manifest]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to be said about a manifest."""

    severity: Literal["error", "warning"]
    message: str


def remarks(manifest: Manifest, others: Objects) -> Iterator[Remark]:
    """What the operator, or the API server before it, would say to a ModelRollout or a template of metrics."""
    if manifest["kind"] != KIND:
        yield from _of_a_template(manifest)
        return
    rollout = _rollout(manifest, others)
    if (fault := _fault(rollout, others)) is not None:
        said = f"{fault.reason}: {fault.message}"
        yield Remark("warning", f"{said} {_ELSEWHERE}") if fault.reason in MAY_ARRIVE else Remark("error", said)
    if rollout.wish is not None:
        yield from (Remark("warning", f"{sentence}.") for sentence in foresight.in_the_open(rollout.wish))


def _of_a_template(manifest: Manifest) -> Iterator[Remark]:
    try:
        MetricTemplateSpec.model_validate(manifest.get("spec") or {})
    except ValidationError as error:
        yield Remark("error", f"InvalidMetricTemplate: {spec_error(error, of=MetricTemplateSpec)}")


def objects(manifest: Manifest, others: Objects) -> Iterator[Manifest]:
    """The objects of a ModelRollout whose version serves everybody, in the order in which they are written.

    None where the spec cannot be carried out. Without what only a cluster can fill in.
    """
    rollout = _rollout(manifest, others)
    if rollout.wish is None or _fault(rollout, others) is not None:
        return
    facts = _facts(rollout, others)
    for write in desired.writes(facts, _serving(rollout, rollout.wish), rollout.wish):
        if not isinstance(write, Delete):
            yield _bare(outcome(write, others.get(write.ref)))


def _rollout(manifest: Manifest, others: Objects) -> Rollout:
    metadata = {part: manifest["metadata"][part] for part in ("namespace", "name")}  # nothing else of it counts here
    return parse({**manifest, "metadata": metadata, "status": {}}, others, SOME_IMAGE)


def _facts(rollout: Rollout, others: Objects) -> Facts:
    return Facts(rollout, World(rollout.owner.name, others), SOME_DAY)


def _fault(rollout: Rollout, others: Objects) -> Finding | None:
    status = plan(rollout, World(rollout.owner.name, others), SOME_DAY).status
    ready = status.condition("Ready")
    return Finding(ready.reason, ready.message) if status.phase is Phase.INVALID and ready is not None else None


def _serving(rollout: Rollout, wish: Wish) -> ModelRolloutStatus:
    workload, port = rollout.workload(wish.revision), wish.spec.traffic.port
    stable = Arm(revision=wish.revision, model=wish.model, workload=workload, port=port)
    return ModelRolloutStatus(phase=Phase.HEALTHY, stable=stable)


def _bare(manifest: Manifest) -> Manifest:
    """Without owner and digest: the one has an id of the cluster's, the other says nothing to people."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "ownerReferences"}
    annotations = {name: value for name, value in (metadata.pop("annotations", None) or {}).items() if name != APPLIED}
    return {**manifest, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}
