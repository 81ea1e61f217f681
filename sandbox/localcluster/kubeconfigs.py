"""Kubeconfig files: one for our own server, one cut out of the user's for a single context. Asks no server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from localcluster.apiserver.certificates import write_private

USERS = Path("~/.kube/config")
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class UnknownContextError(Exception):
    """No kubeconfig of the user's has this context."""


def write_own(path: Path, url: str, authority: Path, token: str) -> None:
    """A kubeconfig for a server of ours, readable by its owner only."""
    cluster = {"server": url, "certificate-authority": str(authority)}
    _write(path, "sandbox", {"cluster": cluster, "user": {"token": token}, "namespace": "default"})


def write_single_context(path: Path, context: str) -> str:
    """Cut one context out of the user's kubeconfig, so that nothing can stray to another cluster; its server's URL."""
    given = _merged_user_configs()
    chosen = given["contexts"].get(context)
    if chosen is None:
        known = ", ".join(sorted(given["contexts"])) or "none"
        raise UnknownContextError(f"No context {context!r} in the kubeconfig (contexts there: {known}).")
    cluster = given["clusters"].get(chosen.get("cluster"), {})
    user = given["users"].get(chosen.get("user"), {})
    _write(path, context, {"cluster": cluster, "user": user, "namespace": chosen.get("namespace", "default")})
    return str(cluster.get("server", ""))


def _write(path: Path, name: str, parts: dict[str, Any]) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": parts["cluster"]}],
        "users": [{"name": name, "user": parts["user"]}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": parts["namespace"]}}],
        "current-context": name,
    }
    write_private(path, yaml.safe_dump(content).encode())


def _merged_user_configs() -> dict[str, dict[str, Any]]:
    """Clusters, users and contexts by name; of two with one name the first counts, as for kubectl."""
    named = os.environ.get("KUBECONFIG")
    paths = [Path(each) for each in named.split(os.pathsep) if each] if named else [USERS.expanduser()]
    merged: dict[str, dict[str, Any]] = {"clusters": {}, "users": {}, "contexts": {}}
    for path in paths:
        content = yaml.safe_load(path.read_text()) if path.exists() else None
        for section, found in merged.items():
            for entry in (content or {}).get(section) or ():
                found.setdefault(entry["name"], _absolute(entry.get(section[:-1]) or {}, path.parent))
    return merged


def _absolute(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Files are named relative to the kubeconfig they stand in, and ours stands elsewhere."""
    return {key: str(folder / value) if key in _FILES else value for key, value in entry.items()}
