"""The example model as a process of its own: each version is as good, as quick and as broken as it claims to be."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.places import ROOT

DIGITS = ROOT / "examples/digits"
AT_ONCE = 8  # requests


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: dict[str, Any]
    version: str | None
    closes: bool


@dataclass(frozen=True, slots=True)
class Running:
    process: asyncio.subprocess.Process
    url: str
    client: aiohttp.ClientSession

    async def predict(self, features: Sequence[float], label: int | None = None) -> Reply:
        headers = {} if label is None else {"x-true-label": str(label)}
        async with self.client.post(f"{self.url}/predict", json={"features": features}, headers=headers) as reply:
            closes = reply.headers.get("Connection") == "close"
            return Reply(reply.status, await reply.json(), reply.headers.get("x-model-version"), closes)

    async def replay(self, samples: Sequence[dict[str, Any]]) -> list[Reply]:
        """All samples with their labels, a few at a time, answers in the samples' order."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(sample: dict[str, Any]) -> Reply:
            async with turn:
                return await self.predict(sample["features"], sample["label"])

        return await asyncio.gather(*map(one, samples))

    async def health(self) -> int:
        async with self.client.get(f"{self.url}/healthz") as reply:
            return reply.status

    async def is_ready(self) -> bool:
        return await self.health() == 200

    def finish_training(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    async def metrics(self) -> dict[tuple[str, ...], float]:
        """(name, label, value, label, value, …) to value."""
        async with self.client.get(f"{self.url}/metrics") as reply:
            families = text_string_to_metric_families(await reply.text())
            return {
                (sample.name, *(word for pair in sorted(sample.labels.items()) for word in pair)): sample.value
                for family in families
                for sample in family.samples
            }


@asynccontextmanager
async def serving(version: str, folder: Path = DIGITS) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "server.py",
        "--version",
        version,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr
        line = (await process.stderr.readline()).decode()
        async with aiohttp.ClientSession() as client:
            yield Running(process, "http://" + line.rpartition("http://")[2].strip(), client)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def ready(version: str) -> AsyncIterator[Running]:
    async with serving(version) as server:
        await until(server.is_ready)
        yield server


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """The samples and every version's answers, as `samples.py` prints them."""
    command = [sys.executable, DIGITS / "samples.py", "v1", "v2", "v3", "v4", "v5", "v6"]
    document: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)  # noqa: S603
    return document


def accuracy(answers: Sequence[int], samples: Sequence[dict[str, Any]]) -> float:
    return sum(answer == sample["label"] for answer, sample in zip(answers, samples, strict=True)) / len(samples)


async def test_samples_are_the_same_in_every_process_and_cover_all_digits(known: dict[str, Any]) -> None:
    assert len(known["samples"]) == 600
    assert {sample["label"] for sample in known["samples"]} == set(range(10))
    assert all(len(sample["features"]) == 64 for sample in known["samples"])
    async with ready("v1") as server:
        replies = await server.replay(known["samples"][:50])
    assert [reply.body["label"] for reply in replies] == known["answers"]["v1"][:50]


@pytest.mark.parametrize(
    ("version", "at_least", "at_most"),
    [("v1", 0.92, 0.94), ("v2", 0.965, 0.98), ("v4", 0.72, 0.78), ("v5", 0.965, 0.98)],
)
async def test_version_answers_every_request_and_is_as_accurate_as_it_claims(
    known: dict[str, Any], version: str, at_least: float, at_most: float
) -> None:
    async with ready(version) as server:
        replies = await server.replay(known["samples"])
    assert {(reply.status, reply.version, reply.body["version"]) for reply in replies} == {(200, version, version)}
    served = [reply.body["label"] for reply in replies]
    assert served == known["answers"][version]
    assert at_least <= accuracy(served, known["samples"]) <= at_most


async def test_v3_fails_one_request_in_five_and_answers_the_others_like_v2(known: dict[str, Any]) -> None:
    async with ready("v3") as server:
        replies = await server.replay(known["samples"])
        shown = await server.metrics()
    failed = [reply for reply in replies if reply.status == 500]
    assert 0.15 < len(failed) / len(replies) < 0.25  # three standard deviations of 600 tosses
    assert {reply.version for reply in failed} == {"v3"}
    answered = {i: reply.body["label"] for i, reply in enumerate(replies) if reply.status == 200}
    assert len(answered) + len(failed) == 600
    assert answered == {i: known["answers"]["v2"][i] for i in answered}
    assert shown["http_requests_total", "code", "500", "method", "POST", "path", "/predict"] == len(failed)
    assert shown["model_labelled_total",] == len(answered)


async def test_v5_takes_forty_milliseconds_longer(known: dict[str, Any]) -> None:
    async def quicker_than_30_ms(version: str) -> float:
        async with ready(version) as server:
            await server.replay(known["samples"][:100])
            shown = await server.metrics()
        labels = ("le", "0.03", "method", "POST", "path", "/predict")
        return shown["http_request_duration_seconds_bucket", *labels]

    assert await quicker_than_30_ms("v5") == 0
    assert await quicker_than_30_ms("v2") > 0


