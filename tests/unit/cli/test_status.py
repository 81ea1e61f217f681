"""`modelrollout status`: a rollout for people, and for machines."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import pytest

from modelrollout.__main__ import main
from modelrollout.cli.status import NothingToShowError, as_json, as_text, read_pages
from modelrollout.kube import WatchEvent
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import Resource
from tests import builders

MODEL = {"name": "fraud-detector", "version": "11"}
ERRORS = {
    "metric": "errors",
    "verdict": "Inconclusive",
    "candidate": "0.21%",
    "stable": "0.20%",
    "bound": "0.35%",
    "difference": "−0.02% to +0.31%",
    "evidence": "4%",
    "ruledOut": "62%",
    "message": "errors: needs about 900 more requests (about 4 min)",
}
LATENCY = {"metric": "latency", "verdict": "NoData", "message": "latency: Prometheus has no samples of the candidate"}
SEES = "errors: at 50 requests/s and 0.1% errors, 5 % for 5 min can see 0.8% or more"
STATUS = {
    "observedGeneration": 2,
    "phase": "Progressing",
    "message": "canary 25 %: errors needs more requests.",
    "stable": {"revision": "7d9f", "model": MODEL, "workload": "fraud-7d9f"},
    "candidate": {
        "revision": "b41c",
        "model": {**MODEL, "version": "12"},
        "workload": "fraud-b41c",
        "since": "2026-01-01T12:00:00Z",
    },
    "stage": {
        "index": 0,
        "name": "canary",
        "step": 1,
        "weight": 25,
        "entered": "2026-01-01T12:05:00Z",
        "since": "2026-01-01T12:05:00Z",
    },
    "verdicts": [ERRORS, LATENCY],
    "evidence": {"usual": [{"metric": "errors", "mode": "Plain", "basis": "", "sees": SEES, "note": "pods differ"}]},
}
PAGE = f"""\
ml/fraud: Progressing, canary step 2: 25 % to the candidate
canary 25 %: errors needs more requests.
candidate: fraud-detector 12 (b41c), since 2026-01-01 12:00:00 UTC
stable:    fraud-detector 11 (7d9f)

METRIC    VERDICT        CANDIDATE   STABLE   BOUND   DIFFERENCE         EVIDENCE   RULED OUT
errors    Inconclusive   0.21%       0.20%    0.35%   −0.02% to +0.31%   4%         62%
latency   NoData         -           -        -       -                  -          -

errors: needs about 900 more requests (about 4 min)
latency: Prometheus has no samples of the candidate

What the plan can see:
  {SEES}
  errors: pods differ
"""


def rollout(name: str = "fraud", generation: int = 2, **status: Any) -> Manifest:
    manifest = builders.rollout()
    manifest["metadata"] |= {"name": name, "generation": generation}
    return {**manifest, "status": {**STATUS, **status}}


class Source:
    """A cluster with one rollout, to which these things happen."""

    def __init__(
        self, present: Manifest | None, *events: tuple[Literal["ADDED", "MODIFIED", "DELETED"], Manifest]
    ) -> None:
        self.present, self.events = present, events

    async def read(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        return self.present

    async def watch(self, resource: Resource, namespace: str | None = None) -> AsyncGenerator[WatchEvent]:
        for kind, manifest in self.events:
            yield WatchEvent(kind, manifest)


def test_a_rollout_is_shown_with_all_that_its_metrics_said() -> None:
    assert as_text(rollout()) == PAGE


def test_a_rollout_without_status_says_that_nobody_looked() -> None:
    manifest = {**rollout(), "status": {}}
    assert as_text(manifest) == "ml/fraud: no operator has looked at it yet\n"


def test_a_spec_that_was_not_looked_at_yet_is_said_to_be_so() -> None:
    told = "The spec was changed since; the operator has not looked at that yet."
    assert told in as_text(rollout(generation=3))
    assert told not in as_text(rollout(generation=2))


def test_a_status_of_a_newer_version_is_told_by_its_field() -> None:
    with pytest.raises(NothingToShowError, match=r"^status\.phase of ModelRollout 'fraud'"):
        as_text(rollout(phase="Dreaming"))


def test_fields_of_a_newer_version_do_no_harm() -> None:
    assert as_text(rollout(mood="good")) == PAGE


def test_machines_get_the_status_as_it_is_kept() -> None:
    text = as_json(rollout())
    assert text.count("\n") == 1
    assert json.loads(text) == {"namespace": "ml", "name": "fraud", "generation": 2, "status": STATUS}


async def pages(source: Source, *, watch: bool = True) -> list[str]:
    """What is shown, the phases of it; as the last what ended it."""
    found = []
    try:
        async for text in read_pages(source, "ml", "fraud", lambda one: str(one["status"]["phase"]), watch=watch):
            found.append(text)  # noqa: PERF401 - what came before the end counts
    except NothingToShowError as end:
        found.append(str(end))
    return found


async def test_one_that_is_not_there_is_named_with_its_namespace() -> None:
    (told,) = await pages(Source(None))
    assert told.startswith("There is no ModelRollout 'fraud' in namespace ml")


async def test_it_is_shown_once_when_nobody_watches() -> None:
    assert await pages(Source(rollout(), ("MODIFIED", rollout(phase="Baking"))), watch=False) == ["Progressing"]


async def test_it_is_shown_again_when_it_looks_different_until_it_is_deleted() -> None:
    source = Source(
        rollout(),
        ("ADDED", rollout()),
        ("ADDED", rollout("other", phase="Healthy")),
        ("MODIFIED", rollout(phase="Promoting")),
        ("MODIFIED", rollout(phase="Promoting", message="still")),
        ("DELETED", rollout("other")),
        ("MODIFIED", rollout(phase="Baking")),
        ("DELETED", rollout()),
    )
    told = "ModelRollout 'fraud' in namespace ml was deleted."
    assert await pages(source) == ["Progressing", "Promoting", "Baking", told]


def test_a_missing_kubeconfig_is_an_error_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "fraud", "--kubeconfig", str(tmp_path / "nothing")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("modelrollout: There is no kubeconfig at ")
    assert err.count("\n") == 1


def test_an_api_server_that_is_away_is_an_error_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "ml"}}
    away.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "clusters": [cluster],
                "contexts": [context],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    assert main(["status", "fraud", "--kubeconfig", str(away)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("modelrollout: /apis/modelrollout.dev/v1alpha1/namespaces/ml/modelrollouts/fraud: ")
    assert "Traceback" not in err
