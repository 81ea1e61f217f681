"""Which groups, versions and kinds are served: plain and aggregated discovery, and the version. Pure."""

from __future__ import annotations

from typing import Any

from localcluster.apiserver.resources import Registry, Resource

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0-localcluster",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "built-in",
}


def core_versions() -> dict[str, Any]:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(registry: Registry) -> dict[str, Any]:
    """GET /apis."""
    found = [group(registry, name) for name in registry.groups() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(registry: Registry, name: str) -> dict[str, Any]:
    """GET /apis/<group>."""
    versions = [{"groupVersion": f"{name}/{each}", "version": each} for each in registry.groups()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(registry: Registry, group: str, version: str) -> dict[str, Any]:
    """GET /api/v1 or /apis/<group>/<version>."""
    found = []
    for each in _of_version(registry, group, version):
        found.append(_resource(each))
        found.extend(_subresource(each, name) for name in each.subresources)
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}


def _of_version(registry: Registry, group: str, version: str) -> list[Resource]:
    found = [each for each in registry.all() if (each.group, each.version) == (group, version)]
    return sorted(found, key=lambda each: each.plural)


def _resource(each: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": each.plural,
        "singularName": each.singular,
        "namespaced": each.namespaced,
        "kind": each.kind,
        "verbs": list(each.verbs),
    }
    if each.short_names:
        entry["shortNames"] = list(each.short_names)
    if each.categories:
        entry["categories"] = list(each.categories)
    return entry


def _subresource(each: Resource, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{each.plural}/{name}",
        "singularName": "",
        "namespaced": each.namespaced,
        "kind": each.kind,
        "verbs": _verbs(name),
    }
    if name == "scale":
        entry |= {"kind": "Scale", "group": "autoscaling", "version": "v1"}
    return entry


def _verbs(subresource: str) -> list[str]:
    return ["update"] if subresource == "finalize" else ["get", "patch", "update"]


def aggregated(registry: Registry, *, core: bool, version: str) -> dict[str, Any]:
    """GET /api and /apis as clients since 1.26 ask for them: everything in one answer."""
    items = []
    for name, versions in registry.groups().items():
        if bool(name) == core:
            continue
        items.append(
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {"version": each, "freshness": "Current", "resources": _entries(registry, name, each)}
                    for each in versions
                ],
            }
        )
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _entries(registry: Registry, group: str, version: str) -> list[dict[str, Any]]:
    return [_aggregated_entry(each) for each in _of_version(registry, group, version)]


def _aggregated_entry(each: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": each.plural,
        "responseKind": {"group": each.group, "version": each.version, "kind": each.kind},
        "scope": "Namespaced" if each.namespaced else "Cluster",
        "singularResource": each.singular,
        "verbs": list(each.verbs),
    }
    if each.short_names:
        entry["shortNames"] = list(each.short_names)
    if each.categories:
        entry["categories"] = list(each.categories)
    if each.subresources:
        entry["subresources"] = [_aggregated_subresource(each, name) for name in each.subresources]
    return entry


def _aggregated_subresource(each: Resource, name: str) -> dict[str, Any]:
    kind = {"group": each.group, "version": each.version, "kind": each.kind}
    if name == "scale":
        kind = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    return {"subresource": name, "responseKind": kind, "verbs": _verbs(name)}
