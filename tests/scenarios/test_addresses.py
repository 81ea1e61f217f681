"""A Prometheus that a spec may not name: refused in words, and traffic stays as it is."""

from __future__ import annotations

from typing import Any

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.status import Phase
from tests import builders
from tests.fakes.town import Town

OTHERS = {"prometheus": {"url": "http://prometheus.other-team.svc:9090"}}


def analysis(**changes: Any) -> dict[str, Any]:
    return {"analysis": {**builders.spec()["analysis"], **changes}}


def canary() -> Town:
    """Version 2 has 25 % of the users, and the operator minds its list of addresses."""
    town = Town()
    town.addresses = AllowedAddresses("http://prometheus.monitoring.svc:9090")
    town.restart()
    town.old = town.wish("1")
    town.go(Phase.HEALTHY)
    town.new = town.wish("2")
    town.go(Phase.PROGRESSING, weight=25)
    return town


def test_an_address_that_is_not_allowed_is_refused_with_its_field_and_its_mend_and_traffic_stays() -> None:
    town = canary()
    town.wish("2", **analysis(**OTHERS))
    asked = len(town.metrics.asked)
    town.run(minutes=5)
    ready = next(one for one in town.status.conditions if one.type == "Ready")
    assert (town.phase, ready.status, ready.reason) == (Phase.INVALID, "False", "AddressNotAllowed")
    assert ready.message.startswith(
        "spec.analysis.prometheus.url: http://prometheus.other-team.svc:9090 is not asked. This operator asks *.ml.svc"
    )
    assert "prometheus.allowedAddresses in its chart's values" in ready.message
    assert (town.share(town.new), len(town.metrics.asked)) == (25, asked)


def test_a_candidate_that_breaks_meanwhile_is_taken_back_all_the_same() -> None:
    town = canary()
    town.wish("2", **analysis(**OTHERS))
    town.run(seconds=10)
    town.cluster.broken.add("2")
    town.run(seconds=10)
    assert town.share(town.new) == 0


def test_an_address_that_is_mended_lets_the_release_go_on() -> None:
    town = canary()
    town.wish("2", **analysis(**OTHERS))
    town.run(minutes=1)
    town.wish("2", **analysis(prometheus={"url": "http://prometheus.ml.svc:9090", "secretRef": {"name": "prometheus"}}))
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100
