"""docs/tutorial.md, word for word: the sandbox, its users, a better version, a worse one, and the end. About two minutes."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from localcluster import gateway, metrics
from localcluster.gateway.envoy import EnvoyMissingError
from localcluster.metrics import PrometheusMissingError
from localcluster.processes.children import Process
from tests.integration.patience import eventually
from tests.places import ROOT
from tests.site.commands import TUTORIAL, commands

ACTIVATED = ". .venv/bin/activate"
"""What the test's own environment stands for."""
SANDBOX = "make sandbox"
USERS = 'python examples/digits/users.py "$GATEWAY"'
ELSEWHERE = (ACTIVATED, SANDBOX, USERS)
"""Commands that have a terminal of their own, or that need none here."""


@pytest.fixture(autouse=True)
def parts() -> None:
    """Skip where the sandbox could not start, or nobody could type."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH")
    try:
        gateway.binary()
        metrics.binary()
    except (EnvoyMissingError, PrometheusMissingError) as missing:
        pytest.skip(str(missing))


def test_the_tutorial_has_what_the_test_does_in_its_own_way() -> None:
    assert set(ELSEWHERE) <= set(commands(TUTORIAL))


@pytest.mark.demo
async def test_the_tutorial_goes_as_it_says(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{_programs(tmp_path)}:{os.environ['PATH']}"}
    sandbox = [sys.executable, "-m", "demo.playground", "--directory", str(tmp_path / "sandbox")]
    async with _terminal(sandbox, environment, tmp_path / "sandbox.log") as said:
        exports = await eventually(lambda: _exports(said), "the sandbox says where it is", within=60)
        environment |= exports
        users = [sys.executable, *USERS.replace('"$GATEWAY"', exports["GATEWAY"]).split()[1:]]
        async with _terminal(users, environment, tmp_path / "users.log") as heard:
            for command in (one for one in commands(TUTORIAL) if one not in ELSEWHERE):
                await _typed(command, environment, tmp_path / "typed.log")
        assert re.search(r"v2: \d+ requests, \d+ right, 0 failed", heard.read_text())
        assert re.search(r"v3: \d+ requests, \d+ right, [1-9]\d* failed", heard.read_text())


def _programs(folder: Path) -> Path:
    """What activating the environment would put on PATH: this very one."""
    (place := folder / "bin").mkdir()
    for name, more in (("python", ""), ("modelrollout", "-m modelrollout ")):
        (place / name).write_text(f'#!/bin/sh\nexec {sys.executable} {more}"$@"\n')
        (place / name).chmod(0o755)
    return place


@asynccontextmanager
async def _terminal(command: Sequence[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[Path]:
    """A program that goes on until the block ends; where its words are."""
    process = await Process.start(command, folder=ROOT, environment=environment, log=log)
    try:
        yield log
    finally:
        await process.stop(20)


async def _exports(log: Path) -> dict[str, str]:
    return dict(re.findall(r"^export (\w+)=(.+)$", log.read_text() if log.exists() else "", re.MULTILINE))


async def _typed(command: str, environment: Mapping[str, str], log: Path) -> None:
    """As in a shell, in the folder of the checkout. Nothing on the page takes longer than its own --timeout."""
    process = await Process.start(["bash", "-c", command], folder=ROOT, environment=environment, log=log)
    code = await process.wait()
    assert code == 0, f"{command}\n{log.read_text()[-3000:]}"
