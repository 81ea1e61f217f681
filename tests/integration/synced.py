"""An application that a GitOps tool keeps as Git has it: synced and compared the way Argo CD and Flux do it.

Both ask the API server what a server-side apply of Git's manifest would make of the live object, and compare (argo-cd,
gitops-engine/pkg/diff, serverSideDiff; fluxcd/pkg, ssa/manager_diff.go).
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelrollout.kube import Cluster, Conflict
from modelrollout.objects.manifests import Manifest, Ref, ref_of

ARGO_CD, FLUX = "argocd-controller", "kustomize-controller"
LEFT_ALONE = ("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent")
"""The annotation by which Flux neither compares nor applies an object that is there."""
ATTEMPTS = 20

Path = tuple[str, ...]


@dataclass
class Application:
    """Manifests in Git, and the fields of them that Argo CD was told to ignore."""

    cluster: Cluster
    git: list[Manifest]
    ignored: Mapping[Ref, Sequence[Path]] = field(default_factory=dict)
    looks: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # of who commits, compares or heals

    async def push(self, version: str) -> None:
        """A commit that asks for another version of the model, which shows, and the sync that follows."""
        async with self.turn:
            self.git[0]["spec"]["model"]["version"] = version
            assert await self.drift(), "a commit is a difference"
            await self.sync()

    async def sync(self) -> None:
        """Argo CD's sync with ServerSideApply=true."""
        for manifest in self.git:
            await self.cluster.apply(manifest, manager=ARGO_CD)

    async def drift(self) -> list[str]:
        """Every difference that Argo CD or Flux would show now."""
        self.looks += 1
        return [said for manifest in self.git for said in await self._drift_of(manifest)]

    async def heal(self) -> list[str]:
        """Self-heal, whether there is a reason or not: every object that it changes."""
        return [said for manifest in self.git for said in await self._healed(manifest)]

    async def _drift_of(self, manifest: Manifest) -> list[str]:
        """Looks again where somebody wrote between two of its requests."""
        ref, ignored = ref_of(manifest), self._ignored(manifest)
        for _ in range(ATTEMPTS):
            live = await self._live(ref)
            argo_cd = await self.cluster.rehearse(manifest, manager=ARGO_CD)
            flux = await self.cluster.rehearse(manifest, manager=FLUX)
            if _version(live) != _version(await self._live(ref)):
                continue
            as_argo_cd = compared_by_argo_cd(live, ignored) == compared_by_argo_cd(argo_cd, ignored)
            as_flux = is_left_alone(manifest) or compared_by_flux(live) == compared_by_flux(flux)
            found = {"Argo CD": (as_argo_cd, argo_cd), "Flux": (as_flux, flux)}
            return [f"{tool}: {live} would be {made}" for tool, (is_equal, made) in found.items() if not is_equal]
        raise AssertionError(f"{ref} is written all the time")

    async def _healed(self, manifest: Manifest) -> list[str]:
        """With RespectIgnoreDifferences=true: what is ignored is applied as it is."""
        ref, ignored = ref_of(manifest), self._ignored(manifest)
        for _ in range(ATTEMPTS):
            before = await self._live(ref)
            wanted = copy.deepcopy(manifest)
            wanted["metadata"]["resourceVersion"] = _version(before)  # or a write of the operator's would count as ours
            for path in ignored:
                _take_over(wanted, before, path)
            try:
                after = await self.cluster.apply(wanted, manager=ARGO_CD)
            except Conflict:
                continue
            return [] if bare(before) == bare(after) else [f"{ref}: self-heal made {after} of {before}"]
        raise AssertionError(f"{ref} is written all the time")

    async def _live(self, ref: Ref) -> Manifest:
        found = await self.cluster.read(ref.resource, ref.namespace, ref.name)
        assert found is not None, f"{ref} is gone"
        return found

    def _ignored(self, manifest: Manifest) -> Sequence[Path]:
        return self.ignored.get(ref_of(manifest), ())


def bare(manifest: Manifest) -> Manifest:
    """Without what the API server counts at each write, and without the status, which both tools pass over."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in ("managedFields", "resourceVersion")}
    return {**{k: v for k, v in manifest.items() if k != "status"}, "metadata": metadata}


def compared_by_argo_cd(manifest: Manifest, ignored: Sequence[Path]) -> Manifest:
    """As a whole. Where a field is ignored, the generation that a dry run of it would have says nothing."""
    left = copy.deepcopy(bare(manifest))
    for path in (*ignored, *([("metadata", "generation")] if ignored else [])):
        part = left
        for name in path[:-1]:
            part = part[name]
        part.pop(path[-1], None)
    return left


def compared_by_flux(manifest: Manifest) -> Manifest:
    """Labels and annotations, and all that is neither metadata nor status."""
    metadata = manifest["metadata"]
    kept = {name: metadata.get(name) or {} for name in ("labels", "annotations")}
    return {**{k: v for k, v in manifest.items() if k not in ("metadata", "status")}, **kept}


def is_left_alone(manifest: Manifest) -> bool:
    """Whether Flux was told not to touch it."""
    return LEFT_ALONE in (manifest["metadata"].get("annotations") or {}).items()


def _take_over(wanted: Any, live: Any, path: Path) -> None:
    for name in path[:-1]:
        wanted, live = wanted[name], live[name]
    wanted[path[-1]] = live[path[-1]]


def _version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])
