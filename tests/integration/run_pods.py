"""run_pods.py KUBECONFIG DIRECTORY: runs pods, so that a test can see what becomes of them when this process ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from localcluster.pods import pods
from localcluster.processes.signals import run_until_told
from modelrollout.kube import Cluster


async def main(kubeconfig: Path, directory: Path) -> None:
    images = {"plain": Path(__file__).parent / "images" / "plain"}
    async with Cluster.connect(kubeconfig) as cluster, pods(cluster, directory, images):
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(run_until_told(main(Path(sys.argv[1]), Path(sys.argv[2]))))
