"""docs/notifications.md says what the code does: its YAML is valid, and its tables are those of the code."""

from __future__ import annotations

import re

from modelrollout.api.notifications import FIELDS, USUAL, Topic
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.delivery.sender import SERVICES
from modelrollout.delivery.standing import TargetsFile
from modelrollout.delivery.webhook import TYPES
from tests.builders import small
from tests.docs import blocks
from tests.places import ROOT

PAGE = ROOT / "docs/notifications.md"
TEXT = PAGE.read_text()


def rows(title: str) -> list[list[str]]:
    """The cells of the first table after a title."""
    table = TEXT.split(title, 1)[1].split("|---|", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[1:]]


def test_its_targets_are_valid() -> None:
    of_a_rollout, of_the_operator, chart = blocks(PAGE)
    assert len(ModelRolloutSpec.model_validate(small(**of_a_rollout)).notifications) == 3
    assert [one.name for one in TargetsFile.model_validate(of_the_operator).targets] == ["platform", "audit"]
    assert set(chart) == {"notifications"}


def test_its_topics_are_those_that_there_are_with_the_usual_ones_marked() -> None:
    found = {row[0].strip("`"): row[-1].endswith("yes |") or row[-1] == "yes" for row in rows("## Who is told of what")}
    assert found == {topic.value: topic in USUAL for topic in Topic}


def test_its_types_are_those_of_the_events() -> None:
    assert {row[0].strip("` "): row[1].strip("`| ") for row in rows("The types are")} == TYPES


def test_its_fields_are_those_of_a_text() -> None:
    named = [name for row in rows("## The text") for name in re.findall("`([a-z]+)`", row[0])]
    assert named == list(FIELDS)


def test_its_services_may_be_chosen() -> None:
    told = {scheme for row in rows("## Addresses") for scheme in re.findall("`([a-z]+)://`", row[0])}
    assert told - {"http", "https"} <= set(SERVICES)
