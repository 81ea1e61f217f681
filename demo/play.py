"""Plays the story: starts all parts, releases one version after the other, watches, and hands over what it saw."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demo import curves
from demo.chronicle import Chronicle, Circumstances, by_version, workloads
from demo.curves import Panel
from demo.hands import Hands, hands
from demo.operator_process import IMAGE, OperatorFailedError, operator
from demo.recorder import Recorder
from demo.report import ENDINGS
from demo.scene import Scene
from demo.screen import Screen
from demo.story import Release, Tour
from demo.users import Meter, Samples, answers, crowd_in, read_samples, sending
from localcluster import gateway, metrics
from localcluster.cluster import LocalCluster, local_cluster
from localcluster.load import LoadGenerator
from localcluster.processes.background import running
from modelrollout.api.ab_test import Buckets
from modelrollout.api.crd import definitions
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.prometheus import Prometheus

PATIENCE = 150.0  # seconds for one release
ANSWER_SECONDS = 30.0  # until the gateway serves the first version
AFTERMATH = 2.0  # seconds to see that nobody is served by a version any more
FRAME = 0.25  # seconds between two looks of the screen


class _Dumper(yaml.SafeDumper):
    """Writes a value that stands in two places twice: people read this."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class MissingExampleError(Exception):
    """The files that the demo plays with are not there; the message says which."""


@dataclass(frozen=True, slots=True)
class Example:
    """What is released: the resource's file, and what is read from it. `root` is where commands are typed."""

    root: Path
    tour: Tour
    file: Path
    namespace: str
    name: str
    spec: ModelRolloutSpec

    @classmethod
    def read(cls, root: Path, tour: Tour, folder: Path) -> Example:
        """The example of the tour; one with stages of its own is written to `folder`. Raises MissingExampleError."""
        file = Path("examples/digits.yaml")
        try:
            manifest = yaml.safe_load((root / file).read_text())
        except FileNotFoundError:
            raise MissingExampleError(
                f"{root / file} does not exist: the demo plays with the examples of a clone of the repository."
            ) from None
        metadata = manifest["metadata"]
        manifest["spec"] = tour.spec(manifest["spec"])
        spec = ModelRolloutSpec.model_validate(manifest["spec"])
        if tour.stages:
            file = (folder / file.name).relative_to(root) if folder.is_relative_to(root) else folder / file.name
            (root / file).write_text(yaml.dump(manifest, Dumper=_Dumper, sort_keys=False))
        return cls(root, tour, file, metadata.get("namespace", "default"), metadata["name"], spec)

    @property
    def images(self) -> dict[str, Path]:
        return {"modelrollout.dev/digits": self.server, IMAGE: self.root / "operator"}

    @property
    def server(self) -> Path:
        return self.root / "examples" / "digits"

    @property
    def buckets(self) -> Buckets | None:
        """The header by which users are drawn, where a stage draws them."""
        tests = (stage.ab_test for stage in self.spec.stages if stage.ab_test)
        return next((test.sticky.bucket_header for test in tests if test.sticky), None)

    @property
    def host(self) -> str:
        gateway = self.spec.traffic.gateway_api
        return gateway.hostnames[0] if gateway and gateway.hostnames else ""


@dataclass(frozen=True, slots=True)
class Played:
    """The record of a demo, and why it was broken off if it was."""

    chronicle: Chronicle
    panels: tuple[Panel, ...]
    interrupted: str | None


async def play(example: Example, folder: Path, rate: float, screen: Screen) -> Played:
    """The whole demo; all that it started has ended when this returns or raises.

    Raises EnvoyMissingError, PrometheusMissingError, and whatever a part raises that cannot start.
    """
    started = time.time()
    for binary in (gateway.binary, metrics.binary):
        binary()  # before anything is started, so that a missing program is reported at once
    async with AsyncExitStack() as parts:
        screen.say("Starting an API server, Envoy, Prometheus and a place for pods …")
        reading = asyncio.create_task(read_samples(example.server, [release.name for release in example.tour.releases]))
        parts.push_async_callback(_given_up, reading)
        place = await parts.enter_async_context(local_cluster(folder, images=example.images, definitions=definitions()))
        for line in _places(place):
            screen.say(line)
        beside = await parts.enter_async_context(
            operator(place.kubernetes.kubeconfig, place.metrics.url, folder / "logs" / "operator.log")
        )
        screen.say(f"  operator    {beside.url}/metrics, log in {beside.log}")
        recorder = Recorder(place.cluster, example.namespace, example.name, buckets=example.buckets)
        await parts.enter_async_context(recorder.recording())
        typist = hands(place.cluster, place.kubernetes.kubeconfig, example.root, example.namespace)
        if typist.kind == "client":
            screen.say("kubectl is not installed: the same commands go through ModelRollout's own client.")
        telling = Telling(example, place, recorder, typist, screen, await reading, rate, started)
        prepared = time.time()
        interrupted = await _unless_it_ends(telling.tell(), beside.ended(), str(beside.log))
        chronicle = telling.chronicle(prepared)
        return Played(chronicle, await _panels(example, place, chronicle), interrupted)


