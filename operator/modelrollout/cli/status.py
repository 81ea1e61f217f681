"""`modelrollout status NAME`: where a rollout stands and what each metric said. Changes nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from pydantic import ValidationError

from modelrollout.api.status import ModelRolloutStatus
from modelrollout.cli.ending import run_to_the_end
from modelrollout.cli.status_page import page
from modelrollout.kube import Cluster, WatchEvent
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import MODEL_ROLLOUTS, Resource

CLEAR = "\033[H\033[2J"


class ClusterReader(Protocol):
    """The part of a cluster that this command needs."""

    async def read(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        """The object, or None when there is none of that name."""

    def watch(self, resource: Resource, namespace: str | None = None) -> AsyncGenerator[WatchEvent]:
        """Changes for ever; first all that is there."""


class NothingToShowError(Exception):
    """There is no such rollout, or it cannot be read; the message is for people."""


def run(flags: argparse.Namespace) -> int:
    """The exit code: 1 when there is nothing to show."""
    return run_to_the_end(_run(flags), NothingToShowError)


async def _run(flags: argparse.Namespace) -> None:
    written = as_json if flags.output == "json" else as_text
    is_text = flags.output == "text"
    before = CLEAR if is_text and flags.watch and sys.stdout.isatty() else ""
    async with Cluster.connect(flags.kubeconfig, flags.context) as cluster:
        namespace = flags.namespace or await cluster.default_namespace()
        pages = read_pages(cluster, namespace, flags.name, written, watch=flags.watch)
        async with aclosing(pages):
            async for text in pages:
                sys.stdout.write(before + text)
                sys.stdout.flush()
                before = before or ("\n" if is_text else "")


async def read_pages(
    cluster: ClusterReader, namespace: str, name: str, written: Callable[[Manifest], str], *, watch: bool
) -> AsyncGenerator[str]:
    """The rollout as it is; with `watch` again whenever it looks different, until it is deleted.

    Raises NothingToShowError and KubeError.
    """
    found = await cluster.read(MODEL_ROLLOUTS, namespace, name)
    if found is None:
        raise NothingToShowError(
            f"There is no ModelRollout '{name}' in namespace {namespace}; `kubectl get modelrollouts -A` lists all."
        )
    yield (last := written(found))
    if not watch:
        return
    async with aclosing(cluster.watch(MODEL_ROLLOUTS, namespace)) as events:
        async for event in events:
            if event.object["metadata"]["name"] != name:
                continue
            if event.type == "DELETED":
                raise NothingToShowError(f"ModelRollout '{name}' in namespace {namespace} was deleted.")
            if (text := written(event.object)) != last:
                yield (last := text)


def as_text(manifest: Manifest) -> str:
    """For people. Raises NothingToShowError when the status is not one that an operator wrote."""
    metadata = manifest["metadata"]
    try:
        status = ModelRolloutStatus.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        where = f"status.{field} of ModelRollout '{metadata['name']}'"
        raise NothingToShowError(f"{where} is not as this version writes it; is it of a newer one?") from None
    return page(metadata["namespace"], metadata["name"], metadata.get("generation"), status)


def as_json(manifest: Manifest) -> str:
    """For machines, one object a line: what the resource keeps, whole."""
    metadata = manifest["metadata"]
    shown = {"namespace": metadata["namespace"], "name": metadata["name"], "generation": metadata.get("generation")}
    return json.dumps({**shown, "status": manifest.get("status") or {}}, ensure_ascii=False) + "\n"
