"""A comparer as a process of its own, between two versions on this machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from localcluster.processes.ports import free_port
from modelrollout.api.compare import Agreement, Compare, Limits
from modelrollout.api.scalars import Share
from modelrollout.comparer import config


@dataclass(frozen=True, slots=True)
class Comparer:
    """Its process, and its ports: for copies, and for its metrics."""

    pid: int
    copies: int
    watched: int


@asynccontextmanager
async def comparer(stable: int, candidate: int, *, concurrency: int = 64) -> AsyncIterator[Comparer]:
    """It compares the label of what the versions on these ports answer, until the block ends."""
    told = config.Config(
        namespace="ml",
        rollout="fraud",
        stable=config.Version(url=f"http://127.0.0.1:{stable}", revision="old"),
        candidate=config.Version(url=f"http://127.0.0.1:{candidate}", revision="new"),
        methods=("POST",),
        compare=Compare(
            min_agreement=Share("98%"), agreement=Agreement(path="$.label"), limits=Limits(concurrency=concurrency)
        ),
    )
    copies, watched = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelrollout.comparer", "--config", told.model_dump_json(by_alias=True)),
        *("--host", "127.0.0.1", "--port", str(copies), "--watched-port", str(watched)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None  # noqa: S101 - for the type checker
    await process.stderr.readline()  # it listens
    try:
        yield Comparer(process.pid, copies, watched)
    finally:
        process.terminate()
        await process.wait()
