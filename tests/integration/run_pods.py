"""run_pods.py KUBECONFIG DIRECTORY: runs pods, so that a test can see what becomes of them when this process ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from modelrollout.kube import Cluster
from modelrollout.sandbox.pods import pods
from modelrollout.sandbox.signals import run_until_told


async def main(kubeconfig: Path, directory: Path) -> None:
    images = {"plain": Path(__file__).parent / "images" / "plain"}
    async with Cluster.connect(kubeconfig) as cluster, pods(cluster, directory, images):
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(run_until_told(main(Path(sys.argv[1]), Path(sys.argv[2]))))
