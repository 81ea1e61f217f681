"""A Deployment or StatefulSet that was there before the rollout: how it is adopted, replaced, and given back."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Refused
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Manifest, annotation
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, PODS, SERVICES, STATEFUL_SETS, Resource
from modelrollout.rollout.template import SIZE
from tests import builders
from tests.fakes.cluster import Killed
from tests.fakes.town import Town

NAME = "fraud-by-hand"
SELECTOR = {"app": "fraud"}


def theirs(kind: str = "Deployment", image: str = "registry.example/fraud:1", **metadata: Any) -> Manifest:
    """A workload as its owner wrote it."""
    pod = {
        "metadata": {"labels": {**SELECTOR, "team": "risk"}},
        "spec": {"containers": [{"name": "server", "image": image, "args": ["--prompt={{ question }}"]}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": "ml", "name": NAME, "labels": {"owner": "them"}, **metadata},
        "spec": {"replicas": 3, "selector": {"matchLabels": SELECTOR}, "template": pod},
    }


def referring(when_managed: str = "Keep", kind: str = "Deployment") -> Manifest:
    return {"workloadRef": {"kind": kind, "name": NAME, "whenManaged": when_managed}}


def adopting(when_managed: str = "Keep", found: Manifest | None = None) -> Town:
    """The operator's first pods are on their way, beside those of the Deployment."""
    town = Town()
    town.cluster.put(found or theirs())
    town.old = town.wish("1", workload=referring(when_managed))
    return town


def adopted(when_managed: str = "Keep") -> Town:
    """The revision made from the Deployment serves everybody, and nothing is left to do."""
    town = adopting(when_managed)
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=1)
    return town


def there(town: Town, name: str = NAME, resource: Resource = DEPLOYMENTS) -> Manifest:
    found = town.cluster.get(resource, name)
    assert found is not None
    return found


def size(town: Town) -> tuple[int, str | None]:
    """Pods that the user's Deployment asks for, and those noted on it."""
    found = there(town)
    return found["spec"]["replicas"], annotation(found, SIZE)


def edit(town: Town, **spec: Any) -> None:
    """Its owner's hand."""
    found = there(town)
    town.cluster.put({**found, "spec": {**found["spec"], **spec}})


def written(town: Town) -> list[tuple[str, str, str]]:
    return [call for call in town.cluster.log if call[2] == NAME]


# The template


def test_revision_is_made_of_the_deployment_word_for_word() -> None:
    town = adopted()
    ours = there(town, f"fraud-{town.old}")["spec"]
    assert ours["replicas"] == 3
    assert ours["template"]["spec"] == theirs()["spec"]["template"]["spec"]
    assert ours["template"]["metadata"]["labels"] == {
        "team": "risk",
        ROLLOUT_LABEL: "fraud",
        REVISION_LABEL: town.old,
    }


def test_a_service_of_the_users_selects_its_own_pods_alone() -> None:
    town = adopted()
    selected = [pod for pod in town.cluster.all(PODS) if SELECTOR.items() <= pod["metadata"]["labels"].items()]
    assert {pod["metadata"]["name"] for pod in selected} == {f"{NAME}-{number}" for number in range(3)}


def test_deployment_that_is_kept_is_never_written_to() -> None:
    town = adopted()
    edit(town, template=theirs(image="registry.example/fraud:2")["spec"]["template"])
    town.go(Phase.PROGRESSING, 25)
    town.go(Phase.HEALTHY)
    assert written(town) == []
    assert size(town) == (3, None)


def test_changed_image_starts_a_release() -> None:
    town = adopted("ScaleToZero")
    edit(town, template=theirs(image="registry.example/fraud:2")["spec"]["template"])
    town.go(Phase.PROGRESSING, 5)
    candidate = town.status.candidate
    assert candidate is not None
    assert town.pods(candidate.revision) == 3
    town.go(Phase.HEALTHY)
    assert town.share(candidate.revision) == 100
    assert size(town) == (0, "3")


