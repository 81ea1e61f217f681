"""Resources for tests, with everything that does not matter filled in."""

from __future__ import annotations

from typing import Any

from modelrollout.kube import Manifest
from modelrollout.shell.reconcile import FINALIZER

ERRORS: Manifest = {
    "name": "errors",
    "ratio": {
        "bad": 'http_requests_total{pod=~"{{ pods }}",code=~"5.."}',
        "total": 'http_requests_total{pod=~"{{ pods }}"}',
    },
    "tolerance": {"relative": "25%", "absolute": "0.1%"},
    "max": "5%",
    "minSamples": 50,
}


def spec(version: str = "1", **changes: Any) -> Manifest:
    """A spec whose canary has the steps 5, 25, 50, 100, each held for a minute."""
    wanted: Manifest = {
        "model": {"name": "fraud-detector", "version": version},
        "workload": {
            "template": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "spec": {
                    "replicas": 4,
                    "template": {
                        "spec": {
                            "containers": [{"name": "server", "image": "registry.example/fraud:{{ model.version }}"}]
                        }
                    },
                },
            }
        },
        "traffic": {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}},
        "stages": [{"name": "canary", "canary": {"weights": [5, 25, 50, 100], "hold": "1m"}}],
        "analysis": {"interval": "15s", "metrics": [ERRORS]},
        "promotion": {"bake": "2m", "keepOld": "5m"},
        "progressDeadline": "10m",
    }
    return {**wanted, **changes}


def rollout(version: str = "1", **changes: Any) -> Manifest:
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"namespace": "ml", "name": "fraud", "uid": "uid-fraud", "finalizers": [FINALIZER]},
        "spec": spec(version, **changes),
    }


def metric_template(kind: str = "MetricTemplate", name: str = "errors", **changes: Any) -> Manifest:
    """A template of the errors above, whose tolerance is an argument."""
    spec: Manifest = {
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
        "spec": {**spec, **changes},
    }
