"""One authenticated connection to an API server: a request goes out, a dictionary or a `KubeError` comes back.

Knows credentials, timeouts and counting; `cluster.py` decides what to ask for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import yaml

from modelrollout.kube import errors
from modelrollout.kube.server_time import ServerTime, here
from modelrollout.kube.watching import lines
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import Resource

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A call to be made; `verb` as in RBAC rules."""

    verb: str
    resource: Resource
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    body: Manifest | None = None
    content_type: str = "application/json"
    beyond: str = ""  # a path of the object itself, as of a pod behind its proxy

    @property
    def path(self) -> str:
        return self.resource.path(self.namespace, self.name, self.subresource) + self.beyond

    @property
    def counted_as(self) -> tuple[str, str]:
        plural = self.resource.plural
        return self.verb, f"{plural}/{self.subresource}" if self.subresource else plural


@dataclass(frozen=True, slots=True)
class Credentials:
    """The way in, for another client in the same process (kopf has its own)."""

    server: str
    verify: bool
    ca_path: str | None
    token: str | None
    certificate_path: str | None
    private_key_path: str | None
    username: str | None
    password: str | None


class Connection:
    def __init__(
        self,
        kubeconfig: Path | None,
        context: str | None,
        timeout: float,
        user_agent: str,
        left_alone: Mapping[Resource, str],
    ) -> None:
        self._kubeconfig, self._context, self._timeout, self._user_agent = kubeconfig, context, timeout, user_agent
        self._left_alone = left_alone
        self._api: Any = None
        self._renewing = asyncio.Lock()
        self.requests: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[tuple[str, str, str]] = Counter()
        self.time = ServerTime()

    async def open(self) -> None:
        from kubernetes.aio import client  # takes half a second, which importers of the errors alone are spared

        configuration = await _load(self._kubeconfig, self._context)
        if _is_loopback(configuration.host):
            # As kubectl does: requests to this machine do not go through a proxy from the environment.
            configuration.client_session_kwargs = {"trust_env": False}
        self._api = client.ApiClient(configuration)

    async def close(self) -> None:
        await self._api.close()

    async def credentials(self) -> Credentials:
        """Read anew, so that a token which has been rotated since is the new one."""
        loaded = await _load(self._kubeconfig, self._context)
        bearer = await loaded.get_api_key_with_prefix("BearerToken")
        return Credentials(
            server=loaded.host,
            verify=bool(loaded.verify_ssl),
            ca_path=loaded.ssl_ca_cert,
            token=bearer.split(" ", 1)[-1] if bearer else None,
            certificate_path=loaded.cert_file,
            private_key_path=loaded.key_file,
            username=loaded.username or None,
            password=loaded.password or None,
        )

    def default_namespace(self) -> str:
        """The pod's own, or that of the kubeconfig's context. Raises NoCluster."""
        if self._kubeconfig is None and self._context is None and _is_in_a_pod():
            return SERVICE_ACCOUNT.with_name("namespace").read_text().strip()
        contexts, current = _contexts(self._kubeconfig)
        wanted = self._context or current["name"]
        found: Manifest = next((each["context"] for each in contexts if each["name"] == wanted), {})
        return str(found.get("namespace") or "default")

    async def call(self, request: Request, *, within: float | None = None) -> Manifest:
        """The whole answer, within the timeout; where it is shorter, `within` so many seconds from now."""
        sent = here()
        with self._trouble(request):
            async with (
                asyncio.timeout(within),
                await self._send(request, aiohttp.ClientTimeout(total=self._timeout)) as reply,
            ):
                self.time.heard(reply.headers.get("Date"), sent, here())
                data = await reply.text(errors="replace")
                if reply.status >= 400:
                    raise self._refusal(reply.status, data, request)
                answer: Manifest = json.loads(data)
                return answer

    async def stream(self, request: Request, quiet: float) -> AsyncGenerator[Manifest]:
        """The events of one watch, until the server ends it; silent for `quiet` seconds, it counts as dead."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=quiet)
        with self._trouble(request):
            async with await self._send(request, patience) as reply:
                if reply.status >= 400:
                    raise self._refusal(reply.status, await reply.text(errors="replace"), request)
                async for line in lines(reply.content):
                    event: Manifest = json.loads(line)
                    if event["type"] == "ERROR":
                        raise self._refusal(event["object"].get("code", 500), json.dumps(event["object"]), request)
                    yield event

    async def _send(self, request: Request, patience: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        if (integration := self._left_alone.get(request.resource)) is not None:
            raise errors.LeftAlone(integration, request.path)
        self.requests[request.counted_as] += 1
        reply, token = await self._send_once(request, patience)
        if reply.status != 401:
            return reply
        # Tokens rotate: service accounts hourly, exec plugins as they please. Ask for a new one, once.
        reply.close()
        await self._renew(token)
        return (await self._send_once(request, patience))[0]

    async def _send_once(
        self, request: Request, patience: aiohttp.ClientTimeout
    ) -> tuple[aiohttp.ClientResponse, str | None]:
        method, path = METHODS[request.verb], request.path
        headers = {"Accept": "application/json", "Content-Type": request.content_type, "User-Agent": self._user_agent}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, request.body)
        url = self._api.configuration.host + path + (f"?{urlencode(request.query)}" if request.query else "")
        reply = await self._api.call_api(method, url, headers, request.body, _request_timeout=patience)
        return reply.response, headers.get("authorization")

    async def _renew(self, refused: str | None) -> None:
        async with self._renewing:
            current = self._api.configuration
            if current.api_key.get("BearerToken") != refused:
                return  # another request's renewal came first
            fresh = await _load(self._kubeconfig, self._context)
            current.api_key, current.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook

    @contextmanager
    def _trouble(self, request: Request) -> Iterator[None]:
        """Turns what the layers below raise into `Unreachable`."""
        try:
            yield
        except TimeoutError as error:
            raise self._unheard(request, "the API server did not answer in time") from error
        except json.JSONDecodeError as error:
            raise self._unheard(request, "the answer is not JSON; is a proxy in between?") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unheard(request, str(error or type(error).__name__)) from error

    def _unheard(self, request: Request, why: str) -> errors.KubeError:
        self.failures[*request.counted_as, "none"] += 1
        return errors.Unreachable(f"{request.path}: {why}")

    def _refusal(self, status: int, data: str, request: Request) -> errors.KubeError:
        self.failures[*request.counted_as, str(status)] += 1
        kind = f"{request.resource.plural} of {request.resource.api_version}"
        return errors.from_answer(status, data, request.path, kind)


def _contexts(kubeconfig: Path | None) -> Any:
    from kubernetes.aio import config

    try:
        where = _kubeconfig_path(kubeconfig)
        return config.kube_config.list_kube_config_contexts(where)  # type: ignore[no-untyped-call]
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
        raise errors.NoCluster(f"The kubeconfig cannot be used: {error}") from error


async def _load(kubeconfig: Path | None, context: str | None) -> Any:
    from kubernetes.aio import client, config

    configuration = client.Configuration()
    try:
        if kubeconfig is None and context is None and _is_in_a_pod():
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            where = _kubeconfig_path(kubeconfig)
            # persist_config would rewrite the user's file.
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                where, context, client_configuration=configuration, persist_config=False
            )
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError) as error:
        raise errors.NoCluster(f"The kubeconfig cannot be used: {error}") from error
    return configuration


def _is_in_a_pod() -> bool:
    return SERVICE_ACCOUNT.exists()


def _kubeconfig_path(kubeconfig: Path | None) -> str:
    """One path or several, joined as in $KUBECONFIG."""
    where = str(kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube/config")
    if not any(Path(part).expanduser().is_file() for part in where.split(os.pathsep) if part):
        raise errors.NoCluster(f"There is no kubeconfig at {where}, and no service account of a pod.")
    return where


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