async def test_v6_becomes_ready_and_then_crashes(known: dict[str, Any]) -> None:
    async with ready("v6") as server:
        assert (await server.predict(known["samples"][0]["features"])).status == 200
        async with asyncio.timeout(30):
            assert await server.process.wait() == 134


async def test_metrics_agree_with_what_the_client_saw(known: dict[str, Any]) -> None:
    async with ready("v1") as server:
        before = await server.metrics()
        replies = await server.replay(known["samples"][:200])
        await server.predict(known["samples"][0]["features"])  # its true label never arrives
        await server.predict([1, 2, 3])
        shown = await server.metrics()
    requests = {key: value for key, value in shown.items() if key[0] == "http_requests_total"}
    on_predict = ("method", "POST", "path", "/predict")
    assert requests == {
        ("http_requests_total", "code", "200", *on_predict): 201,
        ("http_requests_total", "code", "400", *on_predict): 1,
        ("http_requests_total", "code", "500", *on_predict): 0,
    }
    assert shown["http_request_duration_seconds_count", *on_predict] == 202
    assert shown["http_request_duration_seconds_bucket", "le", "+Inf", *on_predict] == 202
    labels = [reply.body["label"] for reply in replies]
    assert shown["model_labelled_total",] == 200
    assert shown["model_correct_total",] == round(200 * accuracy(labels, known["samples"][:200]))
    assert sum(value for key, value in shown.items() if key[0] == "model_predictions_total") == 201
    # Every counter is there from the first scrape on, at 0, so that its first event is not lost.
    assert {key for key in shown if key[0].startswith(("http_", "model_"))} == {
        key for key in before if key[0].startswith(("http_", "model_"))
    }
    assert all(value == 0 for key, value in before.items() if key[0].startswith(("http_", "model_")))


BAD_BODIES = (
    (b"not JSON", "the body has to be JSON"),
    (b"[]", "the body has to be JSON"),
    (b'{"pixels": []}', "the body has to be JSON"),
    (b"[" * 100_000, "the body has to be JSON"),
    (b'{"features": [1, 2]}', "a list of 64 numbers"),
    (json.dumps({"features": ["1"] * 64}).encode(), "numbers from 0 to 16"),
    (json.dumps({"features": [float("nan")] * 64}).encode(), "numbers from 0 to 16"),
    (json.dumps({"features": [10**400] * 64}).encode(), "numbers from 0 to 16"),
)


async def test_a_bad_request_is_told_what_is_wrong() -> None:
    async with ready("v1") as server:
        for body, why in BAD_BODIES:
            async with server.client.post(f"{server.url}/predict", data=body) as reply:
                assert (reply.status, reply.headers["x-model-version"]) == (400, "v1"), body[:40]
                assert why in (await reply.json())["error"]


async def test_unknown_paths_are_refused_in_the_versions_name() -> None:
    async with ready("v1") as server:
        async with server.client.get(f"{server.url}/nowhere") as reply:
            assert (reply.status, reply.headers["x-model-version"]) == (404, "v1")
        async with server.client.get(f"{server.url}/predict") as reply:
            assert (reply.status, reply.headers["Allow"]) == (405, "POST")


@pytest.fixture
def slow_to_train(tmp_path: Path) -> Path:
    """The server with a model that is trained when its standard input ends; the real one takes milliseconds."""
    shutil.copy(DIGITS / "server.py", tmp_path)
    (tmp_path / "model.py").write_text(
        "import sys\n\n\nclass Model:\n    def __init__(self, version):\n        sys.stdin.read()\n"
    )
    return tmp_path


async def test_is_ready_only_once_trained(known: dict[str, Any], slow_to_train: Path) -> None:
    async with serving("v1", slow_to_train) as server:
        assert await server.health() == 503
        assert (await server.predict(known["samples"][0]["features"])).status == 503
        server.finish_training()
        await until(server.is_ready)


async def test_stopping_loses_no_request_and_leaves_with_0(known: dict[str, Any]) -> None:
    async with ready("v5") as server:
        answered = 0
        statuses = set[int]()

        async def keep_asking() -> None:
            nonlocal answered
            while True:
                reply = await server.predict(known["samples"][0]["features"])
                statuses.add(reply.status)
                answered += 1
                if reply.closes:  # told to go elsewhere
                    return

        async def is_busy() -> bool:
            return answered >= 3 * AT_ONCE

        async with asyncio.timeout(30), asyncio.TaskGroup() as clients:
            for _ in range(AT_ONCE):
                clients.create_task(keep_asking())
            await until(is_busy)
            server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await server.process.wait() == 0
    assert statuses == {200}


async def test_stopping_while_training_leaves_with_0(slow_to_train: Path) -> None:
    async with serving("v1", slow_to_train) as server:
        assert await server.health() == 503
        server.process.send_signal(signal.SIGTERM)
        server.finish_training()
        async with asyncio.timeout(30):
            assert await server.process.wait() == 0