def test_paused_deployment_is_a_template_all_the_same() -> None:
    found = theirs()
    found["spec"]["paused"] = True
    town = adopting(found=found)
    town.go(Phase.HEALTHY, minutes=2)
    assert "paused" not in there(town, f"fraud-{town.old}")["spec"]


def test_stateful_set_is_adopted_like_a_deployment() -> None:
    town = Town()
    town.cluster.put(theirs("StatefulSet"))
    town.old = town.wish("1", workload=referring("ScaleToZero", "StatefulSet"))
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=1)
    found = there(town, resource=STATEFUL_SETS)
    assert (found["spec"]["replicas"], annotation(found, SIZE)) == (0, "3")
    assert there(town, f"fraud-{town.old}", STATEFUL_SETS)["status"]["readyReplicas"] == 3


# Scaled to zero


def test_pods_go_in_one_write_once_the_route_serves_everybody_from_the_revision() -> None:
    town = adopting("ScaleToZero")
    seen: list[tuple[int, str | None]] = []

    def look(verb: str, plural: str, name: str) -> None:
        seen.append(size(town))
        if name == NAME:
            assert town.share(town.old) == 100
            assert town.pods(town.old) == 3
            assert town.phase is Phase.HEALTHY

    town.cluster.witnesses.append(look)
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=1)
    assert set(seen) == {(3, None), (0, "3")}
    assert written(town) == [("patch", "deployments", NAME)]


def test_pods_stay_while_the_revision_made_from_them_is_not_ready() -> None:
    town = adopting("ScaleToZero")
    town.cluster.broken = {"1"}
    town.run(minutes=5)
    assert size(town) == (3, None)


def test_steady_state_writes_nothing() -> None:
    town = adopted("ScaleToZero")
    before = town.cluster.writes
    town.run(minutes=30)
    assert town.cluster.writes == before


def test_another_size_by_its_owner_is_the_new_wish() -> None:
    town = adopted("ScaleToZero")
    edit(town, replicas=5)
    town.run(minutes=2)
    assert size(town) == (0, "5")
    assert town.pods(town.old) == 5
    assert town.phase is Phase.HEALTHY


@pytest.mark.parametrize("note", [None, "many", "0"])
def test_note_that_somebody_destroyed_empties_nobody(note: str | None) -> None:
    town = adopted("ScaleToZero")
    found = there(town)
    notes = {} if note is None else {SIZE: note}
    town.cluster.put({**found, "metadata": {**found["metadata"], "annotations": notes}})
    town.run(minutes=2)
    assert (town.phase, town.pods(town.old), town.share(town.old)) == (Phase.INVALID, 3, 100)
    assert "set its spec.replicas" in town.status.message
    edit(town, replicas=4)
    town.run(minutes=2)
    assert (town.phase, town.pods(town.old), size(town)) == (Phase.HEALTHY, 4, (0, "4"))


# The way back


def test_back_to_keep_restores_its_pods() -> None:
    town = adopted("ScaleToZero")
    town.wish("1", workload=referring("Keep"))
    town.run(minutes=1)
    assert size(town) == (3, None)
    assert (town.phase, town.share(town.old)) == (Phase.HEALTHY, 100)


def test_size_that_its_owner_gave_it_meanwhile_stays() -> None:
    town = adopted("ScaleToZero")
    edit(town, replicas=5)
    town.wish("1", workload=referring("Keep"))
    town.run(minutes=1)
    assert size(town) == (5, None)


def test_deletion_restores_its_pods() -> None:
    town = adopted("ScaleToZero")
    town.delete()
    town.run(minutes=1)
    assert town.is_gone
    assert size(town) == (3, None)


def test_deletion_goes_on_where_the_pods_may_not_be_given_back() -> None:
    town = adopted("ScaleToZero")
    town.cluster.hook = refusing("patch", NAME)
    town.delete()
    town.run(minutes=1)
    assert town.is_gone
    assert ("delete", "httproutes", "fraud") in town.cluster.log
    assert size(town) == (0, "3")


# Trouble


