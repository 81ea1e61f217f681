"""The check by which unit tests hold every saved status against the CRD finds what the local API server finds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcluster.apiserver import schemas, validation
from tests.docs import document
from tests.fakes.cluster import merged
from tests.fakes.schema import faults
from tests.places import ROOT

(VERSION,) = document(ROOT / "crds" / "modelrollout.dev_modelrollouts.yaml")["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]["properties"]["status"]
STATUS = json.loads((ROOT / "tests" / "recorded" / "at-25-with-evidence-gateway.json").read_text())["rollout"]["status"]


def by_the_api_server(status: Any) -> list[Any]:
    return [*validation.validate(status, SCHEMA), *schemas.unknown_fields(status, SCHEMA)]


def test_recorded_status_is_well_by_both() -> None:
    assert ([*faults(STATUS, SCHEMA)], by_the_api_server(STATUS)) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        {"phase": 3},
        {"observedGeneration": True},
        {"observedGeneration": 1.5},
        {"candidate": {"revision": None}},
        {"candidate": "fraud"},
        {"stage": {"weihgt": 5}},
        {"stage": {"since": "12:00"}},
        {"retired": {}},
        {"verdicts": [*STATUS["verdicts"], *STATUS["verdicts"]]},
        {"conditions": [{**STATUS["conditions"][0], "status": None}]},
    ],
)
def test_every_fault_is_found_by_both(change: dict[str, Any]) -> None:
    status = merged(STATUS, change)
    assert (len([*faults(status, SCHEMA)]), len(by_the_api_server(status))) == (1, 1)
