"""What the API server will not take: it is told in its own words, and holds up nothing that is safe without it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Condition, Phase
from modelrollout.kube import Failed, Refused, Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, EVENTS, HTTP_ROUTES, SERVICES
from tests import builders
from tests.fakes.cluster import Hook
from tests.fakes.town import Town, releasing

UNKNOWN_FIELD = '.spec.template.spec.containers[name="server"].imagePulPolicy: field not declared in schema'
QUOTA = "exceeded quota: small, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: 1"


def workload(replicas: int = 4, **container: Any) -> Manifest:
    """A template whose container has these fields as well."""
    server = {"name": "server", "image": "registry.example/fraud:{{ model.version }}", **container}
    spec = {"replicas": replicas, "template": {"spec": {"containers": [server]}}}
    return {"template": {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}}


MISSPELT = {"workload": workload(imagePulPolicy="Always")}


def refusing(refusal: Exception, verb: str, plural: str, name: str = "") -> Hook:
    """Fails such calls, for objects of that name alone if one is given."""

    def hook(moment: str, its_verb: str, its_plural: str, its_name: str) -> None:
        if (moment, its_verb, its_plural) == ("before", verb, plural) and name in ("", its_name):
            raise refusal

    return hook


def serving() -> Town:
    """Version 1 serves everybody, and has for a while."""
    town = Town()
    town.old = town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=1)
    return town


def applied(town: Town) -> Condition | None:
    return next((condition for condition in town.status.conditions if condition.type == "Applied"), None)


def size(town: Town, revision: str) -> int:
    found = town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
    assert found is not None
    return int(found["spec"]["replicas"])


def told(town: Town, reason: str = "Refused") -> list[str]:
    return [event["message"] for event in town.cluster.all(EVENTS) if event["reason"] == reason]


# Before anything begins


def test_template_that_the_api_server_cannot_take_is_told_with_its_field_within_seconds() -> None:
    town = serving()
    town.wish("2", **MISSPELT)
    town.run(seconds=3)
    condition = applied(town)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "Refused")
    assert UNKNOWN_FIELD in condition.message
    assert "It is made from spec.workload." in condition.message
    assert UNKNOWN_FIELD in town.status.message
    town.run(minutes=12)
    assert told(town) == [condition.message]


def test_stable_goes_on_untouched_beside_a_version_that_cannot_begin() -> None:
    town = serving()
    town.wish("2", **MISSPELT)
    town.run(minutes=12)
    status = town.status
    assert (status.phase, status.candidate, town.share(town.old)) == (Phase.HEALTHY, None, 100)
    assert status.rejected == ()
    assert town.condition("Ready") == "False"
    town.wish("2", workload=workload(8, imagePulPolicy="Always"))
    town.run(minutes=2)
    assert size(town, town.old) == 8


def test_version_begins_once_it_is_mended() -> None:
    town = serving()
    town.wish("2", **MISSPELT)
    town.run(minutes=12)
    town.new = town.wish("2")
    town.run(seconds=5)
    assert (town.status.candidate.revision, applied(town)) == (town.new, None)
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100


@pytest.mark.parametrize("fails", [False, True])
def test_candidate_goes_on_and_is_judged_beside_a_version_that_cannot_begin(fails: bool) -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.wish("3", **MISSPELT)
    town.run(seconds=5)
    assert (town.status.candidate.revision, town.share(town.new)) == (town.new, 25)
    town.metrics.bad = {"2": 0.5} if fails else {}
    town.go(Phase.ROLLED_BACK if fails else Phase.HEALTHY)
    town.run(minutes=2)
    assert town.share(town.old if fails else town.new) == 100
    assert town.status.history[0].outcome == ("RolledBack" if fails else "Promoted")
    assert UNKNOWN_FIELD in town.status.message
    assert size(town, town.old if fails else town.new) == 4


def test_candidate_with_plain_services_gets_the_pods_of_its_steps_beside_a_version_that_cannot_begin() -> None:
    traffic = {"traffic": {"port": 8080, "service": {}}, "stages": [builders.canary(25, 50, hold="1m")]}
    town = releasing(**traffic)
    town.go(Phase.PROGRESSING, minutes=5)
    assert size(town, town.new) == 1
    town.wish("3", **MISSPELT, **traffic)
    town.go(Phase.HEALTHY)
    assert (town.share(town.new), size(town, town.new)) == (100, 4)


def test_first_version_that_cannot_begin_is_told_and_begins_once_it_is_mended() -> None:
    town = Town()
    town.wish("1", **MISSPELT)
    town.run(seconds=5)
    assert UNKNOWN_FIELD in town.status.message
    town.run(minutes=12)
    assert (town.phase, town.cluster.all(DEPLOYMENTS)) == (Phase.PENDING, [])
    assert UNKNOWN_FIELD in town.status.message
    assert told(town) == [applied(town).message]
    town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)
    town.run(seconds=10)
    assert applied(town) is None


@pytest.mark.parametrize("version", ["1", "2"])
def test_spec_that_goes_back_to_a_version_that_is_there_is_not_tried_first(version: str) -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.wish("3", **MISSPELT)
    town.run(minutes=1)
    town.cluster.requests.clear()
    town.wish(version)
    town.run(seconds=10)
    assert town.cluster.requests["rehearse", "deployments"] == 0
    assert applied(town) is None
    assert (town.share(town.new) > 0) is (version == "2")


def test_version_is_tried_once_and_never_at_rest() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.run(minutes=12)
    tried = {plural: town.cluster.requests["rehearse", plural] for plural in ("deployments", "services")}
    assert tried == {"deployments": 1, "services": 1}  # the first version has nobody's place to take


def test_refused_version_is_tried_again_from_time_to_time() -> None:
    town = serving()
    town.cluster.hook = refusing(Refused(403, QUOTA, "fraud"), "rehearse", "deployments")
    town.new = town.wish("2")
    town.run(minutes=20)
    assert QUOTA in town.status.message
    assert town.cluster.requests["rehearse", "deployments"] <= 30
    town.cluster.hook = lambda *_: None
    town.run(until=lambda town: town.status.candidate is not None, seconds=61)


def test_admission_that_cannot_rehearse_keeps_nobody_from_beginning() -> None:
    town = serving()
    words = 'admission webhook "notes" does not support dry run'
    town.cluster.hook = refusing(Refused(400, words, "fraud"), "rehearse", "deployments")
    town.wish("2")
    town.go(Phase.HEALTHY)
    assert told(town) == []


# While it is under way


def test_write_that_fails_again_and_again_is_told_and_keeps_stable_from_nothing() -> None:
    town = releasing()
    failure = Failed(500, "failed to create typed patch object: field not declared in schema", "fraud")
    town.cluster.hook = refusing(failure, "apply", "deployments", f"fraud-{town.new}")
    town.run(minutes=3)
    assert failure.message in town.status.message
    assert failure.message in applied(town).message
    town.wish("2", workload=workload(8))
    town.run(minutes=2)
    assert size(town, town.old) == 8
    assert len(told(town)) == 1


def test_failure_that_is_over_in_a_moment_is_not_told() -> None:
    town = releasing()
    hook = refusing(Failed(500, "etcdserver: leader changed", "fraud"), "apply", "deployments", f"fraud-{town.new}")
    failures = iter([hook])

    def fail_once(*call: Any) -> None:
        if call[:3] == ("before", "apply", "deployments"):
            next(failures, lambda *_: None)(*call)

    town.cluster.hook = fail_once
    town.go(Phase.PROGRESSING, 5)
    assert told(town) == []


def test_version_that_could_not_be_made_is_not_called_late() -> None:
    town = releasing()
    failure = Failed(500, "Internal error occurred: failed calling webhook", "fraud")
    town.cluster.hook = refusing(failure, "apply", "deployments", f"fraud-{town.new}")
    town.run(minutes=12)
    assert (town.phase, town.status.rejected) == (Phase.PENDING, ())
    town.cluster.hook = lambda *_: None
    town.cluster.slow = timedelta(minutes=2)
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100


def test_route_does_not_name_a_service_that_could_not_be_written() -> None:
    town = releasing()
    town.cluster.hook = refusing(Refused(422, "no more Services", "fraud"), "apply", "services", f"fraud-{town.new}")
    town.run(minutes=5)
    assert set(town.weights) == {f"fraud-{town.old}"}
    assert "no more Services" in town.status.message
    town.wish("2", traffic={"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "other"}]}})
    town.run(minutes=1)
    assert town.cluster.get(HTTP_ROUTES, "fraud")["spec"]["parentRefs"][0]["name"] in ("other", "inference-gateway")
    town.cluster.hook = lambda *_: None
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100


def test_refused_route_keeps_nothing_from_being_scaled_and_everything_from_being_deleted() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    town.cluster.hook = refusing(Refused(422, "no weights on Fridays", "fraud"), "apply", "httproutes")
    town.run(minutes=2)
    assert (town.status.stage.weight, town.share(town.new)) == (25, 5)
    town.wish("2", workload=workload(8))
    town.run(minutes=2)
    assert [size(town, revision) for revision in (town.old, town.new)] == [8, 8]
    assert town.cluster.get(SERVICES, f"fraud-{town.old}") is not None
    town.cluster.hook = lambda *_: None
    town.go(Phase.HEALTHY)


@pytest.mark.parametrize("refusal", [Refused(413, "too large", "fraud"), Failed(500, "request is too large", "fraud")])
def test_status_that_cannot_be_saved_is_told_by_an_event_and_whoever_serves_goes_on(refusal: Refused | Failed) -> None:
    town = serving()
    town.cluster.hook = refusing(refusal, "status", "modelrollouts")
    town.new = town.wish("2", workload=workload(8))
    town.run(minutes=20)
    assert [refusal.message in message for message in told(town, "StatusRefused")] == [True]
    assert (size(town, town.old), town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}")) == (8, None)
    assert town.cluster.requests["status", "modelrollouts"] <= 20 * 5  # a look every 15 s is a pass
    town.cluster.hook = lambda *_: None
    town.go(Phase.PROGRESSING)
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100


def test_words_that_differ_by_their_numbers_are_told_once() -> None:
    town = releasing()
    ports = iter(range(40_000, 60_000))

    def hook(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural, name) == ("before", "apply", "deployments", f"fraud-{town.new}"):
            raise Failed(500, f"read tcp 10.0.0.1:{next(ports)}: connection reset", "fraud")

    town.cluster.hook = hook
    town.run(minutes=5)
    before = town.cluster.requests.copy()
    town.run(minutes=10)
    assert (town.cluster.requests - before)["status", "modelrollouts"] <= 1  # Stalled, once the deadline is over
    assert len(told(town)) == 1


@pytest.mark.parametrize("happens", [lambda town: town.restart(), lambda town: None])
def test_operator_that_starts_again_tells_the_same(happens: Callable[[Town], None]) -> None:
    town = serving()
    town.wish("2", **MISSPELT)
    town.run(minutes=5)
    before = applied(town)
    happens(town)
    town.run(minutes=5)
    assert (applied(town), len(told(town))) == (before, 1)


# What it does not show


@pytest.mark.parametrize("refusal", [Refused(403, "statefulsets is forbidden", "x"), Failed(500, "conversion", "x")])
def test_kind_that_cannot_be_read_is_told_until_it_can_be(refusal: Refused | Failed) -> None:
    town = serving()
    town.cluster.hook = refusing(refusal, "list", "statefulsets")
    town.wish("2")
    town.run(minutes=5)
    assert refusal.message in town.status.message
    assert next(condition for condition in town.status.conditions if condition.type == "Ready").status == "Unknown"
    assert len(told(town, "Unreadable")) == 1
    before = town.cluster.requests["status", "modelrollouts"]
    town.run(minutes=5)
    assert town.cluster.requests["status", "modelrollouts"] == before
    town.cluster.hook = lambda *_: None
    town.go(Phase.PROGRESSING)


def test_read_that_fails_for_a_moment_is_not_told() -> None:
    town = serving()
    town.cluster.hook = refusing(Failed(500, "leader changed", "x"), "list", "statefulsets")
    town.wish("2")
    town.run(seconds=0.1)
    town.cluster.hook = lambda *_: None
    town.go(Phase.PROGRESSING)
    assert (len(town.troubles), told(town, "Unreadable")) == (1, [])


# Deletion


@pytest.mark.parametrize("refusal", [Refused(403, "forbidden", "x"), Failed(500, "webhook is away", "x")])
@pytest.mark.parametrize("call", [("delete", "httproutes"), ("get", "httproutes")])
def test_deletion_ends_whatever_is_refused_for_good(call: tuple[str, str], refusal: Refused | Failed) -> None:
    town = serving()
    town.cluster.hook = refusing(refusal, *call)
    town.delete()
    town.run(until=lambda town: town.is_gone, minutes=1)


def test_a_write_that_is_never_answered_is_told_when_it_comes_again_and_holds_up_no_other() -> None:
    """As where an admission webhook for Deployments is away."""
    town = releasing()
    away = Unreachable("/apis/apps/v1/deployments: failed calling webhook: context deadline exceeded")
    town.cluster.hook = refusing(away, "apply", "deployments", f"fraud-{town.new}")
    town.run(minutes=2)
    told = applied(town)
    assert told is not None
    assert "Deployment" in told.message
    assert "context deadline exceeded" in told.message
    assert told.message in (town.status.message or "")
    assert town.events.count("Refused") == 1
    town.wish("2", workload=workload(replicas=8))
    town.run(minutes=2)
    assert size(town, town.old) == 8
    town.cluster.hook = lambda *_: None
    town.go(Phase.HEALTHY, minutes=60)
    assert applied(town) is None
