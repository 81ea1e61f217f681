"""kube-controller-manager in place of our own controllers: real ReplicaSets, quotas and garbage collection.

Only what turns workloads into pods and clears away is switched on. Scheduling stays with whoever runs the pods.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from localcluster.kubernetes import envtest_assets, made, program

PROGRAM = "kube-controller-manager"
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "resourcequota-controller",
)


def manager_program() -> Path | None:
    """The program beside kube-apiserver and etcd, if somebody put it there: envtest does not bring it."""
    assets = envtest_assets()
    found = assets / PROGRAM if assets is not None else None
    return found if found is not None and os.access(found, os.X_OK) else None


@asynccontextmanager
async def controller_manager(found: Path, directory: Path, kubeconfig: Path) -> AsyncIterator[None]:
    """Run it until the block ends, with its log in `directory`. Raises NotStartedError.

    The kinds that it collects are those that the API server knows when it starts.
    """
    command = [
        str(found),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--cert-dir={directory}",
        "--leader-elect=false",
        "--use-service-account-credentials=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",  # nobody asks it anything
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]
    async with program(PROGRAM, command, made(directory)):
        yield
