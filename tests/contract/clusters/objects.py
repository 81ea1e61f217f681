"""Objects that any cluster takes."""

from __future__ import annotations

from modelrollout.kube import Manifest


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
