"""The local cluster's metrics: a real Prometheus that scrapes the pods under the labels they have on a cluster.

An API client like any controller, so it works on whichever API server the local cluster has.

Why the targets come from a file of ours and not from Prometheus' own `kubernetes_sd`: Debian builds its Prometheus
without it, and that is the one that most people get. Either way Prometheus looks at what was discovered every five
seconds only, so a new pod is first scraped up to five seconds after it got its address.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import yaml

from localcluster.metrics.server import PrometheusFailedError, PrometheusMissingError, Server, binary, reserved_port
from localcluster.metrics.targets import beside, configuration, target_groups
from localcluster.processes.background import running
from modelrollout.kube import Cluster, Mirror
from modelrollout.objects.resources import PODS

TARGETS = "targets.json"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where Prometheus answers. `stop` takes it away; `start` brings it back, at that address and with its data."""

    url: str
    _server: Server = field(repr=False)
    _folder: Path = field(repr=False)

    def scrape_beside(self, *addresses: str) -> None:
        """Has it scrape what is no pod, such as an operator beside the cluster, from a few seconds on."""
        _put(beside(self._folder / TARGETS), json.dumps([{"targets": [*addresses]}]))

    async def stop(self) -> None:
        """From now on connections are refused, and nothing is scraped. Fine when it is stopped already."""
        await self._server.stop()

    async def start(self) -> None:
        """Returns when it answers queries again. Fine when it runs already."""
        await self._server.start()


@asynccontextmanager
async def prometheus(
    cluster: Cluster, directory: Path, *, scrape_interval: timedelta = timedelta(seconds=1)
) -> AsyncIterator[Metrics]:
    """Prometheus and the discovery of its targets, until the block ends; configuration, data and log in `directory`.

    Raises `PrometheusMissingError` and `PrometheusFailedError`, and KubeError when pods cannot be listed.
    """
    program, folder = binary(), _prepared(directory, scrape_interval)
    pods = Mirror(cluster, PODS)
    await pods.fill()
    _write_targets(folder, pods)
    with reserved_port() as port:
        server = Server(program, folder, port)
        try:
            await server.start()
            async with running(pods.follow(lambda _: _write_targets(folder, pods))):
                yield Metrics(server.url, server, folder)
        finally:
            await server.stop()


def _prepared(directory: Path, scrape_interval: timedelta) -> Path:
    folder = directory.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _put(folder / "prometheus.yml", yaml.safe_dump(configuration(folder / TARGETS, scrape_interval)))
    return folder


def _write_targets(folder: Path, pods: Mirror) -> None:
    text = json.dumps(target_groups(pods.items.values()), indent=1)
    path = folder / TARGETS
    if not path.exists() or path.read_text() != text:
        _put(path, text)


def _put(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")  # by rename: no reader ever sees half a file
    draft.write_text(text)
    draft.replace(path)


__all__ = ["Metrics", "PrometheusFailedError", "PrometheusMissingError", "binary", "prometheus"]
