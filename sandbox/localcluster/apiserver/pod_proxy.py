"""The `proxy` of a pod: a GET that is passed on to the pod itself, as `kubectl get --raw` and dashboards do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from localcluster.apiserver import errors
from localcluster.apiserver.errors import StatusError

_PATH = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/:]+)(?::(\d+))?/proxy(/.*)?")
_PATIENCE = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True)
class Door:
    """What of which pod is asked for."""

    namespace: str
    pod: str
    port: int
    path: str


def door(path: str) -> Door | None:
    """None when the path is not that of a pod's proxy."""
    found = _PATH.fullmatch(path)
    return Door(found[1], found[2], int(found[3] or 80), found[4] or "/") if found else None


async def passed_on(request: web.Request, at: Door, pod: dict[str, Any]) -> web.Response:
    """The pod's own answer. Raises StatusError when it gives none."""
    if request.method != "GET":
        raise errors.method_not_allowed()
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise StatusError(503, "ServiceUnavailable", f"pod {at.pod} has no address yet")
    url = f"http://{address}:{at.port}{at.path}"
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as client,
            client.get(url, params=request.query, allow_redirects=False) as reply,
        ):
            body = await reply.read()
            return web.Response(status=reply.status, body=body, content_type=reply.content_type)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise StatusError(503, "ServiceUnavailable", f"error trying to reach pod {at.pod}: {error}") from None
