"""`modelrollout disagreements NAME`: the newest requests that candidate and stable answered differently.

They are in the memory of the comparer's pods alone. The API server passes the question on to each of them, so whoever
may `get` `pods/proxy` needs neither a way into the cluster's network nor a port-forward.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelrollout.cli.ending import run_to_the_end
from modelrollout.kube import Cluster, KubeError, Listing
from modelrollout.objects.manifests import COMPARER_LABEL, COMPARER_PORT, Manifest
from modelrollout.objects.resources import PODS, Resource

PATH = "/disagreements"
NO_VALUE = "-"
COLUMNS = ("TIME", "REASON", "SEGMENT", "REQUEST", "REQUEST ID", "STABLE", "CANDIDATE")


class PodReader(Protocol):
    """The part of a cluster that this command needs."""

    async def list(self, resource: Resource, namespace: str | None = None, *, labels: Mapping[str, str]) -> Listing:
        """All objects that match."""

    async def ask_pod(self, namespace: str, name: str, port: int, path: str) -> Manifest:
        """The JSON that a pod serves at a path."""


class NobodyComparesError(Exception):
    """There is no comparer, or none that answers; the message is for people."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the comparer's pods keep, newest first, and the pods that did not answer."""

    disagreements: tuple[dict[str, Any], ...]
    silent: tuple[str, ...] = ()


def run(flags: argparse.Namespace) -> int:
    """The exit code: 1 when nobody compares."""
    return run_to_the_end(_run(flags), NobodyComparesError)


async def _run(flags: argparse.Namespace) -> None:
    async with Cluster.connect(flags.kubeconfig, flags.context) as cluster:
        namespace = flags.namespace or await cluster.default_namespace()
        found = await kept(cluster, namespace, flags.name)
    sys.stdout.write(as_json(found) if flags.output == "json" else as_text(found))


async def kept(cluster: PodReader, namespace: str, rollout: str) -> Found:
    """The disagreements of all pods. Raises NobodyComparesError and KubeError."""
    pods = (await cluster.list(PODS, namespace, labels={COMPARER_LABEL: rollout})).items
    if not pods:
        raise NobodyComparesError(
            f"Nobody compares answers for ModelRollout '{rollout}' in namespace {namespace}: that happens while a "
            "shadow stage with `compare` goes on, and what was found is kept no longer than that."
        )
    names = sorted(pod["metadata"]["name"] for pod in pods)
    asked = (cluster.ask_pod(namespace, name, COMPARER_PORT, PATH) for name in names)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    silent, found = [], []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, KubeError):
            silent.append(f"Pod '{name}' did not answer: {answer}")
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found += [{"pod": name, **one} for one in answer["disagreements"]]
    if len(silent) == len(names):
        raise NobodyComparesError(" ".join(silent))
    return Found(tuple(sorted(found, key=lambda one: str(one["time"]), reverse=True)), tuple(silent))


def as_json(found: Found) -> str:
    """For machines, one disagreement a line."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in found.disagreements)


def as_text(found: Found) -> str:
    """For people."""
    rows = [COLUMNS, *map(_row, found.disagreements)]
    lines = [*_table(rows)] if found.disagreements else ["No disagreement is kept."]
    bodies = [line for one in found.disagreements for line in _bodies(one)]
    return "\n".join([*lines, *bodies, *found.silent]) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(one["time"]),
        str(one["reason"]),
        _printable(str(one["segment"])),
        _printable(f"{one['method']} {one['path']}"),
        _printable(one.get("requestId") or NO_VALUE),
        _shape(one["stable"]),
        _shape(one["candidate"]),
    )


def _shape(reply: Mapping[str, Any]) -> str:
    said = reply.get("trouble") or f"{reply['status']}, {reply['bytes']} bytes"
    return f"{said}, {reply['seconds'] * 1e3:.0f} ms"


def _bodies(one: Mapping[str, Any]) -> Iterator[str]:
    """They are there only where the stage asked for them."""
    if "requestBody" not in one:
        return
    yield ""
    yield f"{one['time']} {one['reason']}"
    for name in ("request", "stable", "candidate"):
        body = one[f"{name}Body"]
        yield f"  {name}: {_printable(body if isinstance(body, str) else json.dumps(body, ensure_ascii=False))}"


def _printable(text: str) -> str:
    """Whoever sent a request must not write on a terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