def refusing(verb: str, name: str) -> Any:
    def hook(moment: str, asked: str, plural: str, named: str) -> None:
        if (moment, asked, named) == ("before", verb, name):
            raise Refused(403, "deployments is forbidden", named)

    return hook


def gone(town: Town) -> None:
    town.cluster.remove(DEPLOYMENTS, NAME)


def controlled(town: Town) -> None:
    owner = {"apiVersion": "example.com/v1", "kind": "Server", "name": "x", "uid": "u", "controller": True}
    town.cluster.put({**theirs(ownerReferences=[owner])})


def unreadable(town: Town) -> None:
    town.cluster.hook = refusing("get", NAME)


@pytest.mark.parametrize(
    ("happens", "reason", "mend"),
    [
        (gone, "WorkloadNotFound", "create it, or name another"),
        (controlled, "InvalidTemplate", "name a workload that nobody else controls"),
        (unreadable, "Unreadable", "let the operator get, list, watch and patch deployments"),
    ],
)
def test_reference_that_leads_nowhere_moves_no_traffic_and_is_told(happens: Any, reason: str, mend: str) -> None:
    town = adopted()
    edit(town, template=theirs(image="registry.example/fraud:2")["spec"]["template"])
    town.go(Phase.PROGRESSING, 25)
    before = town.weights
    happens(town)
    town.cluster.changes += 1
    town.run(minutes=3)
    assert town.phase is Phase.INVALID
    assert town.weights == before
    assert "spec.workload.workloadRef" in town.status.message
    assert mend in town.status.message
    assert reason in {condition.reason for condition in town.status.conditions}


def test_workload_that_comes_later_is_adopted_then() -> None:
    town = Town()
    town.wish("1", workload=referring())
    town.run(minutes=1)
    assert (town.phase, town.weights) == (Phase.INVALID, {})
    town.cluster.put(theirs())
    town.go(Phase.HEALTHY, minutes=2)


def test_refused_scaling_is_told_and_users_are_served() -> None:
    town = adopting("ScaleToZero")
    town.cluster.hook = refusing("patch", NAME)
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=2)
    assert "forbidden" in town.status.message
    assert town.share(town.old) == 100
    town.cluster.hook = lambda *_: None
    town.run(minutes=6)
    assert size(town) == (0, "3")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(0, 60, 3))
def test_operator_that_dies_on_the_way_ends_the_same(moment: Literal["before", "after"], call: int) -> None:
    town, calls = adopting("ScaleToZero"), iter(range(10_000))

    def hook(when: str, verb: str, plural: str, name: str) -> None:
        if when == moment and verb not in ("get", "list") and next(calls) == call // 3:
            raise Killed

    town.cluster.hook = hook
    town.run(minutes=4)
    assert (town.phase, size(town), town.share(town.old)) == (Phase.HEALTHY, (0, "3"), 100)


# A StatefulSet as the template


def test_stateful_set_goes_through_a_whole_canary() -> None:
    spec = builders.spec()["workload"]["template"]["spec"]
    workload = {"template": {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {**spec, "serviceName": "shards"}}}
    town = Town()
    town.old = town.wish("1", workload=workload)
    town.go(Phase.HEALTHY, minutes=2)
    town.new = town.wish("2", workload=workload)
    for weight in (5, 25, 50):
        town.go(Phase.PROGRESSING, weight)
    town.go(Phase.HEALTHY)
    found = there(town, f"fraud-{town.new}", STATEFUL_SETS)
    assert (found["spec"]["serviceName"], found["status"]["readyReplicas"]) == ("shards", 4)
    assert town.share(town.new) == 100
    town.run(minutes=10)
    assert [one["metadata"]["name"] for one in town.cluster.all(STATEFUL_SETS)] == [f"fraud-{town.new}"]
    assert town.cluster.all(DEPLOYMENTS) == []
    assert town.cluster.get(SERVICES, f"fraud-{town.new}") is not None
    assert town.cluster.get(HTTP_ROUTES, "fraud") is not None
