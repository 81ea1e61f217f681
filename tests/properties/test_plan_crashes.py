"""Crash-anywhere: whoever dies at whichever call, the next one finishes what was begun, and users never see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, SERVICES
from tests import builders
from tests.fakes.answers import LOADING
from tests.fakes.town import Town
from tests.properties.crash import Run, Story, retold, told

GATEWAY = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}}
PLAIN = {"port": 8080, "service": {}}
LENT = {"port": 8080, "routeRef": {"name": "fraud", "rule": 0}}
THEIRS: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"namespace": "ml", "name": "fraud"},
    "spec": {
        "parentRefs": [{"name": "inference-gateway"}],
        "rules": [{"backendRefs": [{"name": "theirs", "port": 80, "weight": 100}]}],
    },
}


def quick(traffic: Manifest = GATEWAY) -> dict[str, Any]:
    return {
        "traffic": traffic,
        "stages": [{"name": "canary", "canary": {"weights": [10, 50], "hold": "4s"}}],
        "analysis": {"interval": "4s", "metrics": [builders.ERRORS]},
        "promotion": {"bake": "4s", "keepOld": "0s"},
        "progressDeadline": "8s",
    }


def begun() -> Town:
    town = Town()
    town.metrics.scrape = timedelta(seconds=1)
    return town


def switching(traffic: Manifest = GATEWAY) -> Callable[[], Town]:
    """As upgrading, by copies, where the router can make them, a preview and one switch."""
    by_header = {"preview": {"header": {"name": "x-preview", "value": "1"}}}
    preview = by_header if traffic is GATEWAY else {"preview": {}}
    copies = [builders.shadow(methods=["POST"], hold="4s")] if traffic is GATEWAY else []
    return lambda: upgrading(traffic, [*copies, builders.blue_green(**preview, previewHold="4s", hold="4s")])


def comparing() -> Town:
    """As upgrading, by copies whose answers are compared."""
    compare = {"minAgreement": "98%"}
    return upgrading(stages=[builders.shadow(methods=["POST"], hold="4s", compare=compare)])


def asked_first() -> Town:
    """As upgrading, by a switch before which the operator asks the candidate more than it asks at once."""
    smoke = [builders.smoke(f"number-{number}") for number in range(5)]
    return upgrading(stages=[builders.blue_green(smoke=smoke, smokeDeadline="4s", hold="4s")])


def keeping() -> Town:
    """As upgrading, by users whom a cookie keeps: a fifth of them, then half."""
    ends = {"minDuration": "2s", "maxDuration": "4s", "onInconclusive": "promote"}
    cookie = {"sticky": {"cookie": {"name": "arm"}}}
    return upgrading(stages=[builders.ab_test(f"ab-{part}", percent=part, **cookie, **ends) for part in (20, 50)])


def installing() -> Town:
    town = begun()
    town.old = town.wish("1", **quick())
    return town


def upgrading(traffic: Manifest = GATEWAY, stages: list[Manifest] | None = None) -> Town:
    """Version 1 serves everybody, and version 2 was applied a moment ago."""
    town = begun()
    if traffic is LENT:
        town.cluster.put(THEIRS)
    spec = {**quick(traffic), **({"stages": stages} if stages else {})}
    town.old = town.wish("1", **spec)
    town.go(Phase.HEALTHY, minutes=1)
    town.run(seconds=10)
    town.new = town.wish("2", **spec)
    return town


def failing_to_start() -> Town:
    town = upgrading()
    town.cluster.broken = {"2"}
    return town


def at(weight: int, happens: Callable[[Town], object]) -> Callable[[Town], None]:
    """Something happens once version 2 has so much, and stays so."""

    def react(town: Town) -> None:
        if not town.is_gone and town.share(town.new) == weight:
            happens(town)

    return react


def with_copies(happens: Callable[[Town], object]) -> Callable[[Town], None]:
    return lambda town: happens(town) if not town.is_gone and town.tried_by.get(town.new) == {"copies"} else None


def with_a_preview(happens: Callable[[Town], object]) -> Callable[[Town], None]:
    return lambda town: happens(town) if not town.is_gone and "asked" in town.tried_by.get(town.new, ()) else None


def fails(town: Town) -> None:
    town.metrics.bad = {"2": 0.5}


def answers_otherwise(town: Town) -> None:
    if not town.is_gone and town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}-cmp") is not None:
        town.metrics.other = {"2": 0.5}


def says_nonsense(town: Town) -> None:
    town.answers.says = {"2": LOADING}


def crashes(town: Town) -> None:
    town.cluster.crash(f"fraud-{town.new}", 3)


def stumbles(town: Town) -> None:
    """Readiness is lost, once, and comes back by itself."""
    if not town.metrics.bad:
        town.metrics.bad = {"0": 0}  # remembers that it happened
        town.cluster.broken = {"2"}


def recovers(town: Town) -> None:
    if town.cluster.broken and town.share(town.new) == 0:
        town.cluster.broken = set()


def stable_dies(town: Town) -> None:
    town.cluster.broken = {"1"}


def gateway_lags(town: Town) -> None:
    """It takes five seconds for whatever is written for a step."""
    stage = town.status.stage
    town.cluster.is_gateway_down = stage is not None and town.now < stage.entered + timedelta(seconds=5)


def is_superseded(town: Town) -> None:
    town.wish("3", **quick())


def is_taken_back_by_its_user(town: Town) -> None:
    town.wish("1", **quick())


def is_deleted(town: Town) -> None:
    if "deletionTimestamp" not in town.manifest["metadata"]:
        town.delete()


def stumbles_and_recovers(town: Town) -> None:
    recovers(town)
    at(50, stumbles)(town)


def serves(version: str, phase: Phase = Phase.HEALTHY) -> Callable[[Town], bool]:
    """All is over, and that version serves everybody."""

    def is_over(town: Town) -> bool:
        status = town.status
        is_there = status.phase is phase and status.stable is not None and status.stable.model.version == version
        is_told = town.condition("Ready") == "True" or phase is Phase.ROLLED_BACK
        return is_there and is_told and status.candidate is None and not status.retired

    return is_over


def is_cancelled(town: Town) -> bool:
    return serves("1")(town) and town.status.history[0].outcome == "Cancelled"


STORIES = {
    "first install": Story(installing, serves("1")),
    "promotion": Story(upgrading, serves("2")),
    "promotion with plain services": Story(lambda: upgrading(PLAIN), serves("2")),
    "promotion behind a gateway that lags": Story(upgrading, serves("2"), gateway_lags),
    "rollback by verdict": Story(upgrading, serves("1", Phase.ROLLED_BACK), at(50, fails)),
    "rollback by crash loop": Story(upgrading, serves("1", Phase.ROLLED_BACK), at(10, crashes)),
    "rollback by deadline": Story(failing_to_start, serves("1", Phase.ROLLED_BACK)),
    "readiness lost and found": Story(upgrading, serves("2"), stumbles_and_recovers),
    "taking over": Story(upgrading, serves("2"), at(10, stable_dies)),
    "superseding": Story(upgrading, serves("3"), at(10, is_superseded)),
    "going back to stable": Story(upgrading, is_cancelled, at(50, is_taken_back_by_its_user)),
    "copies, a preview and a switch": Story(switching(), serves("2")),
    "a preview and a switch by Services": Story(switching(PLAIN), serves("2")),
    "rollback by copies": Story(switching(), serves("1", Phase.ROLLED_BACK), with_copies(fails)),
    "rollback of a preview": Story(switching(), serves("1", Phase.ROLLED_BACK), with_a_preview(crashes)),
    "promotion by a lent rule": Story(lambda: upgrading(LENT), serves("2")),
    "rollback by a lent rule": Story(lambda: upgrading(LENT), serves("1", Phase.ROLLED_BACK), at(50, fails)),
    "rollback by other answers": Story(comparing, serves("1", Phase.ROLLED_BACK), answers_otherwise),
    "smoke and a switch": Story(asked_first, serves("2")),
    "rollback by smoke": Story(asked_first, serves("1", Phase.ROLLED_BACK), says_nonsense),
    "rollback of users kept by a cookie": Story(keeping, serves("1", Phase.ROLLED_BACK), at(50, fails)),
    "deletion": Story(upgrading, lambda town: town.is_gone, at(10, is_deleted)),
}
RISING = (
    "first install",
    "promotion",
    "promotion with plain services",
    "promotion behind a gateway that lags",
    "copies, a preview and a switch",
    "a preview and a switch by Services",
    "smoke and a switch",
    "taking over",
    "superseding",
)
CONDEMNED = (
    "rollback by verdict",
    "rollback by crash loop",
    "rollback by deadline",
    "rollback by smoke",
    "rollback of users kept by a cookie",
    "superseding",
    "going back to stable",
)


@pytest.mark.parametrize("name", STORIES)
def test_killed_at_any_call_and_started_again_it_ends_as_if_nothing_had_happened(name: str) -> None:
    """Every run has a Witness, so it also says that no weight was ever against the invariants, that no step was shorter
    than its hold, and that after a Fail no weight rose."""
    story = STORIES[name]
    whole = told(story)
    for death, run in retold(story, whole.deaths):
        where = f"{name}: {death}"
        assert run.end == whole.end, where
        assert weights(run) == weights(whole), where
    assert len(whole.deaths) > whole.passes > 0


@pytest.mark.parametrize("name", RISING)
def test_in_the_story_of_a_success_no_weight_ever_falls(name: str) -> None:
    run = told(STORIES[name])
    stable = run.town.status.stable
    assert stable is not None
    shares = [shares.get(stable.revision, 0) for shares in run.witness.history]
    assert all(one <= next_one for one, next_one in pairwise(shares))
    assert shares[-1] == 100


@pytest.mark.parametrize("name", CONDEMNED)
def test_in_the_story_of_a_failure_the_weight_falls_to_nothing_and_stays_there(name: str) -> None:
    run = told(STORIES[name])
    shares = [shares.get(run.town.new, 0) for shares in run.witness.history]
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert set(shares[top + 1 :]) <= {0}
    assert run.town.share(run.town.new) == 0


def weights(run: Run) -> list[dict[str, float]]:
    """What users got, one after the other. Pods that come and go do not count, or a run could differ by a blink."""
    if run.town.cluster.get(SERVICES, "fraud") is None:
        return run.witness.history
    return [shares for shares in run.witness.history if 100 in shares.values()]
