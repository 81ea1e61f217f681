"""Every command on every page is run by a test, read by the program that it is for, or in the table of the others.

kubectl's are run in tests/contract, Helm's are rendered in tests/chart, the tutorial's are run in tests/integration.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from typing import Any

import pytest

from manual.flags import COMMANDS
from modelrollout.cli.backtest.flags import joined
from modelrollout.shell.settings import from_flags
from tests.places import ROOT
from tests.site.blocks import of_sort
from tests.site.commands import EVERY, NOT_RUN, of_program

PROGRAMS = ("kubectl", "modelrollout", "make")
HELM = re.compile(r"helm (install|upgrade) ")


def test_every_command_is_for_a_program_whose_commands_are_tested() -> None:
    """Run it in a test, or add it to NOT_RUN with the reason."""
    unknown = [one for one in EVERY if one[1] not in NOT_RUN and one[1].split()[0] not in PROGRAMS]
    assert [one for one in unknown if not HELM.match(one[1])] == []


def test_what_is_not_run_is_on_a_page() -> None:
    assert set(NOT_RUN) - {command for _, command in EVERY} == set()


@pytest.mark.parametrize("command", of_program("modelrollout"))
def test_the_command_line_takes_it(command: str) -> None:
    _, name, *flags = shlex.split(command)
    parser = argparse.ArgumentParser(exit_on_error=False)
    COMMANDS[name](parser)
    found = parser.parse_args(joined(flags))
    if name == "run":
        from_flags(found, {})


@pytest.mark.parametrize("command", of_program("make"))
def test_make_has_the_target_and_asks_for_its_variables(command: str) -> None:
    """The demo and the tests are run as they are; an image needs Docker."""
    _, target, *variables = command.split()
    makefile = (ROOT / "Makefile").read_text()
    asked_for = set(re.findall(r"\$\(([A-Z]+)\)", makefile))
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert {one.partition("=")[0] for one in variables} <= asked_for


@pytest.mark.parametrize(("page", "block"), [one for one in of_sort("of another tool") if "jobs" in one.values[1]])
def test_steps_of_a_workflow_are_shell(page: str, block: dict[str, Any]) -> None:
    for step in (step for job in block["jobs"].values() for step in job["steps"] if "run" in step):
        assert subprocess.run(["bash", "-n", "-c", step["run"]], check=False).returncode == 0, step  # noqa: S603, S607
