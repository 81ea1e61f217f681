"""The stories of the demo: each strategy is a spec that the operator takes, and reads as the example does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from demo.play import Example
from demo.story import TOURS
from modelrollout.rollout.rollout import Wish, read_wish
from modelrollout.stages.way import fault
from tests.places import ROOT


@pytest.mark.parametrize("strategy", TOURS)
def test_a_tour_can_be_carried_out(strategy: str, tmp_path: Path) -> None:
    example = Example.read(ROOT, TOURS[strategy], tmp_path)
    manifest = yaml.safe_load((ROOT / example.file).read_text())
    wish = read_wish(manifest["spec"])
    assert isinstance(wish, Wish), wish
    assert fault(replace(wish, comparer_image="modelrollout")) is None
    assert manifest["spec"]["model"]["version"] == TOURS[strategy].releases[0].name


def test_the_tour_without_stages_of_its_own_applies_the_example_itself(tmp_path: Path) -> None:
    assert Example.read(ROOT, TOURS["canary"], tmp_path).file == Path("examples/digits.yaml")
    assert not [*tmp_path.iterdir()]
