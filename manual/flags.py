"""Tables of the command line's flags, from the parsers themselves. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from modelrollout.cli import disagreement_flags, file_flags, status_flags
from modelrollout.cli.backtest import flags as backtest_flags
from modelrollout.shell import settings

COMMANDS: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
    "run": settings.add_flags,
    "status": status_flags.add_flags,
    "disagreements": disagreement_flags.add_flags,
    "backtest": backtest_flags.add_flags,
    "lint": file_flags.add_flags,
    "render": file_flags.add_flags,
}


class _Listing(argparse.ArgumentParser):
    """A parser that remembers what it was given."""

    def __init__(self) -> None:
        self.actions: list[argparse.Action] = []
        super().__init__(add_help=False)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        action = super().add_argument(*names, **options)
        self.actions.append(action)
        return action


def section(command: str) -> str:
    """A command with all its flags."""
    parser = _Listing()
    COMMANDS[command](parser)
    rows = "".join(_row(action) for action in parser.actions)
    return f"### modelrollout {command}\n\n| Flag | Environment | |\n|---|---|---|\n{rows}"


def _row(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
    told, _, variable = (action.help or "").partition("; $")
    return f"| {names} | {f'`{variable}`' if variable else ''} | {told} |\n".replace("<", "&lt;")
