"""Where a request is sent to instead, by a redirect or a rewrite, in Envoy's words. Pure.

The table of prefixes is that of HTTPPathModifier in the Gateway API's reference: `/xyz` for `/foo` makes `/foo/bar`
`/xyz/bar`, and nothing for `/foo` makes it `/bar`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from localcluster.gateway.backends import Object
from localcluster.gateway.http_matches import prefix

_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def redirect(filters: Iterable[Object], match: Object) -> dict[str, Any]:
    """The fields of an Envoy route that answers with another address; none when no filter asks for that."""
    asked = _filter(filters, "RequestRedirect", "requestRedirect")
    if asked is None:
        return {}
    names = {"scheme": "scheme_redirect", "hostname": "host_redirect", "port": "port_redirect"}
    changes = {names[field]: asked[field] for field in names if field in asked}
    code = _CODES[asked.get("statusCode", 302)]
    return {"redirect": {**changes, **_new_path(asked, match), "response_code": code}}


def rewrite(filters: Iterable[Object], match: Object) -> dict[str, Any]:
    """The fields of an Envoy route action that change host and path on the way to the backend."""
    asked = _filter(filters, "URLRewrite", "urlRewrite") or {}
    host = {"host_rewrite_literal": asked["hostname"]} if "hostname" in asked else {}
    return {**host, **_new_path(asked, match)}


def lacks_prefix(filters: Iterable[Object], matches: Iterable[Object]) -> bool:
    """Whether a prefix is to be replaced of paths that are not matched by prefix."""
    changes = (item.get("requestRedirect") or item.get("urlRewrite") or {} for item in filters)
    replaced = any((change.get("path") or {}).get("type") == "ReplacePrefixMatch" for change in changes)
    return replaced and any(prefix(match) is None for match in matches)


def _filter(filters: Iterable[Object], kind: str, field: str) -> Object | None:
    return next((item[field] for item in filters if item["type"] == kind), None)


def _new_path(asked: Object, match: Object) -> dict[str, Any]:
    path = asked.get("path")
    if not path:
        return {}
    if path["type"] == "ReplaceFullPath":
        return _replaced(".+", path.get("replaceFullPath") or "/")
    old, new = re.escape(prefix(match) or ""), (path.get("replacePrefixMatch") or "").rstrip("/")
    return _replaced(f"^{old}", new) if new else _replaced(f"^{old}/*", "/")


def _replaced(pattern: str, text: str) -> dict[str, Any]:
    literal = text.replace("\\", "\\\\")  # a single one starts a reference to a group
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": literal}}
