"""The local cluster: an API server, pods as processes, a gateway and Prometheus, put together on loopback.

Composition only. Each part is a context manager of its own and an API client like any controller.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from localcluster import gateway as gateways
from localcluster.controllers.deployments import deployments
from localcluster.controllers.garbage import KINDS, garbage
from localcluster.controllers.manager import controller_manager, manager_program
from localcluster.controllers.namespaces import custom
from localcluster.controllers.stateful_sets import stateful_sets
from localcluster.gateway import Gateway, gateway
from localcluster.kubernetes import KubernetesEndpoint, NotStartedError, api_server
from localcluster.metrics import Metrics, prometheus
from localcluster.pods import NODE, pods
from localcluster.processes.together import together
from modelrollout.kube import AlreadyExists, Cluster, Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CUSTOM_RESOURCES, NODES

logger = logging.getLogger(__name__)

MANAGER = "localcluster"
ESTABLISHED_SECONDS = 30


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """The running parts. `cluster` is for looking and for playing; the operator brings a client of its own."""

    directory: Path
    kubernetes: KubernetesEndpoint
    cluster: Cluster
    gateway: Gateway
    metrics: Metrics


@asynccontextmanager
async def local_cluster(
    directory: Path,
    *,
    images: Mapping[str, Path],
    definitions: Iterable[Manifest] = (),
    context: str | None = None,
    scrape_interval: timedelta = timedelta(seconds=1),
    flags: Sequence[str] = (),
    access_log: bool = False,
) -> AsyncIterator[LocalCluster]:
    """A cluster to play with until the block ends; files and logs go below `directory`, nothing outlives the block.

    `images` maps image names to the folders that stand for them; `definitions` are CustomResourceDefinitions to install
    beside those of the Gateway API; `context` names an existing cluster to use instead of
    an API server of our own; `flags` are more flags for a real kube-apiserver. With `access_log` the gateway keeps one.
    """
    async with (
        api_server(directory / "kubernetes", context=context, flags=flags) as endpoint,
        Cluster.connect(endpoint.kubeconfig, user_agent=MANAGER) as cluster,
    ):
        installed = (*definitions, *_gateway_definitions())
        await _install(cluster, installed, own=context is None)
        runs_pods = context is not None and await _has_other_nodes(cluster)
        parts: list[AbstractAsyncContextManager[Any]] = [
            gateway(cluster, directory / "gateway", access_log=access_log),
            prometheus(cluster, directory / "prometheus", scrape_interval=scrape_interval),
        ]
        if runs_pods:
            logger.warning("The cluster of context %s runs pods itself; none is run here.", context)
        else:
            parts += [pods(cluster, directory, images), *_controllers(cluster, endpoint, directory, installed)]
        async with together(*parts) as (its_gateway, its_metrics, *_):
            yield LocalCluster(directory, endpoint, cluster, its_gateway, its_metrics)


def _controllers(
    cluster: Cluster, endpoint: KubernetesEndpoint, directory: Path, installed: Iterable[Manifest]
) -> Iterator[AbstractAsyncContextManager[Any]]:
    """They turn Deployments into pods and clear away: Kubernetes' own where they can be had, else ours."""
    own = manager_program() if endpoint.kind == "real" else None
    if own is not None:
        yield controller_manager(own, directory / "controllers", endpoint.kubeconfig)
    else:
        yield deployments(cluster, NODE)
        yield stateful_sets(cluster, NODE)
        yield garbage(cluster, (*KINDS, *custom(installed)))


@functools.cache
def _gateway_definitions() -> tuple[Manifest, ...]:
    files = sorted(gateways.CRDS.glob("*.yaml"))
    return tuple(definition for file in files for definition in yaml.safe_load_all(file.read_text()))


async def _install(cluster: Cluster, definitions: Iterable[Manifest], *, own: bool) -> None:
    """Install the CRDs and wait until they can be used. On a cluster that is not ours, what is there stays."""
    names = []
    for definition in definitions:
        names.append(definition["metadata"]["name"])
        if own:
            await cluster.apply(definition, manager=MANAGER)
        else:
            try:
                await cluster.create(definition)
            except AlreadyExists:
                logger.info("CRD %s is there already and is used as it is.", names[-1])
    try:
        async with asyncio.timeout(ESTABLISHED_SECONDS):
            await asyncio.gather(*(_established(cluster, name) for name in names))
    except TimeoutError as error:
        why = f"The API server did not establish the CRDs {', '.join(names)} within {ESTABLISHED_SECONDS} s."
        raise NotStartedError(why) from error


async def _established(cluster: Cluster, name: str) -> None:
    while True:
        try:
            definition = await cluster.read(CUSTOM_RESOURCES, None, name) or {}
        except Unreachable:
            definition = {}
        conditions = (definition.get("status") or {}).get("conditions") or ()
        if any(each["type"] == "Established" and each["status"] == "True" for each in conditions):
            return
        await asyncio.sleep(0.05)


async def _has_other_nodes(cluster: Cluster) -> bool:
    return any(node["metadata"]["name"] != NODE for node in (await cluster.list(NODES)).items)