class Telling:
    """One telling of the story on parts that run."""

    def __init__(
        self,
        example: Example,
        place: LocalCluster,
        recorder: Recorder,
        typist: Hands,
        screen: Screen,
        samples: Samples,
        rate: float,
        started: float,
    ) -> None:
        self._example, self._place, self._recorder, self._typist = example, place, recorder, typist
        self._screen, self._samples, self._rate, self._started = screen, samples, rate, started
        self._release: Release | None = None
        self._meter = Meter()

    async def tell(self) -> str | None:
        """Release after release; why it was broken off, if it was."""
        async with AsyncExitStack() as parts:
            await parts.enter_async_context(running(self._showing()))
            for release in self._example.tour.releases:
                if (why := await self._told(release)) is not None:
                    return why
                expected = self._samples.answers[release.name]
                if self._meter.load is None:
                    self._meter.load = await self._opened(expected, release.name)
                    await parts.enter_async_context(sending(self._meter.load))
                elif release.ending == "Promoted":
                    self._meter.load.stable_is(expected, release.name)
                await asyncio.sleep(AFTERMATH)
            return None

    def chronicle(self, prepared: float) -> Chronicle:
        kubernetes, recorder = self._place.kubernetes, self._recorder
        return Chronicle(
            facts=Circumstances(
                started=self._started,
                prepared=prepared,
                ended=time.time(),
                rate=self._rate,
                api_server=kubernetes.kind,
                api_version=kubernetes.version,
                commands_by=self._typist.kind,
            ),
            releases=tuple(recorder.releases),
            turns=tuple(recorder.turns),
            splits=tuple(recorder.splits),
            told=tuple(recorder.told),
            outcomes=self._meter.load.outcomes if self._meter.load else (),
        )

    async def _told(self, release: Release) -> str | None:
        is_first = self._release is None
        self._release, name, file = release, self._example.name, self._example.file
        command = self._typist.applying(file) if is_first else self._typist.releasing(name, release.name)
        self._screen.say("")
        self._screen.say(f"{release.name} {release.about}.")
        self._screen.say(f"$ {command}")
        self._recorder.begin(release.name, command)
        await (self._typist.apply(file) if is_first else self._typist.release(name, release.name))
        try:
            async with asyncio.timeout(PATIENCE):
                await self._recorder.until(_ended(release.name))
        except TimeoutError:
            status = self._recorder.status
            return f"{release.name} was {status.phase} after {PATIENCE:.0f} s: {status.message}"
        return None

    async def _opened(self, expected: tuple[int, ...], version: str) -> LoadGenerator:
        """The load generator, once the first user would be served."""
        url, samples = f"{self._place.gateway.url}/predict", self._samples.samples
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await answers(url, self._example.host, samples[0])
        except TimeoutError:
            said = self._recorder.status.message
            raise TimeoutError(
                f"{version} is installed, but {url} does not serve it; its status says: {said}"
            ) from None
        host, crowd = self._example.host, crowd_in(self._example.buckets)
        self._screen.say(f"Users come: {self._rate:g} requests a second to {host}.")
        return LoadGenerator(url, samples, expected, stable=version, rate=self._rate, host=host, users=crowd)

    async def _showing(self) -> None:
        while True:
            self._screen.show(self._scene())
            await asyncio.sleep(FRAME)

    def _scene(self) -> Scene:
        recorder = self._recorder
        names = workloads(tuple(turn.status for turn in recorder.turns))
        return Scene(
            elapsed=time.time() - self._started,
            release=self._release,
            status=recorder.status,
            shares=by_version(recorder.splits[-1].shares, names) if recorder.splits else {},
            crowd=self._meter.read(),
            told=tuple(recorder.told),
        )


def _places(place: LocalCluster) -> list[str]:
    kubernetes = place.kubernetes
    return [
        f"  Kubernetes  {kubernetes.url} ({kubernetes.kind}, {kubernetes.version})",
        f"  Envoy       {place.gateway.url}",
        f"  Prometheus  {place.metrics.url}",
        f"  logs        {place.directory / 'logs'}",
    ]


def _ended(version: str) -> Callable[[ModelRolloutStatus], bool]:
    return lambda status: any(entry.model.version == version and entry.outcome in ENDINGS for entry in status.history)


async def _unless_it_ends(
    story: Coroutine[Any, Any, str | None], operator_ended: Coroutine[Any, Any, int], log: str
) -> str | None:
    """The result of the story. Raises OperatorFailedError when the operator ends first."""
    telling, ending = asyncio.create_task(story), asyncio.create_task(operator_ended)
    try:
        await asyncio.wait({telling, ending}, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            return await telling
        raise OperatorFailedError(f"The operator ended with code {ending.result()}; see {log}.")
    finally:
        await _given_up(telling)
        await _given_up(ending)


async def _given_up(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


async def _panels(example: Example, place: LocalCluster, chronicle: Chronicle) -> tuple[Panel, ...]:
    """The curves of each metric, as Prometheus has them."""
    metrics, facts = example.spec.analysis.metrics, chronicle.facts
    begin = chronicle.releases[0].at if chronicle.releases else facts.started
    asked = curves.questions(metrics, example.namespace, example.name, chronicle.workloads, begin, facts.ended)
    async with Prometheus(place.metrics.url) as prometheus:
        return curves.panels(metrics, await prometheus.ask(asked), chronicle.served)
