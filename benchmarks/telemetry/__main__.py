"""`python -m benchmarks.telemetry`: scrapes /metrics with rollouts in release, and prints what that holds up.

All times are CPU seconds of this process, which say the same on a busy machine. The longest stretch is that between two
turns of the event loop: a retreat would have waited for it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass

from modelrollout.api.status import ModelRolloutStatus
from modelrollout.plan.plan import Plan
from modelrollout.rollout.rollout import parse
from modelrollout.shell.probes import Probes
from modelrollout.shell.telemetry import Telemetry

HEAD = "| rollouts | metrics of each | lines | MB | CPU s | longest stretch ms |\n" + "|---:" * 6 + "|\n"
SCRAPE = "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1]).read())"
"""For another process, so that this one does nothing else."""
SCRAPES = 5
NOON = "2026-01-01T12:00:00Z"
CONDITIONS = ("Ready", "Progressing", "Healthy", "AnalysisAvailable", "Sensitive")


@dataclass(frozen=True, slots=True)
class Scrape:
    lines: int
    size: int
    cpu: float
    held: float  # the longest stretch without a turn of the event loop


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry", description=__doc__)
    parser.add_argument("--rollouts", type=int, nargs="+", default=(100, 1000), help="in release")
    parser.add_argument("--metrics", type=int, default=6, help="of each (default 6)")
    options = parser.parse_args(arguments)
    sys.stdout.write(HEAD)
    for rollouts in options.rollouts:
        found = asyncio.run(scrapes(rollouts, options.metrics))
        sys.stdout.write(row(rollouts, options.metrics, found))
    return 0


def row(rollouts: int, metrics: int, found: list[Scrape]) -> str:
    """Their mean CPU, and the longest stretch of all."""
    cpu, held = sum(one.cpu for one in found) / len(found), max(one.held for one in found)
    cells = (rollouts, metrics, found[0].lines, f"{found[0].size / 1e6:.1f}", f"{cpu:.2f}", f"{held * 1e3:.0f}")
    return f"| {' | '.join(map(str, cells))} |\n"


async def scrapes(rollouts: int, metrics: int) -> list[Scrape]:
    """The first of all is left out: it pays for what was made before it."""
    telemetry = Telemetry()
    for number in range(rollouts):
        show(telemetry, f"rollout-{number}", metrics)
    probes = Probes(telemetry, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{await probes.start()}/metrics"
    try:
        return [await _scraped(telemetry, url) for _ in range(SCRAPES + 1)][1:]
    finally:
        await probes.stop()


def show(telemetry: Telemetry, name: str, metrics: int) -> None:
    """As a pass over a rollout at 25 % does."""
    model, since = {"name": "fraud"}, {"since": NOON}
    status = {
        "phase": "Progressing",
        "stable": {"revision": "old", "workload": f"{name}-old", "model": {**model, "version": "1"}},
        "candidate": {"revision": "new", "workload": f"{name}-new", "model": {**model, "version": "2"}, **since},
        "stage": {"index": 0, "name": "canary", "step": 1, "weight": 25, "entered": NOON, **since},
        "verdicts": [_verdict(f"metric-{number}") for number in range(metrics)],
        "conditions": [
            {"type": one, "status": "True", "reason": "AsPlanned", "message": "", "lastTransitionTime": NOON}
            for one in CONDITIONS
        ],
    }
    manifest = {"metadata": {"name": name, "namespace": "models", "uid": name}, "spec": {}}
    telemetry.saw(parse(manifest, {}), Plan(ModelRolloutStatus.model_validate(status)))


def _verdict(metric: str) -> dict[str, object]:
    values = {"candidate": "0.21%", "stable": "0.2%", "evidence": "34%", "ruledOut": "80%"}
    counted = {"samples": 1812, "stableSamples": 34000}
    return {"metric": metric, "verdict": "Inconclusive", "message": "too early to tell", **values, **counted}


async def _scraped(telemetry: Telemetry, url: str) -> Scrape:
    before = time.process_time()
    telemetry.page()
    cpu = time.process_time() - before
    stretches: list[float] = []
    turning = asyncio.create_task(_turn(stretches))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRAPE, url, stdout=asyncio.subprocess.PIPE)
    page, _ = await process.communicate()
    turning.cancel()
    return Scrape(page.count(b"\n"), len(page), cpu, max(stretches))


async def _turn(stretches: list[float]) -> None:
    """Turn after turn of the event loop, as if all of a core were asked for; notes how long each had to wait."""
    while True:
        before = time.process_time()
        await asyncio.sleep(0)
        stretches.append(time.process_time() - before)


if __name__ == "__main__":
    sys.exit(main())
