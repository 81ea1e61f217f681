"""Deployments and their kin: strategies, selectors, replicas. Pure; nothing here makes a pod."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from localcluster.apiserver.builtin.pods import one_of, spec_errors, with_template_defaults
from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.store import Object

_QUARTERS = {"maxUnavailable": "25%", "maxSurge": "25%"}
_CHANGEABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_ONLY = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def with_deployment_defaults(deployment: Object) -> Object:
    deployment = with_template_defaults(deployment)
    spec = deployment.get("spec") or {}
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "RollingUpdate":
        strategy = {**strategy, "rollingUpdate": {**_QUARTERS, **(strategy.get("rollingUpdate") or {})}}
    return {**deployment, "spec": {**spec, "strategy": strategy}}


def with_stateful_set_defaults(item: Object) -> Object:
    item = with_template_defaults(item)
    spec = item.get("spec") or {}
    strategy = {"type": "RollingUpdate", **(spec.get("updateStrategy") or {})}
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {"partition": 0, **(strategy.get("rollingUpdate") or {})}
    return {**item, "spec": {**spec, "updateStrategy": strategy}}


def created_with(status: dict[str, Any]) -> Callable[[Object], Object]:
    """A new workload's status, as it is before any controller has looked."""
    return lambda item: {**item, "status": status}


def with_daemon_set_defaults(item: Object) -> Object:
    item = with_template_defaults(item)
    metadata = dict(item["metadata"])
    given = {"deprecated.daemonset.template.generation": "1"}
    metadata["annotations"] = {**given, **(metadata.get("annotations") or {})}
    return {**item, "metadata": metadata}


def with_job_defaults(job: Object) -> Object:
    """A job runs once unless it says how often; with neither number it is done when one pod is."""
    job = with_template_defaults(job)
    spec = dict(job.get("spec") or {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("manualSelector", False)
    return {**job, "spec": spec}


def created_job(job: Object) -> Object:
    """A job selects its pods by its own uid."""
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector"):
        return job
    labels = {
        "batch.kubernetes.io/controller-uid": metadata["uid"],
        "controller-uid": metadata["uid"],
        "batch.kubernetes.io/job-name": metadata["name"],
        "job-name": metadata["name"],
    }
    template = spec.get("template") or {}
    of_pods = template.get("metadata") or {}
    template = {**template, "metadata": {**of_pods, "labels": {**(of_pods.get("labels") or {}), **labels}}}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
    shown = {**metadata, "labels": metadata.get("labels") or template["metadata"]["labels"]}
    return {**job, "metadata": shown, "spec": {**spec, "selector": selector, "template": template}, "status": {}}


def workload_errors(new: Object, old: Object | None) -> list[FieldError]:
    """The errors in any kind that runs replicas of a template."""
    spec = new.get("spec") or {}
    found = list(_selector_errors(spec))
    found += spec_errors((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")
    if spec.get("replicas", 0) < 0:
        detail = f"{spec['replicas']}: must be greater than or equal to 0"
        found.append(FieldError("spec.replicas", "Invalid value", detail))
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        detail = f'"{policy}": supported values: "Always"'
        found.append(FieldError("spec.template.spec.restartPolicy", "Unsupported value", detail))
    found += _strategy_errors(spec.get("strategy") or {})
    if old is not None and spec.get("selector") != old["spec"].get("selector"):
        found.append(
            FieldError("spec.selector", "Invalid value", f"{_shown(spec.get('selector'))}: field is immutable")
        )
    return found


def stateful_set_errors(new: Object, old: Object | None) -> list[FieldError]:
    """The errors in a StatefulSet; most of its spec is immutable."""
    spec = new.get("spec") or {}
    found = workload_errors(new, None)
    found += _either(spec.get("podManagementPolicy"), "spec.podManagementPolicy", "OrderedReady", "Parallel")
    strategy = spec.get("updateStrategy") or {}
    found += _either(strategy.get("type"), "spec.updateStrategy", "RollingUpdate", "OnDelete")
    if strategy.get("type") == "OnDelete" and strategy.get("rollingUpdate"):
        why = f"{_shown(strategy['rollingUpdate'])}: only allowed for updateStrategy 'RollingUpdate'"
        found.append(FieldError("spec.updateStrategy.rollingUpdate", "Invalid value", why))
    if old is not None and _fixed(spec) != _fixed(old["spec"]):
        found.append(FieldError("spec", "Forbidden", _ONLY))
    return found


def _either(value: str | None, path: str, one: str, other: str) -> Iterator[FieldError]:
    if value not in (None, one, other):
        yield FieldError(path, "Invalid value", f"{_shown(value)}: must be '{one}' or '{other}'")


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in _CHANGEABLE}


def _strategy_errors(strategy: dict[str, Any]) -> Iterator[FieldError]:
    yield from one_of(strategy.get("type"), "spec.strategy.type", ("Recreate", "RollingUpdate"))
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        why = "may not be specified when strategy `type` is 'Recreate'"
        yield FieldError("spec.strategy.rollingUpdate", "Forbidden", why)


def _shown(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _selector_errors(spec: dict[str, Any]) -> Iterator[FieldError]:
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selector:
        yield FieldError("spec.selector", "Required value")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield FieldError("spec.selector", "Invalid value", "{}: empty selector is invalid for deployment")
    wanted = (selector or {}).get("matchLabels") or {}
    if not selector or any(labels.get(key) != value for key, value in wanted.items()):
        detail = f"{_shown(labels or None)}: `selector` does not match template `labels`"
        yield FieldError("spec.template.metadata.labels", "Invalid value", detail)


def job_errors(new: Object, old: Object | None) -> list[FieldError]:
    spec = new.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    found = list(spec_errors(template, "spec.template.spec"))
    if template.get("restartPolicy") == "Always":
        detail = 'valid values: "OnFailure", "Never"'
        found.append(FieldError("spec.template.spec.restartPolicy", "Required value", detail))
    before = spec if old is None else old["spec"]
    changed = [key for key in ("template", "selector", "completions") if spec.get(key) != before.get(key)]
    found += [
        FieldError(f"spec.{key}", "Invalid value", f"{_shown(spec.get(key))}: field is immutable") for key in changed
    ]
    return found
