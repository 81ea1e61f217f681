"""Argo CD's resource actions, run by Lua 5.1 as Argo CD runs them, on what the operator writes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from modelrollout.objects.manifests import Manifest
from modelrollout.plan.actions import ACTION_REFUSED, NOT_UNDERSTOOD, NOTHING_TO_DO, VERBS
from modelrollout.rollout.author import ACTION
from tests.docs import document
from tests.fakes.cluster import merged
from tests.gitops import actions, scenes
from tests.gitops.sandboxed_lua import Sandbox
from tests.gitops.test_argo_cd import STATUS

TESTS = document(actions.FOLDER / "action_test.yaml")
DISCOVERY = Sandbox(actions.DISCOVERY.read_text())


def offered(manifest: Manifest) -> set[str]:
    """The verbs that may be chosen."""
    found = DISCOVERY.object(manifest)
    assert found.keys() == {*VERBS}
    return {verb for verb, one in found.items() if not one["disabled"]}


@pytest.mark.parametrize("test", TESTS["discoveryTests"], ids=lambda test: test["inputPath"])
def test_what_may_be_chosen_is_as_the_test_of_argo_cd_says(test: Manifest) -> None:
    expected = {one["name"] for one in test["result"] if not one["disabled"]}
    assert offered(document(actions.FOLDER / test["inputPath"])) == expected


@pytest.mark.parametrize("test", TESTS["actionTests"], ids=lambda test: test["action"])
def test_action_writes_an_annotation_and_nothing_else(test: Manifest) -> None:
    before = document(actions.FOLDER / test["inputPath"])
    after = Sandbox(actions.script(test["action"])).object(before)
    assert after == document(actions.FOLDER / test["expectedOutputPath"])
    annotations = {**before["metadata"].get("annotations", {}), ACTION: after["metadata"]["annotations"][ACTION]}
    assert after == {**before, "metadata": {**before["metadata"], "annotations": annotations}}
    assert test["action"] in offered(before)


def test_each_verb_has_a_script() -> None:
    assert [test["action"] for test in TESTS["actionTests"]] == [*VERBS]


@pytest.mark.parametrize("name", actions.DISCOVERED)
def test_operator_does_what_is_offered_and_would_refuse_what_is_not(name: str) -> None:
    town = scenes.town(name)
    taken = set()
    for verb in VERBS:
        asked = Sandbox(actions.script(verb)).object(town.manifest)["metadata"]["annotations"][ACTION]
        there = town.clone()
        there.cluster.put(merged(town.manifest, {"metadata": {"annotations": {ACTION: asked}}}))
        there.pass_()
        last = there.status.last_action
        if last is not None and last.action == asked:
            assert last.reason != NOT_UNDERSTOOD
            taken |= {verb} if last.reason not in (ACTION_REFUSED, NOTHING_TO_DO) else set()
    assert offered(town.manifest) == taken


def test_the_same_is_asked_for_again_with_another_token() -> None:
    script, manifest = Sandbox(actions.script("pause")), scenes.scene("progressing")
    later = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "4711"}}
    tokens = {script.object(one)["metadata"]["annotations"][ACTION] for one in (manifest, later)}
    assert len(tokens) == 2


@settings(max_examples=100)
@given(STATUS)
def test_a_status_with_anything_missing_or_broken_is_no_error(status: Manifest) -> None:
    assert offered({"metadata": {}, "status": status}) <= {*VERBS}
    for verb in VERBS:
        assert (
            Sandbox(actions.script(verb)).object({"metadata": {"name": "fraud"}, "status": status})["status"]
            is not None
        )
