"""docs/gitops.md: its table says what the tools show, and its commands do what it says."""

from __future__ import annotations

import re
import shlex

import pytest

from modelrollout.__main__ import main
from tests.gitops import scenes
from tests.gitops.test_argo_cd import EXPECTED as BY_ARGO_CD
from tests.gitops.test_waits import EXPECTED as BY_KSTATUS_AND_FLUX
from tests.places import ROOT

PAGE = (ROOT / "docs/gitops.md").read_text()
ROWS = {
    said.strip(): tuple(cell.strip() for cell in cells.split("|"))
    for said, cells in re.findall(r"^\| ([^|`*-][^|]*)\|((?:[^|\n]*\|){2}[^|\n]*)\|$", PAGE, re.MULTILINE)
    if said.strip() != "the rollout"
}
SCENES = {
    "was applied or edited, and the operator has not looked yet": ("unseen", "edited"),
    "its first version starts": ("first-version-starts",),
    "its first version crashes, or is not ready in time": ("first-version-crashes",),
    "is in a release: starting, stages, promotion, bake": ("candidate-starts", "progressing", "promoting", "baking"),
    "is in a release, and Prometheus is away": ("prometheus-is-away",),
    "is paused, or waits for an approval": ("paused", "awaiting-approval"),
    "is in an A/B test whose goal was not shown in its time": ("goal-not-shown",),
    "is at a step that lacks evidence after `stepDeadline`, with `onInconclusive: hold`": ("evidence-not-found",),
    "serves what Git wishes for": ("healthy", "promoted"),
    "is being taken back": ("rolling-back",),
    "was taken back, and Git still wishes for it": ("rolled-back",),
    "was taken back, and the commit was reverted": ("back-in-git",),
    "has a spec that cannot be carried out": ("invalid",),
    "names an object that does not exist yet": ("named-object-is-missing",),
    "has a metric that asks Prometheus wrongly": ("metric-asks-wrongly",),
    "has found no place for its pods for `progressDeadline`": ("no-place-for-pods",),
    "has a new version whose objects the API server refuses": ("write-refused",),
    "serves with too few pods, and is in no release": ("stable-lost-its-pods",),
    "is scaled to zero": ("scaled-to-zero",),
    "cannot be read by the operator, which lacks a permission": ("cannot-be-read",),
}
COMMANDS = re.findall(r"^modelrollout (.*)$", PAGE, re.MULTILINE)


def test_the_table_has_a_row_for_every_scene() -> None:
    assert ROWS.keys() == SCENES.keys()
    assert {name for names in SCENES.values() for name in names} == set(scenes.NAMES) - {"deleted"}


@pytest.mark.parametrize("row", SCENES)
def test_a_row_of_the_table_is_true(row: str) -> None:
    assert {(BY_ARGO_CD[name], *BY_KSTATUS_AND_FLUX[name]) for name in SCENES[row]} == {ROWS[row]}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_succeeds(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    assert len(COMMANDS) == 2
