"""`modelrollout-comparer`: compares the answers of two versions until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys

from pydantic import ValidationError

from modelrollout.comparer.config import Config
from modelrollout.comparer.server import serve

CONFIG = "MODELROLLOUT_COMPARER"
LAST_ANSWERS = 5.0
"""Seconds that comparisons in work may still take when it stops."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="modelrollout-comparer", description="Compare the answers of two versions to the same requests."
    )
    parser.add_argument("--config", metavar="JSON", help=f"whom to ask, and when answers agree; ${CONFIG}")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a gateway asks
    parser.add_argument("--port", type=int, default=8080, help="port for the copies (default 8080)")
    parser.add_argument("--watched-port", type=int, default=9090, help="port for /metrics and people (default 9090)")
    flags = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        config = Config.model_validate_json(flags.config or os.environ.get(CONFIG) or "{}")
    except ValidationError as error:
        first = error.errors()[0]
        parser.error(f"--config (or ${CONFIG}): {'.'.join(map(str, first['loc']))}: {first['msg']}")
    try:
        asyncio.run(_run(config, flags))
    except OSError as error:
        sys.stderr.write(f"modelrollout-comparer: {error}\n")
        return 1
    return 0


async def _run(config: Config, flags: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopped.set)
    async with serve(config, flags.host, flags.port, flags.watched_port) as running:
        logging.getLogger(__name__).info("Takes copies on port %d.", running.copies)
        await stopped.wait()
        try:
            async with asyncio.timeout(LAST_ANSWERS):
                await running.intake.rest()
        except TimeoutError:
            pass


if __name__ == "__main__":
    sys.exit(main())
