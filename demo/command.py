"""The command line of the demo: flags, exit codes, one sentence for each error, and the reports on disk."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from demo.folder import claimed
from demo.hands import CommandFailedError
from demo.page import page
from demo.play import Example, MissingExampleError, Played, play
from demo.report import report
from demo.screen import Screen, screen, show_table
from demo.story import TOURS, Tour
from demo.trouble import TROUBLE
from demo.users import NoSamplesError
from localcluster.processes.signals import ENDING, run_until_told

ROOT = Path(__file__).parents[1]
RATE = 120.0
LONGEST_ERROR = 400  # characters of an error; the log has the rest

EXPECTED = (*TROUBLE, CommandFailedError, MissingExampleError, NoSamplesError)

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    flags = _flags(arguments)
    folder: Path = flags.directory.resolve()
    try:
        with claimed(folder, "demo"):
            _log_to(folder / "logs" / "demo.log")
            return _run(folder, flags.rps, TOURS[flags.strategy])
    except EXPECTED as error:
        logger.info("The demo could not go on.", exc_info=error)
        return _failed(f"{error}")
    except Exception as error:  # our own mistake: people get a sentence, the log gets the rest
        logger.exception("The demo failed.")
        return _failed(
            f"The demo has a mistake of its own ({type(error).__name__}); see {folder / 'logs' / 'demo.log'}."
        )


def _flags(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Releases of a small model on real parts, good and bad ones. Takes two or three minutes.",
    )
    parser.add_argument("--strategy", choices=TOURS, default="canary", help="the stages that are shown (%(default)s)")
    parser.add_argument(
        "--directory", type=Path, default=Path("build/demo"), help="where reports and logs go (%(default)s)"
    )
    parser.add_argument("--rps", type=_rate, default=RATE, help="requests a second that users send (%(default)g)")
    return parser.parse_args(arguments)


def _rate(text: str) -> float:
    rate = float(text)
    if not 1 <= rate <= 1000:
        raise argparse.ArgumentTypeError("a rate from 1 to 1000 requests a second")
    return rate


def _log_to(path: Path) -> None:
    """Sends log lines to a file: on the screen they would break the picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.captureWarnings(True)


def _run(folder: Path, rate: float, tour: Tour) -> int:
    stage, results = screen(), list[Played]()
    try:
        code = run_until_told(_to_the_end(folder, rate, tour, stage, results))
    except KeyboardInterrupt:  # another Ctrl-C, when all has been stopped
        code = 128 + signal.SIGINT
    for each in ENDING:  # nothing runs any more, and nothing below waits
        signal.signal(each, signal.SIG_IGN)
    return code or _told(folder, tour, results[0])


async def _to_the_end(folder: Path, rate: float, tour: Tour, stage: Screen, results: list[Played]) -> None:
    """Plays. When cancelled it says so before it stops the parts: a second Ctrl-C leaves no time for that."""
    playing = asyncio.create_task(play(Example.read(ROOT, tour, folder), folder, rate, stage))
    try:
        results.append(await asyncio.shield(playing))
    except asyncio.CancelledError:
        stage.close()
        stage.say("Interrupted: stopping everything that was started.")
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        raise
    finally:
        stage.close()


def _told(folder: Path, tour: Tour, played: Played) -> int:
    document = report(played.chronicle, tour, interrupted=played.interrupted)
    (folder / "report.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    (folder / "report.html").write_text(page(played.chronicle, document, played.panels))
    show_table(document)
    sys.stdout.write(f"{_closing(document)}\n\n  {folder / 'report.html'}\n  {folder / 'report.json'}\n")
    for complaint in document["complaints"]:
        sys.stderr.write(f"{complaint}\n")
    return 0 if document["asTold"] else 1


def _closing(document: dict[str, Any]) -> str:
    users = document["requests"]
    return (
        f"{users['total']:,} requests, {users['harmed']:,} users harmed, {users['failedBySwitch']} requests failed "
        f"because traffic moved; {document['seconds']:.0f} s in all."
    )


def _failed(why: str) -> int:
    """Prints the first sentence: some errors are a page long."""
    sentence = why.partition("\n")[0]
    sys.stderr.write(f"{sentence[:LONGEST_ERROR]}{' …' if len(sentence) > LONGEST_ERROR else ''}\n")
    return 1
