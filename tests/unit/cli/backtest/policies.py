"""A policy for tests of the backtest, and the command line that replays it over a made-up past."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.cli.backtest import flags
from modelrollout.cli.backtest.command import run
from modelrollout.cli.backtest.fetch import Asks
from tests import builders
from tests.builders import histogram_metric, metric, value_metric
from tests.builders.metrics import OURS

ERRORS = metric(tolerance=builders.ERRORS["tolerance"])
LATENCY = histogram_metric(name="latency", quantile="0.95", tolerance={"relative": "25%"})
ACCURACY = value_metric(name="accuracy", value=f"avg(accuracy{{{OURS}}})", tolerance={"absolute": "3%"})


def policy(*metrics: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Steps 5, 25, 50 and 100 of two minutes each, and a bake of four."""
    wanted: dict[str, Any] = {
        "stages": [{"name": "canary", "canary": {"weights": [5, 25, 50, 100], "hold": "2m"}}],
        "analysis": {"interval": "15s", "metrics": list(metrics or (ERRORS,))},
        "promotion": {"bake": "4m"},
        **changes,
    }
    return builders.rollout(**wanted)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    flags.add_flags(parser)
    return parser.parse_args(flags.joined(arguments))


def replayed(folder: Path, document: dict[str, Any], past: Asks | None, now: datetime, arguments: Sequence[str]) -> int:
    """The exit code."""
    path = folder / "rollout.yaml"
    path.write_text(yaml.safe_dump(document))
    return run(parsed("-f", str(path), "--quiet", *arguments), now=lambda: now, asks=past)


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The JSON that was printed."""
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document
