"""Kubernetes objects, with everything that does not matter filled in."""

from __future__ import annotations

from typing import Any

from modelrollout.objects.manifests import Manifest
from modelrollout.shell.finalizer import FINALIZER
from tests.builders.metrics import ERRORS
from tests.builders.specs import spec


def rollout(version: str = "1", **changes: Any) -> Manifest:
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"namespace": "ml", "name": "fraud", "uid": "uid-fraud", "finalizers": [FINALIZER]},
        "spec": spec(version, **changes),
    }


def metric_template(kind: str = "MetricTemplate", name: str = "errors", **changes: Any) -> Manifest:
    """A template of the errors above, whose tolerance is an argument."""
    wanted: Manifest = {
        "arguments": [{"name": "tolerance", "default": "25%"}, {"name": "minSamples", "default": "50"}],
        "metrics": [
            {
                **ERRORS,
                "tolerance": {"relative": "{{ args.tolerance }}", "absolute": "0.1%"},
                "minSamples": "{{ args.minSamples }}",
            }
        ],
    }
    namespace = {"namespace": "ml"} if kind == "MetricTemplate" else {}
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **namespace},
        "spec": {**wanted, **changes},
    }


def settings(namespace: str, name: str = "settings", **data: str) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(namespace: str, replicas: int = 1) -> Manifest:
    labels = {"app": "fraud"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": "plain"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "fraud", "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }
