"""Applies what a person would apply, and says how: with the real kubectl when there is one, else through our client."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal, Protocol

import yaml

from localcluster.processes.children import dies_with_parent
from modelrollout.kube import Cluster
from modelrollout.objects.resources import MODEL_ROLLOUTS

SECONDS = 60.0  # for one command; kubectl's first one reads all of the API server's documentation
MANAGER = "modelrollout-demo"


class CommandFailedError(Exception):
    """A command was refused; the message is what it said."""


class Hands(Protocol):
    """Who types the commands."""

    kind: Literal["kubectl", "client"]

    def applying(self, file: Path) -> str:
        """The command line of `apply`."""

    def releasing(self, name: str, version: str) -> str:
        """The command line of `release`."""

    async def apply(self, file: Path) -> None:
        """Make it so. Raises CommandFailedError or KubeError."""

    async def release(self, name: str, version: str) -> None:
        """Wish for another version of the model. Raises CommandFailedError or KubeError."""


def hands(cluster: Cluster, kubeconfig: Path, folder: Path, namespace: str) -> Hands:
    """The better pair there is. `folder` is where commands are typed, so that paths are as in the README."""
    program = shutil.which("kubectl")
    return Kubectl(program, kubeconfig, folder) if program else Client(cluster, folder, namespace)


class Kubectl:
    """The real one, with `KUBECONFIG` set: the command lines work in any shell that has it set, too."""

    kind: Literal["kubectl", "client"] = "kubectl"

    def __init__(self, program: str, kubeconfig: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        # Its cache of what the API server knows stays with the local cluster, whose port another one may have tomorrow.
        cache = str(kubeconfig.parent / "kubectl-cache")
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": cache}

    def applying(self, file: Path) -> str:
        return f"kubectl apply -f {file}"

    def releasing(self, name: str, version: str) -> str:
        return f"kubectl patch mro {name} --type merge -p '{json.dumps(_wish(version), separators=(',', ':'))}'"

    async def apply(self, file: Path) -> None:
        await self._run("apply", "-f", str(file))

    async def release(self, name: str, version: str) -> None:
        patch = json.dumps(_wish(version), separators=(",", ":"))
        await self._run("patch", "mro", name, "--type", "merge", "-p", patch)

    async def _run(self, *arguments: str) -> None:
        child = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
            preexec_fn=dies_with_parent(),
        )
        try:
            async with asyncio.timeout(SECONDS):
                _, said = await child.communicate()
        except TimeoutError:
            raise CommandFailedError(f"kubectl {arguments[0]} did not end within {SECONDS:.0f} s.") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise CommandFailedError(f"kubectl {arguments[0]} failed: {said.decode(errors='replace').strip()}")


class Client:
    """The same wishes through the client that the operator itself uses."""

    kind: Literal["kubectl", "client"] = "client"

    def __init__(self, cluster: Cluster, folder: Path, namespace: str) -> None:
        self._cluster, self._folder, self._namespace = cluster, folder, namespace

    def applying(self, file: Path) -> str:
        return f"server-side apply of {file}"

    def releasing(self, name: str, version: str) -> str:
        return f"merge patch of {name}: {json.dumps(_wish(version))}"

    async def apply(self, file: Path) -> None:
        for manifest in yaml.safe_load_all((self._folder / file).read_text()):
            manifest["metadata"].setdefault("namespace", self._namespace)
            await self._cluster.apply(manifest, manager=MANAGER)

    async def release(self, name: str, version: str) -> None:
        await self._cluster.patch(MODEL_ROLLOUTS, self._namespace, name, _wish(version))


def _wish(version: str) -> dict[str, Any]:
    return {"spec": {"model": {"version": version}}}
