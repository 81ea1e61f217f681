"""Ctrl-C ends it at once, and without a traceback."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import yaml

from tests.fakes.prometheus import fake_prometheus, hang
from tests.unit.cli.backtest.policies import policy


async def test_an_interrupt_is_an_end_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "rollout.yaml"
    path.write_text(yaml.safe_dump(policy()))
    async with fake_prometheus() as prometheus:
        prometheus.trouble = hang
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "modelrollout",
            "backtest",
            "-f",
            str(path),
            "--start",
            "-1d",
            "--prometheus",
            prometheus.url,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            while not prometheus.asked:  # noqa: ASYNC110 - the fake keeps a list, and no more
                await asyncio.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, told = await process.communicate()
    assert process.returncode == 130
    assert told.decode() == "modelrollout backtest: interrupted.\n"
