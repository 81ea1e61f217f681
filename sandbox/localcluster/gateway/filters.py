"""A route's filters in Envoy's words: header changes and mirrors; `paths` has redirects and rewrites. Pure.

What is not done here is named by `not_done`, and the rule that asks for it answers with an error instead of without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from localcluster.gateway.attach import Finding
from localcluster.gateway.backends import Backend, Backends, Object
from localcluster.gateway.kinds import kind_of

_KINDS = {"RequestHeaderModifier": "requestHeaderModifier", "ResponseHeaderModifier": "responseHeaderModifier"}
_OF_RULES = frozenset({"RequestMirror", "RequestRedirect", "URLRewrite"})  # Envoy has no such thing per backend
_APPEND = {"set": "OVERWRITE_IF_EXISTS_OR_ADD", "add": "APPEND_IF_EXISTS_OR_ADD"}


def not_done(filters: Iterable[Object], *, of: Literal["rule", "backend"]) -> str | None:
    """The first filter the local cluster cannot do, in words."""
    for item in filters:
        kind: str = item["type"]
        if kind in _KINDS:
            if name := _untouchable(item[_KINDS[kind]]):
                return f"{kind} of the header '{name}'"
        elif of == "backend" or kind not in _OF_RULES:
            return kind
    return None


def header_changes(filters: Iterable[Object]) -> dict[str, Any]:
    """Fields that an Envoy route and an Envoy weighted cluster share."""
    changes: dict[str, Any] = {}
    for item in filters:
        if item["type"] in _KINDS:
            side = "request" if item["type"] == "RequestHeaderModifier" else "response"
            modifier = item[_KINDS[item["type"]]]
            added = [_header(h, _APPEND[how]) for how in ("set", "add") for h in modifier.get(how) or ()]
            removed = list(modifier.get("remove") or ())
            changes |= {f"{side}_headers_to_add": added} if added else {}
            changes |= {f"{side}_headers_to_remove": removed} if removed else {}
    return changes


def mirrors(filters: Iterable[Object], route: Object, known: Backends) -> list[dict[str, Any]]:
    """Envoy's mirror policies; a mirror whose backend does not resolve is left out, as the Gateway API says."""
    wanted = (item["requestMirror"] for item in filters if item["type"] == "RequestMirror")
    return [
        {
            "cluster": kind_of(route).cluster(backend),
            "runtime_fraction": {"default_value": {"numerator": _millionths(mirror), "denominator": "MILLION"}},
            # Else the copy's Host would get a suffix, and a model server that looks at it would answer otherwise.
            "disable_shadow_host_suffix_append": True,
        }
        for mirror in wanted
        if isinstance(backend := resolve(mirror["backendRef"], route["metadata"]["namespace"], known), Backend)
    ]


def resolve(ref: Object, namespace: str, known: Backends) -> Backend | Finding:
    """The backend that a reference in a route of this namespace means, or why there is none."""
    group, kind, name = ref.get("group", ""), ref.get("kind", "Service"), ref["name"]
    if (group, kind) != ("", "Service"):
        return Finding("InvalidKind", f"A backend is a Service; {kind} '{name}' is not.")
    if ref.get("namespace", namespace) != namespace:
        message = (
            f"Service '{name}' is in namespace '{ref['namespace']}', and the local cluster has no ReferenceGrants."
        )
        return Finding("RefNotPermitted", message)
    backend = Backend(namespace, name, ref.get("port", 0))
    if backend not in known:
        return Finding("BackendNotFound", f"There is no Service '{name}' with port {ref.get('port')}.")
    return backend


def _header(header: Object, how: str) -> dict[str, Any]:
    value = header["value"].replace("%", "%%")  # a single one starts an Envoy variable
    return {"header": {"key": header["name"], "value": value}, "append_action": how}


def _untouchable(modifier: Object) -> str | None:
    """A header that Envoy does not let routes change: it would refuse the whole configuration."""
    names: Sequence[str] = [h["name"] for how in ("set", "add") for h in modifier.get(how) or ()]
    return next(
        (n for n in [*names, *(modifier.get("remove") or ())] if n.lower() == "host" or n.startswith(":")), None
    )


def _millionths(mirror: Object) -> int:
    fraction = mirror.get("fraction") or {"numerator": mirror.get("percent", 100)}
    numerator, denominator = int(fraction["numerator"]), int(fraction.get("denominator", 100))
    return round(1_000_000 * numerator / denominator)
