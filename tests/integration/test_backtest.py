"""The backtest on a real Prometheus, whose history promtool made; and every command of docs/backtest.md."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from localcluster.metrics.server import Server, binary, reserved_port
from modelrollout.__main__ import main
from tests.docs import blocks
from tests.fakes.past import Past, Pod, from_then_on
from tests.places import ROOT

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which("prometheus") is None or shutil.which("promtool") is None,
        reason="prometheus and promtool are not on PATH: apt-get install prometheus",
    ),
]

DOCS = ROOT / "docs" / "backtest.md"
COMMANDS = re.findall(r"^```sh\nmodelrollout (backtest .*?)\n```$", DOCS.read_text(), re.MULTILINE)
ADDRESS = "http://prometheus:9090"


@dataclass(frozen=True)
class World:
    url: str
    folder: Path


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Half a day, scraped every minute; the candidate is worse from 4 h 50 min ago on."""
    folder, now = tmp_path_factory.mktemp("backtest"), datetime.now(UTC)
    stable = [Pod(f"fraud-v1-{n}", rps=8, labels={"version": "v1"}) for n in range(3)]
    candidate = Pod(
        "fraud-v2-0",
        rps=8,
        labels={"version": "v2"},
        errors=from_then_on(0.01, 0.05, now - timedelta(hours=4, minutes=50)),
    )
    long = Past(stable, now - timedelta(hours=12), now, scrape=60)
    short = Past([candidate], now - timedelta(hours=6), now, scrape=60, seed=2)
    for name, past in (("long", long), ("short", short)):
        (folder / name).write_text(past.open_metrics())
        await _promtool(folder / name, folder / "data")
    (folder / "rollout.yaml").write_text(yaml.safe_dump_all(blocks(DOCS)))
    (folder / "prometheus.yml").write_text("{}")
    with reserved_port() as port:
        server = Server(binary(), folder, port)
        await server.start()
        try:
            yield World(server.url, folder)
        finally:
            await server.stop()


async def _promtool(text: Path, into: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        str(text),
        str(into),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def run(world: World, command: str) -> int:
    """The exit code of a command of the page."""
    arguments = [part.replace(ADDRESS, world.url) for part in shlex.split(command)]
    files = {"rollout.yaml": world.folder / "rollout.yaml", "report.html": world.folder / "report.html"}
    return await asyncio.to_thread(main, [str(files.get(part, part)) for part in arguments])


async def test_the_page_has_commands() -> None:
    assert len(COMMANDS) == 3


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
async def test_every_command_of_the_page_runs(command: str, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(world, command) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    if "--candidate-pods" in command:
        assert "would have been taken back" in told
        assert "after the onset" in told
        assert "fraud" in (world.folder / "report.html").read_text()
    elif "json" in command:
        assert json.loads(told)["kind"] == "candidate-against-stable"
    else:
        assert "0 false alarms" in told or "1 false alarm" in told


async def test_what_prometheus_refuses_is_told_with_the_field(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (document,) = blocks(DOCS)
    document["spec"]["analysis"]["metrics"] = [
        {"name": "odd", "value": 'sum(nonsense{pod=~"{{ pods }}"', "betterWhen": "lower", "max": "1"}
    ]
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(document))
    arguments = [
        "backtest",
        "-f",
        str(path),
        "--prometheus",
        world.url,
        "--start",
        "-2h",
        "--stable-pods",
        "a",
        "--candidate-pods",
        "b",
        "-q",
    ]
    assert await asyncio.to_thread(main, arguments) == 2
    assert "spec.analysis.metrics[odd].value: Prometheus at" in capsys.readouterr().err
