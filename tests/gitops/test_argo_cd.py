"""Argo CD's health check, run by Lua 5.1 as Argo CD runs it, on what the operator writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.plan.actions import VERBS
from tests.docs import document
from tests.gitops import actions, scenes
from tests.gitops.__main__ import ACTIONS_KEY, CONFIG_MAP, FOLDER, KEY, SCRIPT, files
from tests.gitops.sandboxed_lua import LEFT, Sandbox

TESTS = document(FOLDER / "health_test.yaml")["tests"]
STATUSES = ("Healthy", "Progressing", "Degraded", "Suspended")

EXPECTED = {
    "unseen": "Progressing",
    "edited": "Progressing",
    "first-version-starts": "Progressing",
    "first-version-crashes": "Degraded",
    "healthy": "Healthy",
    "candidate-starts": "Progressing",
    "progressing": "Progressing",
    "paused": "Suspended",
    "awaiting-approval": "Suspended",
    "promoting": "Progressing",
    "baking": "Progressing",
    "promoted": "Healthy",
    "rolling-back": "Degraded",
    "rolled-back": "Degraded",
    "back-in-git": "Healthy",
    "invalid": "Degraded",
    "named-object-is-missing": "Progressing",
    "goal-not-shown": "Suspended",
    "evidence-not-found": "Suspended",
    "scaled-to-zero": "Suspended",
    "stable-lost-its-pods": "Degraded",
    "write-refused": "Degraded",
    "metric-asks-wrongly": "Degraded",
    "prometheus-is-away": "Progressing",
    "no-place-for-pods": "Degraded",
    "cannot-be-read": "Degraded",
    "deleted": "Progressing",  # Argo CD says so of anything that is being deleted, and asks no script
}


SANDBOX = Sandbox(SCRIPT.read_text())


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test["inputPath"])
def test_health_is_as_the_test_of_argo_cd_says(test: Manifest) -> None:
    assert SANDBOX.health(document(FOLDER / test["inputPath"])) == test["healthStatus"]


@pytest.mark.parametrize("name", scenes.NAMES)
def test_health_of_what_the_operator_writes(name: str) -> None:
    found = SANDBOX.health(scenes.scene(name))
    assert (found["status"], bool(found["message"])) == (EXPECTED[name], True)


def test_files_are_what_the_operator_writes_today() -> None:
    paths = [*CONFIG_MAP.parent.rglob("*.yaml"), *CONFIG_MAP.parent.rglob("action.lua")]
    there = {str(path.relative_to(CONFIG_MAP.parent)): path.read_text() for path in paths}
    assert there == files(), "run `python -m tests.gitops`, and look at what has changed"


def test_scenes_have_every_phase() -> None:
    assert {scenes.scene(name)["status"].get("phase") for name in scenes.NAMES} - {None} == set(Phase)


def test_a_script_sees_no_library() -> None:
    assert SANDBOX.names - {"obj"} == LEFT


@pytest.mark.parametrize("phase", [*Phase, "PhaseOfTomorrow"])
def test_a_status_that_says_little_more_than_its_phase_has_a_health(phase: str) -> None:
    expected = "Degraded" if phase in ("RollingBack", "RolledBack") else "Progressing"
    manifest = {"metadata": {"generation": 3}, "status": {"observedGeneration": 3, "phase": phase}}
    assert SANDBOX.health(manifest) == {"status": expected, "message": phase}


def of_another_kind(known: Iterable[str]) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, True, -1, 0, 2, "", [], {}, *known])


TYPES = ("Ready", "Stalled", "WaitingForPerson", "Applied", "Healthy", "Progressing")
CONDITIONS = st.one_of(
    of_another_kind(TYPES),
    st.fixed_dictionaries(
        {},
        optional={
            "type": of_another_kind(TYPES),
            "status": of_another_kind(["True", "False", "Unknown"]),
            "reason": of_another_kind(["Serving"]),
            "message": of_another_kind(["All is well."]),
            "observedGeneration": of_another_kind([]),
        },
    ),
)
STATUS = st.fixed_dictionaries(
    {},
    optional={
        "phase": of_another_kind(Phase),
        "message": of_another_kind(["All is well."]),
        "observedGeneration": of_another_kind([]),
        "conditions": st.one_of(of_another_kind([]), st.lists(CONDITIONS, max_size=4)),
    },
)
METADATA = st.fixed_dictionaries({}, optional={"generation": of_another_kind([])})


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": st.one_of(METADATA, of_another_kind([])),
            "status": st.one_of(STATUS, of_another_kind([])),
        },
    )
)
def test_a_status_with_anything_missing_or_broken_has_a_health(manifest: Manifest) -> None:
    found = SANDBOX.health(manifest)
    assert found["status"] in STATUSES
    assert isinstance(found["message"], str)
    assert found["message"]


def test_argo_cd_reads_from_its_config_map_what_it_would_bring_itself() -> None:
    data = document(CONFIG_MAP)["data"]
    assert data.keys() == {KEY, ACTIONS_KEY}
    assert data[KEY] == SCRIPT.read_text()
    definitions = [{"name": verb, "action.lua": actions.script(verb)} for verb in VERBS]
    wanted = {"discovery.lua": actions.DISCOVERY.read_text(), "definitions": definitions}
    assert yaml.safe_load(data[ACTIONS_KEY]) == wanted
