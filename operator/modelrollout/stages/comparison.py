"""What a stage with `compare` runs beside the candidate: a comparer that gets the copies, and its Service. Pure.

Pods of a comparer are none of any version's: they have neither the label nor the names by which those are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from modelrollout.analysis.copies import fault_of_sizes
from modelrollout.api.compare import Compare
from modelrollout.api.findings import Finding
from modelrollout.api.shadow import Copies
from modelrollout.api.stages import StageKind
from modelrollout.comparer.config import Config, Version
from modelrollout.objects.access import OWN, Access
from modelrollout.objects.manifests import (
    COMPARER_LABEL,
    COMPARER_PORT,
    REVISION_LABEL,
    Apply,
    Manifest,
    Ref,
)
from modelrollout.objects.resources import DEPLOYMENTS, SERVICES
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic import revision_service
from modelrollout.traffic.router import SERVICE_PORT, Backend
from modelrollout.trial.trial import Step, Trial

MANAGER = "modelrollout-comparer"
"""Field manager of a comparer's objects."""
COPIES_PORT = 8080
ACCESS = (Access(DEPLOYMENTS, OWN), Access(SERVICES, OWN))
_SUFFIX = "cmp"  # a Service's name has 63 characters at most, and a rollout's may have 46, its revision 10
_MEBI = 1 << 20
_OWN_MEMORY = 160 * _MEBI
"""What the process needs with nothing in work; a third of it is never used."""
_NOBODY = 65532


def backend(trial: Trial) -> Backend:
    """Whoever gets the copies instead of the candidate."""
    return Backend(f"{trial.candidate.workload}-{_SUFFIX}", trial.candidate.revision, COPIES_PORT)


def fault(name: str, kind: StageKind, wish: Wish) -> Finding | None:
    """Why nothing could be compared."""
    if kind.copies is None or kind.copies.compare is None:
        return None
    where = f"spec.stages[{name}]: compare"
    sizes = kind.copies.compare.request_sizes
    if sizes is not None and (why := fault_of_sizes(sizes, f"{where}.requestSizes")) is not None:
        return Finding("InvalidSpec", why)
    if wish.spec.traffic.grpc is not None:
        return Finding("InvalidSpec", f"{where} reads HTTP and JSON, not gRPC: leave it out.")
    if not wish.comparer_image:
        return Finding(
            "NoComparerImage",
            f"{where} needs a comparer, and the operator was not told its image: start it with --comparer-image "
            "(or $MODELROLLOUT_COMPARER_IMAGE), which is the operator's own image, or leave it out.",
        )
    return None


def is_not_ready(trial: Trial) -> Finding | None:
    """Without it nothing is compared, and nothing is said of the candidate."""
    name = backend(trial).service
    found = trial.facts.world.objects.get(Ref(DEPLOYMENTS, trial.facts.rollout.owner.namespace, name))
    ready = (found.get("status") or {}).get("readyReplicas") if isinstance(found, dict) else None
    if ready:
        return None
    return Finding(
        "ComparerNotReady", f"{trial.stage.name}: Deployment '{name}', which compares answers, is not ready."
    )


def with_comparer(step: Step, copies: Copies) -> Step:
    """The step with a comparer that gets the copies, if they are compared."""
    if copies.compare is None:
        return step
    alive = partial(objects, copies, copies.compare)
    waits = (is_not_ready, *step.waits)
    return replace(step, waits=waits, compare=copies.compare, copies_to=backend, objects=alive)


def objects(copies: Copies, compare: Compare, trial: Trial) -> Iterator[Apply]:
    """The Deployment and the Service, alive for as long as the step is."""
    yield Apply(_deployment(copies, compare, trial), MANAGER)
    yield Apply(_service(trial), MANAGER)


def _service(trial: Trial) -> Manifest:
    own = backend(trial)
    return trial.facts.rollout.owner.object(
        SERVICES,
        own.service,
        spec={
            "selector": _labels(trial),
            "ports": [{"name": "http", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": own.port}],
        },
    )


def _deployment(copies: Copies, compare: Compare, trial: Trial) -> Manifest:
    labels = _labels(trial)
    scraped = {"scrape": "true", "port": str(COMPARER_PORT), "path": "/metrics"}
    return trial.facts.rollout.owner.object(
        DEPLOYMENTS,
        backend(trial).service,
        spec={
            "replicas": compare.replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {f"prometheus.io/{name}": text for name, text in scraped.items()},
                },
                "spec": {
                    "automountServiceAccountToken": False,  # it has no business with the API server
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": _NOBODY,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(copies, compare, trial)],
                },
            },
        },
    )


def _container(copies: Copies, compare: Compare, trial: Trial) -> Manifest:
    ports = (("copies", COPIES_PORT), ("http", COMPARER_PORT))
    return {
        "name": "comparer",
        "image": trial.wish.comparer_image,
        "command": ["python", "-m", "modelrollout.comparer"],
        "args": ["--host", "0.0.0.0", "--config", _told(copies, compare, trial)],  # noqa: S104 - a gateway asks
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": _memory(compare)}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _memory(compare: Compare) -> str:
    """Each copy in work has a request and two answers; one of them at a time is taken apart, which is larger."""
    body = compare.limits.body_kibibytes * 1024
    return f"{-(-(_OWN_MEMORY + body * (3 * compare.limits.concurrency + 30)) // _MEBI)}Mi"


def _told(copies: Copies, compare: Compare, trial: Trial) -> str:
    """The comparer's configuration. Kubernetes would fill in what stands in $(…), so no dollar stands before one."""
    owner, stable = trial.facts.rollout.owner, trial.status.stable
    old = stable or trial.candidate  # a candidate on trial always has a stable version beside it
    told = Config(
        namespace=owner.namespace,
        rollout=owner.name,
        stable=Version(url=_url(trial, old.workload), revision=old.revision),
        candidate=Version(url=_url(trial, trial.candidate.workload), revision=trial.candidate.revision),
        methods=tuple(sorted(copies.methods)),
        compare=compare,
    )
    return told.model_dump_json(by_alias=True, exclude_none=True).replace("$(", "\\u0024(")


def _url(trial: Trial, workload: str) -> str:
    namespace = trial.facts.rollout.owner.namespace
    return revision_service.url(namespace, workload, trial.facts.world.objects.get(Ref(SERVICES, namespace, workload)))


def _labels(trial: Trial) -> dict[str, str]:
    return {COMPARER_LABEL: trial.facts.rollout.owner.name, REVISION_LABEL: trial.candidate.revision}
