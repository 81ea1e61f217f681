"""Releases ask the API server for nothing that no part of the operator says it asks for.

tests/chart/test_least_rights.py shows it on a real API server, where there is one.
"""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.shell.permissions import ALL
from tests.fakes.town import Town, releasing

PARENTS = [{"name": "inference-gateway"}]
STATED = {(verb, one.resource.plural, one.subresource) for one in ALL for verb in one.verbs}
IN_WORDS_OF_RBAC = {
    "apply": (("patch", ""), ("create", "")),
    "rehearse": (("patch", ""), ("create", "")),
    "status": (("update", "status"),),
}
SHADOW = {"name": "shadow", "shadow": {"methods": ["POST"], "hold": "30s", "compare": {"minAgreement": "90%"}}}


def asked_for(town: Town) -> set[tuple[str, str, str]]:
    return {
        (verb, plural, part)
        for said, plural in town.cluster.requests
        for verb, part in IN_WORDS_OF_RBAC.get(said, ((said, ""),))
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"traffic": {"port": 8080, "gatewayAPI": {"parentRefs": PARENTS}}},
        {"traffic": {"port": 8080, "grpc": {"parentRefs": PARENTS}}, "analysis": {"readinessOnly": True}},
        {"traffic": {"port": 8080, "istio": {"hosts": ["fraud.example.com"]}}},
        {"traffic": {"port": 8080, "service": {}}},
        {"stages": [{"name": "switch", "blueGreen": {"hold": "30s"}}]},
        {"stages": [SHADOW]},
    ],
    ids=["gatewayAPI", "grpc", "istio", "service", "blueGreen", "shadow"],
)
@pytest.mark.parametrize("end", [Phase.HEALTHY, Phase.ROLLED_BACK], ids=str)
def test_a_release_asks_for_what_is_stated_and_for_nothing_else(changes: Manifest, end: Phase) -> None:
    town = releasing(**changes)
    if end is Phase.ROLLED_BACK:
        town.run(until=lambda town: town.phase is Phase.PROGRESSING, minutes=10)
        town.cluster.crash(f"fraud-{town.new}", restarts=9)
    town.go(end)
    town.run(minutes=2)
    town.delete()
    town.finalise()
    assert asked_for(town) - STATED == set()
