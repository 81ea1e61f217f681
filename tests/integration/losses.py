"""Tells all that is known of requests that failed although no model server said so: nothing else of a run is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from localcluster.load import LoadGenerator, Outcome

FLUSHED = 11.0  # seconds after which Envoy has written to its access log what it knows
SHOWN = 5


async def nobody_failed_by_the_switch(users: LoadGenerator, sandbox: Path) -> None:
    """Fails with the requests that did, and with the gateway's lines of their seconds."""
    failed = users.snapshot().failed_by_switch
    if failed == 0:
        return
    lost = [one for one in users.outcomes if one.failure is not None and one.failure.is_by_switch]
    await asyncio.sleep(FLUSHED)
    told = [line for one in lost[:SHOWN] for line in _told(one, sandbox / "gateway" / "access.log")]
    pytest.fail("\n".join([f"{failed} requests failed by the switch; logs are in {sandbox}", *told]))


def _told(lost: Outcome, log: Path) -> Iterator[str]:
    at = datetime.fromtimestamp(lost.at, UTC)
    yield f"{at:%H:%M:%S.%f} {lost.failure} {lost.status} of {lost.version} after {lost.latency:.3f} s: {lost.detail}"
    around = {f"{at + timedelta(seconds=n):%Y-%m-%dT%H:%M:%S}" for n in range(-1, int(lost.latency) + 2)}
    yield from (f"    {line}" for line in _lines(log) if line[:19] in around)


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else [f"there is no {log}"]
