"""What `kubectl wait`, kstatus and Flux make of a rollout: waiting ends with the release, or with somebody's turn."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from tests.docs import document
from tests.gitops import scenes
from tests.gitops.waits import flux, kstatus, kubectl_wait
from tests.places import ROOT

(EXPRESSIONS,) = document(ROOT / "integrations/flux/health-check-exprs.yaml")["healthCheckExprs"]

EXPECTED = {  # by kstatus, and by Flux with our expressions
    "unseen": ("InProgress", "InProgress"),
    "edited": ("InProgress", "InProgress"),
    "first-version-starts": ("InProgress", "InProgress"),
    "first-version-crashes": ("Failed", "Failed"),
    "healthy": ("Current", "Current"),
    "candidate-starts": ("InProgress", "Current"),
    "progressing": ("InProgress", "Current"),
    "promoting": ("InProgress", "Current"),
    "baking": ("InProgress", "Current"),
    "promoted": ("Current", "Current"),
    "rolling-back": ("InProgress", "InProgress"),
    "rolled-back": ("Failed", "Failed"),
    "back-in-git": ("Current", "Current"),
    "invalid": ("Failed", "Failed"),
    "named-object-is-missing": ("InProgress", "InProgress"),
    "paused": ("InProgress", "Current"),
    "awaiting-approval": ("InProgress", "Current"),
    "goal-not-shown": ("InProgress", "Current"),
    "evidence-not-found": ("InProgress", "Current"),
    "scaled-to-zero": ("InProgress", "InProgress"),
    "stable-lost-its-pods": ("InProgress", "InProgress"),
    "write-refused": ("InProgress", "InProgress"),
    "metric-asks-wrongly": ("Failed", "Failed"),
    "prometheus-is-away": ("InProgress", "Current"),
    "no-place-for-pods": ("Failed", "Failed"),
    "cannot-be-read": ("InProgress", "InProgress"),
    "deleted": ("Terminating", "Current"),
}


@pytest.mark.parametrize("name", scenes.NAMES)
def test_wait_for(name: str) -> None:
    manifest = scenes.scene(name)
    assert (kstatus(manifest), flux(manifest, EXPRESSIONS)) == EXPECTED[name]


@pytest.mark.parametrize("name", scenes.NAMES)
def test_kubectl_waits_for_ready_as_long_as_kstatus_does(name: str) -> None:
    manifest = scenes.scene(name)
    assert kubectl_wait(manifest, "Ready") is (kstatus(manifest) == "Current")


@pytest.mark.parametrize("name", scenes.NAMES)
def test_ready_is_the_end_of_a_release_and_stalled_is_never_ready(name: str) -> None:
    manifest = scenes.scene(name)
    if kubectl_wait(manifest, "Ready"):
        assert manifest["status"]["phase"] == Phase.HEALTHY
        assert not kubectl_wait(manifest, "Stalled")


def test_a_rollout_without_any_status_would_be_taken_for_done() -> None:
    """Which is why the definition gives it one that has observed no generation."""
    manifest = scenes.scene("unseen")
    assert kstatus(manifest) == "InProgress"
    assert kstatus({**manifest, "status": {}}) == "Current"


def test_a_condition_that_stands_for_an_older_spec_does_not_end_a_wait() -> None:
    manifest = scenes.scene("edited")
    assert [one["status"] for one in manifest["status"]["conditions"] if one["type"] == "Ready"] == ["True"]
    assert not kubectl_wait(manifest, "Ready")
