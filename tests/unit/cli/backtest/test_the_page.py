"""docs/backtest.md: its policy can be read and its commands are what the command line knows. They are run, too, where
there is a real Prometheus (tests/integration/test_backtest.py)."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from modelrollout.cli.backtest.command import read_options
from tests.docs import blocks
from tests.places import ROOT
from tests.unit.cli.backtest.policies import parsed

PAGE = ROOT / "docs" / "backtest.md"
COMMANDS = re.findall(r"^```sh\nmodelrollout backtest (.*?)\n```$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_a_command_of_the_page_is_understood(command: str, tmp_path: Path) -> None:
    path = tmp_path / "rollout.yaml"
    path.write_text(yaml.safe_dump_all(blocks(PAGE)))
    arguments = [str(path) if part == "rollout.yaml" else part for part in shlex.split(command)]
    assert read_options(parsed(*arguments), datetime(2026, 3, 2, tzinfo=UTC)).policy.name == "fraud"
