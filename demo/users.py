"""The demo's users: digits that no version has seen, with what each version would answer, sent at a steady rate."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from demo.scene import Crowd
from localcluster.load import STRANGERS, LoadGenerator, Sample, User, named_users
from localcluster.processes.children import dies_with_parent
from modelrollout.api.ab_test import Buckets

CROWD = 2000  # users with names, who come again every quarter of a minute or so
POLL_SECONDS = 0.1
OVER_SECONDS = 2.0  # a rate is taken
LAST_ANSWERS_SECONDS = 12.0  # a little longer than a user's patience


class NoSamplesError(Exception):
    """The example could not say what to send; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What users ask, and what each version answers to it, in the same order."""

    samples: tuple[Sample, ...]
    answers: Mapping[str, tuple[int, ...]]


async def read_samples(folder: Path, versions: Sequence[str]) -> Samples:
    """Ask the example, in a process of its own: its modules are no part of ours."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "samples.py",
        *versions,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        process_group=0,
        preexec_fn=dies_with_parent(),
    )
    try:
        said, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise NoSamplesError(f"{folder}/samples.py failed: {last[0]}")
    document = json.loads(said)
    samples = tuple(Sample(tuple(one["features"]), one["label"]) for one in document["samples"])
    return Samples(samples, {version: tuple(answers) for version, answers in document["answers"].items()})


def crowd_in(buckets: Buckets | None) -> tuple[User, ...]:
    """Users with names, in buckets by whatever is before the gateway; strangers where nobody is drawn."""
    return named_users(CROWD, buckets.name, buckets.first(100)) if buckets else STRANGERS


async def answers(url: str, host: str, sample: Sample) -> None:
    """Returns when somebody who asks is answered: the gateway has heard of the route."""
    async with aiohttp.ClientSession(trust_env=False, timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                body = {"features": sample.features}
                async with session.post(url, json=body, headers={"Host": host}) as reply:
                    if reply.status == 200:
                        return
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def sending(load: LoadGenerator) -> AsyncIterator[None]:
    """Users come until the block ends; those who still wait then get their answers."""
    run = asyncio.create_task(load.run())
    try:
        yield
        load.stop()
        async with asyncio.timeout(LAST_ANSWERS_SECONDS):
            await run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


class Meter:
    """Reads a load generator a few times a second, and so knows how many ask at present."""

    def __init__(self) -> None:
        self.load: LoadGenerator | None = None  # before there are users
        self._seen: deque[tuple[float, int]] = deque()

    def read(self) -> Crowd:
        if self.load is None:
            return Crowd()
        counts, now = self.load.snapshot(), time.monotonic()
        self._seen.append((now, counts.total.requests))
        while now - self._seen[0][0] > OVER_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        asked = round((counts.total.requests - before) / (now - since)) if now > since else 0
        return Crowd(asked, counts.total.answered, counts.total.harmed, counts.failed_by_switch)
