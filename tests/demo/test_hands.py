"""How the demo applies what it applies, what it notes of it, and what it says when something is missing."""

from __future__ import annotations

import asyncio
import json
import shlex
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from demo import users
from demo.chronicle import EventSeen, Split
from demo.hands import Client, CommandFailedError, Kubectl, hands
from demo.play import Example, MissingExampleError
from demo.recorder import Recorder
from demo.story import TOURS
from modelrollout.api.status import Phase
from modelrollout.kube import WatchEvent
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import EVENTS, HTTP_ROUTES, MODEL_ROLLOUTS, Resource
from tests.demo.demo_chronicles import status
from tests.fakes.cluster import FakeCluster
from tests.places import ROOT

ROLLOUT: Manifest = {
    "apiVersion": "modelrollout.dev/v1alpha1",
    "kind": "ModelRollout",
    "metadata": {"name": "digits"},
    "spec": {"model": {"name": "digits", "version": "v1"}},
}


class Watched:
    """A cluster of which only changes are seen, as they are put in."""

    def __init__(self) -> None:
        self._queues = {kind: asyncio.Queue[WatchEvent]() for kind in (MODEL_ROLLOUTS, HTTP_ROUTES, EVENTS)}

    async def watch(self, resource: Resource, namespace: str) -> AsyncGenerator[WatchEvent]:
        while True:
            yield await self._queues[resource].get()

    def put(self, resource: Resource, name: str = "digits", **parts: Any) -> None:
        self._queues[resource].put_nowait(WatchEvent("MODIFIED", {"metadata": {"name": name}, **parts}))


@pytest.fixture
def example(tmp_path: Path) -> Path:
    (tmp_path / "digits.yaml").write_text(json.dumps(ROLLOUT))
    return tmp_path


def kubectl_that(does: str, folder: Path) -> Kubectl:
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Kubectl(str(program), folder / "kubeconfig", folder)


async def test_the_command_line_that_is_shown_is_the_one_that_runs(tmp_path: Path) -> None:
    typist = kubectl_that('echo "$KUBECONFIG" > seen; for one in "$@"; do echo "$one" >> seen; done', tmp_path)
    config = str(tmp_path / "kubeconfig")
    await typist.apply(Path("digits.yaml"))
    assert [config, *shlex.split(typist.applying(Path("digits.yaml")))[1:]] == seen(tmp_path)
    await typist.release("digits", "v2")
    assert [config, *shlex.split(typist.releasing("digits", "v2"))[1:]] == seen(tmp_path)
    assert json.loads(seen(tmp_path)[-1]) == {"spec": {"model": {"version": "v2"}}}


def seen(folder: Path) -> list[str]:
    return (folder / "seen").read_text().splitlines()


async def test_what_kubectl_complains_of_is_passed_on(tmp_path: Path) -> None:
    typist = kubectl_that("echo 'error: weights must rise' >&2; exit 1", tmp_path)
    with pytest.raises(CommandFailedError, match=r"^kubectl apply failed: error: weights must rise$"):
        await typist.apply(Path("digits.yaml"))


async def test_without_kubectl_the_same_is_applied_through_our_client(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(example))
    cluster = FakeCluster()
    typist = hands(cluster, example / "kubeconfig", example, "default")
    assert isinstance(typist, Client)
    await typist.apply(Path("digits.yaml"))
    applied = await cluster.read(MODEL_ROLLOUTS, "default", "digits")
    assert applied is not None
    assert applied["spec"] == ROLLOUT["spec"]


async def test_what_happens_is_noted_once_and_only_of_the_own_rollout() -> None:
    cluster = Watched()
    recorder = Recorder(cluster, "default", "digits", clock=lambda: 7.0)
    happened = {"lastTimestamp": "1970-01-01T00:00:05Z", "type": "Normal", "reason": "Installed", "message": "Served."}
    about = {"kind": "ModelRollout", "name": "digits"}
    healthy = status(Phase.HEALTHY, stable="v1").to_wire()
    rules = [{"backendRefs": [{"name": "digits-1", "weight": 19}, {"name": "digits-2", "weight": 1}]}]
    async with recorder.recording():
        for name in ("other", "digits", "digits"):
            cluster.put(HTTP_ROUTES, name, spec={"rules": rules if name == "digits" else []})
            cluster.put(MODEL_ROLLOUTS, name, status=healthy if name == "digits" else {})
        cluster.put(MODEL_ROLLOUTS, status={"phase": "RolledBack"})
        for name in ("other", "digits"):
            cluster.put(EVENTS, involvedObject={**about, "name": name}, **happened)
        async with asyncio.timeout(5):
            await recorder.until(lambda now: now.phase is Phase.ROLLED_BACK and len(recorder.told) > 0)
    assert [turn.status.phase for turn in recorder.turns] == [Phase.HEALTHY, Phase.ROLLED_BACK]
    assert recorder.splits == [Split(7.0, {"digits-1": 95, "digits-2": 5})]
    assert recorder.told == [EventSeen(5.0, "Normal", "Installed", "Served.")]


async def test_samples_come_from_the_example_in_a_process_of_its_own(tmp_path: Path) -> None:
    said = {"samples": [{"features": [0.5], "label": 3}], "answers": {"v1": [3], "v2": [8]}}
    (tmp_path / "samples.py").write_text(
        f"import sys; assert sys.argv[1:] == ['v1', 'v2']; print({json.dumps(said)!r})"
    )
    read = await users.read_samples(tmp_path, ["v1", "v2"])
    assert (read.samples[0].label, read.answers) == (3, {"v1": (3,), "v2": (8,)})


async def test_an_example_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "samples.py").write_text("raise RuntimeError('no digits.npy')")
    with pytest.raises(users.NoSamplesError, match=r"samples.py failed: RuntimeError: no digits.npy"):
        await users.read_samples(tmp_path, ["v1"])


def test_a_place_without_examples_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExampleError, match=r"examples/digits.yaml does not exist: .* clone of the repository"):
        Example.read(tmp_path, TOURS["canary"], tmp_path)


def test_the_demo_knows_its_own_example(tmp_path: Path) -> None:
    example = Example.read(ROOT, TOURS["canary"], tmp_path)
    assert (example.namespace, example.name, example.host) == ("default", "digits", "digits.example.com")
    assert (example.server / "samples.py").exists()
