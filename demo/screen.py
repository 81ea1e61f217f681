"""Shows the demo: a live picture in a terminal, plain lines elsewhere. Decides nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo import scene
from demo.scene import Crowd, Scene
from demo.story import IN_WORDS
from modelrollout.api.status import ModelRolloutStatus, Verdict

COLOURS = {"v1": "bright_blue", "v2": "green", "v3": "dark_orange", "v4": "magenta"}
VERDICTS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NO_DATA: "yellow",
    Verdict.UNAVAILABLE: "yellow",
}
PHASES = {"Healthy": "green", "RollingBack": "bold red", "RolledBack": "red", "Invalid": "bold red"}
ONE_LINE: Any = {"no_wrap": True, "overflow": "ellipsis"}
EVENTS = 6  # of the latest ones
QUIET = 10.0  # seconds between two lines about users where nothing else is told
WIDTH = 110  # of lines where there is no terminal to ask


class Screen(Protocol):
    """Where the demo speaks."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def show(self, now: Scene) -> None:
        """The state of things; called a few times a second."""

    def close(self) -> None:
        """The terminal is as it was, and no scene is shown any more: what still runs may go on calling `show`."""


def screen() -> Screen:
    """The kind that fits standard output."""
    console = Console(highlight=False, soft_wrap=False)
    return LiveScreen(console) if console.is_terminal else PlainScreen()


class PlainScreen:
    """A line for each change, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last, self._quiet_since, self._is_over = Scene(), 0.0, False

    def say(self, line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self._started:6.1f} s  {line}\n")
        sys.stdout.flush()

    def show(self, now: Scene) -> None:
        if self._is_over:
            return
        lines = list(scene.differences(self._last, now))
        if not lines and now.elapsed - self._quiet_since >= QUIET and now.crowd.served:
            lines = [f"users   {scene.summary(now.crowd)}"]
        for line in lines:
            self.say(f"{now.release.name if now.release else '--'}  {line}")
            self._quiet_since = now.elapsed
        self._last = now

    def close(self) -> None:
        self._is_over = True


class LiveScreen:
    """The picture at the bottom of the terminal; lines that stay scroll away above it."""

    def __init__(self, console: Console) -> None:
        self._console, self._live = console, Live(console=console, refresh_per_second=4, transient=True)
        self._is_over = False

    def say(self, line: str) -> None:
        self._console.print(Text(line, style="bold" if line.startswith("$ ") else ""))

    def show(self, now: Scene) -> None:
        if self._is_over:
            return
        if not self._live.is_started:
            self._live.start()
        self._live.update(picture(now))

    def close(self) -> None:
        self._is_over = True
        self._live.stop()


def picture(now: Scene) -> RenderableType:
    parts = (_headline(now), _weights(now), _verdicts(now.status), _users(now.crowd), _events(now))
    return Group(*(line for part in parts for line in (Text(""), part)))


def _headline(now: Scene) -> RenderableType:
    phase = str(now.status.phase or "starting")
    line = Text.assemble(
        ("ModelRollout digits  ", "bold"),
        (phase, PHASES.get(phase, "cyan")),
        f"  {scene.step(now.status)}",
        (f"  {now.elapsed:.0f} s\n", "dim"),
        **ONE_LINE,
    )
    if now.release:
        line.append(f"{now.release.name} {now.release.about}\n", style=COLOURS.get(now.release.name, ""))
    return line.append((now.status.message or "").replace("\n", " "), style="dim")


def _weights(now: Scene) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for version, share in sorted(now.shares.items()):
        colour = COLOURS.get(version, "white")
        bar = ProgressBar(total=100, completed=share, width=50, complete_style=colour, finished_style=colour)
        table.add_row(Text(f"  {version}", style=colour), bar, f"{share} %")
    return table


def _verdicts(status: ModelRolloutStatus) -> RenderableType:
    table = Table(box=SIMPLE, show_edge=False, pad_edge=True)
    for title in ("metric", "verdict", "candidate", "stable", "bound", "samples"):
        table.add_column(title, justify="right" if title in ("candidate", "stable", "samples") else "left")
    for verdict in status.verdicts if status.candidate else ():
        table.add_row(
            verdict.metric,
            Text(verdict.verdict, style=VERDICTS[verdict.verdict]),
            verdict.candidate or "–",
            verdict.stable or "–",
            verdict.bound or "",
            str(verdict.samples if verdict.samples is not None else "–"),
        )
    return table if table.row_count else Text("")


def _users(crowd: Crowd) -> RenderableType:
    return Text.assemble(
        "  users: ",
        (f"{crowd.served:,} served", "green"),
        f" at {crowd.per_second}/s, ",
        (f"{crowd.harmed:,} harmed", "dark_orange" if crowd.harmed else "green"),
        ", ",
        (f"{crowd.failed_by_switch} requests failed by the switch", "bold red" if crowd.failed_by_switch else "green"),
    )


def _events(now: Scene) -> RenderableType:
    # Always as many lines: a picture that changes its height makes the eye jump.
    lines = [Text("")] * max(0, EVENTS - len(now.told))
    for event in now.told[-EVENTS:]:
        reason = (f"  {event.reason}  ", "red" if event.type == "Warning" else "cyan")
        lines.append(Text.assemble(reason, (event.message, "dim"), **ONE_LINE))
    return Group(*lines)


def table(document: Mapping[str, Any]) -> RenderableType:
    """The table that the demo ends with."""
    drawn = Table(box=SIMPLE, title="What became of each release", title_justify="left", title_style="bold")
    drawn.add_column("")
    for title in ("outcome", "max weight", "harmed", "helped", "failed by the switch", "to detect", "to restore"):
        drawn.add_column(title, justify="left" if title == "outcome" else "right")
    for row, detail in zip(document["releases"], document["details"], strict=True):
        drawn.add_row(
            Text(row["name"], style=COLOURS.get(row["name"], "")),
            IN_WORDS.get(row["outcome"], "not finished"),
            f"{row['maxWeight']} %",
            str(row["usersHarmed"]),
            str(detail["usersHelpedByIt"]),
            str(row["requestsFailedBySwitch"]),
            _seconds(row["secondsToDetect"]),
            _seconds(row["secondsToRestore"]),
        )
    return drawn


def show_table(document: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=WIDTH)
    console.print(table(document))


def _seconds(value: float | None) -> str:
    return f"{value:.1f} s" if value is not None else "–"
