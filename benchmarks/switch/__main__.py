"""`python -m benchmarks.switch`: switches a blue-green release over and back under load, and prints when users saw it.

On a local cluster of real parts: an operator process, Envoy, and two versions of the digits example.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.switch.flips import STAGES, Flip, flips, watching
from demo.operator_process import operator
from demo.playground import EXAMPLES, images
from demo.users import Samples, read_samples
from localcluster.cluster import LocalCluster, local_cluster
from localcluster.load import LoadGenerator
from modelrollout.api.crd import definitions

NAMESPACE, NAME, HOST = "default", "digits", "digits.example.com"
HEAD = (
    "| flip | measured from | n | median s | longest s | from the route: median s | requests | without an answer |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|\n"
)
BEGINS = {"over": "decision saved", "back": "edit of the spec"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switch", description=__doc__)
    parser.add_argument("--flips", type=int, default=10, help="over, and as many back (default 10)")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second (default 40)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-switch-") as directory:
        found = asyncio.run(_measured(Path(directory), options.flips, options.rate))
    sys.stdout.write(HEAD + "".join(rows(found)))
    return 0


async def _measured(directory: Path, count: int, rate: float) -> list[Flip]:
    async with (
        local_cluster(directory, images=images(), definitions=definitions()) as place,
        operator(place.kubernetes.kubeconfig, place.metrics.url, directory / "operator.log"),
    ):
        await place.cluster.create(_rollout())
        users = _users(place, await read_samples(EXAMPLES / "digits", ["v1"]), rate)
        async with watching(place.cluster, NAMESPACE, NAME) as seen:
            await seen.until(0)
            async with users.coming():
                return [_told(flip) async for flip in flips(seen, users, "v1", "v2", count)]


def _rollout() -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((EXAMPLES / "digits.yaml").read_text())
    manifest["spec"] |= {"stages": STAGES}
    manifest["spec"]["analysis"]["stepDeadline"] = "2h"
    manifest["spec"]["workload"]["template"]["spec"]["replicas"] = 1
    return manifest


def _users(place: LocalCluster, told: Samples, rate: float) -> LoadGenerator:
    url, expected = f"{place.gateway.url}/predict", told.answers["v1"]
    return LoadGenerator(url, told.samples, expected, rate=rate, arrivals="even", host=HOST)


def _told(flip: Flip) -> Flip:
    """Shows that something happens."""
    sys.stderr.write(f"{flip.way}: {flip.from_begin:.2f} s\n")
    return flip


def rows(found: Sequence[Flip]) -> Iterator[str]:
    for way, begin in BEGINS.items():
        ours = [flip for flip in found if flip.way == way]
        times, routes = [flip.from_begin for flip in ours], [flip.from_route for flip in ours]
        asked, lost = sum(flip.requests for flip in ours), sum(flip.lost for flip in ours)
        cells = [way, begin, f"{len(ours)}", f"{statistics.median(times):.2f}", f"{max(times):.2f}"]
        yield f"| {' | '.join([*cells, f'{statistics.median(routes):.2f}', f'{asked}', f'{lost}'])} |\n"


if __name__ == "__main__":
    sys.exit(main())
