"""Users of the model: sends digits that no version has seen, with their true labels, until Ctrl-C.

    python users.py http://127.0.0.1:8080        # as many a second as --rate says

Prints once a second who answered: how many requests each version had, how many answers were right, and how many failed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import Sequence

import aiohttp
from samples import Sample, samples

PATIENCE = aiohttp.ClientTimeout(total=10)


async def ask(client: aiohttp.ClientSession, url: str, host: str, sample: Sample, told: Counter[str]) -> None:
    headers = {"Host": host, "x-true-label": str(sample.label)}
    try:
        async with client.post(f"{url}/predict", json={"features": sample.features}, headers=headers) as reply:
            version = reply.headers.get("x-model-version", "nobody")
            told[version] += 1
            if reply.status != 200:
                told[f"{version} failed"] += 1
            elif (await reply.json())["label"] == sample.label:
                told[f"{version} right"] += 1
    except (aiohttp.ClientError, TimeoutError):
        told["unanswered"] += 1


async def send(url: str, host: str, rate: float, known: Sequence[Sample]) -> None:
    told: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()
    chance, now = random.Random(1), asyncio.get_running_loop().time  # noqa: S311 - nobody guesses a digit
    due = shown = now()
    async with aiohttp.ClientSession(timeout=PATIENCE, trust_env=False) as client:
        while True:
            await asyncio.sleep(max(0.0, due - now()))
            due += 1 / rate
            task = asyncio.create_task(ask(client, url, host, chance.choice(known), told))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            if now() - shown >= 1:
                sys.stdout.write(in_words(told) + "\n")
                sys.stdout.flush()
                told.clear()
                shown = now()


def in_words(told: Counter[str]) -> str:
    versions = sorted(name for name in told if " " not in name and name != "unanswered")
    parts = [
        f"{name}: {told[name]} requests, {told[f'{name} right']} right, {told[f'{name} failed']} failed"
        for name in versions
    ]
    return " · ".join([*parts, *([f"{told['unanswered']} unanswered"] if told["unanswered"] else [])]) or "nothing yet"


def main() -> None:
    parser = argparse.ArgumentParser(description="Send digits with their true labels, until Ctrl-C.")
    parser.add_argument("url", help="where the gateway listens, such as http://127.0.0.1:8080")
    parser.add_argument("--host", default="digits.example.com", help="host name that is asked for")
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    flags = parser.parse_args()
    try:
        asyncio.run(send(flags.url.rstrip("/"), flags.host, flags.rate, samples()))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
