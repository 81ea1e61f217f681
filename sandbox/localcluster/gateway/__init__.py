"""The local cluster's gateway: a real Envoy that serves HTTPRoutes, GRPCRoutes, and every Service on its ClusterIP.

An API client like any controller, so it works on whichever API server there is. `crds/` holds the Gateway API's
schemas, which have to be installed before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.gateway.attach import CONTROLLER
from localcluster.gateway.controller import Controller
from localcluster.gateway.doors import Door
from localcluster.gateway.envoy import Envoy, EnvoyFailedError, EnvoyMissingError, GatewayError, binary, running_envoy
from localcluster.processes.background import running
from modelrollout.kube import AlreadyExists, Cluster, Refused, Unreachable
from modelrollout.objects.manifests import Manifest

logger = logging.getLogger(__name__)

CRDS = Path(__file__).parent / "crds"
NAMESPACE, NAME, PORT = "default", "sandbox", 80
START_SECONDS = 30.0
ANSWER_SECONDS = 10.0

GATEWAY_CLASS: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GatewayClass",
    "metadata": {"name": NAME},
    "spec": {"controllerName": CONTROLLER, "description": "The local cluster's own Envoy"},
}
GATEWAY: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": NAME, "namespace": NAMESPACE},
    "spec": {
        "gatewayClassName": NAME,
        "listeners": [
            {"name": "http", "port": PORT, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """`url` is where the Gateway `sandbox` in namespace `default` listens; `admin_url` has Envoy's statistics."""

    url: str
    _envoy: Envoy
    _controller: Controller

    @property
    def admin_url(self) -> str:
        return self._envoy.admin_url

    async def restart(self) -> None:
        """Envoy ends, with all connections and whatever it remembers, and another one takes its place."""
        await self._envoy.stop()
        await self._envoy.start()

    async def service_url(self, namespace: str, name: str, port: int) -> str:
        """Where a Service's port answers: its ClusterIP if this machine lets us listen there, else another address.

        Waits up to 10 s for the Service to appear, then raises TimeoutError.
        """
        return await self._url(Door("service", namespace, name, port))

    async def gateway_url(self, namespace: str, name: str, port: int) -> str:
        """Where a Gateway's port answers; waits as `service_url` does."""
        return await self._url(Door("gateway", namespace, name, port))

    async def _url(self, door: Door) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return _http(await self._controller.address_of(door))
        except TimeoutError:
            raise TimeoutError(
                f"Nothing answers for {door.label}: is it there, and a Service with a ClusterIP?"
            ) from None


@asynccontextmanager
async def gateway(cluster: Cluster, directory: Path, *, access_log: bool = False) -> AsyncIterator[Gateway]:
    """Envoy and its controller, until the block ends; files and logs go below `directory`.

    With `access_log` every request leaves a line in `access.log`. Raises `GatewayError` when it cannot start.
    """
    async with running_envoy(directory) as envoy:
        controller = Controller(cluster, envoy, access_log=envoy.folder / "access.log" if access_log else None)
        async with running(controller.run()):
            try:
                async with asyncio.timeout(START_SECONDS):
                    url = await _open(cluster, controller)
            except TimeoutError:
                raise GatewayError(f"Gateway '{NAME}' did not open; are the CRDs in {CRDS} installed?") from None
            yield Gateway(url, envoy, controller)


async def _open(cluster: Cluster, controller: Controller) -> str:
    for manifest in (GATEWAY_CLASS, GATEWAY):
        await _create(cluster, manifest)
    return _http(await controller.address_of(Door("gateway", NAMESPACE, NAME, PORT)))


async def _create(cluster: Cluster, manifest: Manifest) -> None:
    while True:
        try:
            await cluster.create(manifest)
        except AlreadyExists:
            return
        except (Refused, Unreachable) as trouble:  # its CRD may be new to the API server
            logger.warning("The gateway cannot create %s '%s' yet: %s", manifest["kind"], NAME, trouble)
            await asyncio.sleep(0.2)
        else:
            return


def _http(address: tuple[str, int]) -> str:
    return f"http://{address[0]}:{address[1]}"


__all__ = ["CRDS", "EnvoyFailedError", "EnvoyMissingError", "Gateway", "GatewayError", "binary", "gateway"]
