"""A write that an earlier leader sent comes long after another process leads: it froze, or the network held it back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Conflict
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES, MODEL_ROLLOUTS
from modelrollout.shell.succession import MARK
from tests.fakes.cluster import FakeCluster, Killed, copied
from tests.fakes.town import Town, run

Late = Callable[[], Coroutine[Any, Any, Manifest]]


@dataclass
class Delaying(FakeCluster):
    """A cluster on the way to which the next write of a kind is held up, and its sender is heard of no more."""

    awaited: str = ""  # the plural of that kind
    late: list[Late] = field(default_factory=list)

    async def apply(self, manifest: Manifest, *, manager: str, force: bool = True) -> Manifest:
        request = copied(manifest)
        self._hold_up("httproutes", manifest["kind"] == "HTTPRoute", lambda: self.apply(request, manager=manager))
        return await super().apply(manifest, manager=manager, force=force)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        request = copied(manifest)
        self._hold_up("modelrollouts", True, lambda: self.replace_status(request))
        return await super().replace_status(manifest)

    def _hold_up(self, plural: str, is_such: bool, request: Late) -> None:
        if self.awaited == plural and is_such:
            self.awaited = ""
            self.late.append(request)
            raise Killed


class Succeeded(Town):
    has_successors = True
    cluster: Delaying


def town_without(succession: bool) -> Town:
    return Town(Delaying()) if succession else Succeeded(Delaying())


def on_its_way(town: Town, plural: str) -> Late:
    """The next write of a kind, which the operator's process sent before it froze; another process leads now."""
    cluster = town.cluster
    assert isinstance(cluster, Delaying)
    cluster.awaited = plural
    town.run(until=lambda _: bool(cluster.late), minutes=30)
    return cluster.late[0]


def first_weight_on_its_way(town: Town) -> Late:
    town.wish("1")
    town.go(Phase.HEALTHY)
    town.wish("2")
    town.run(until=lambda town: town.phase is Phase.PENDING, minutes=1)
    late = on_its_way(town, "httproutes")
    assert town.phase is Phase.PROGRESSING
    assert list(town.weights.values()) == [100]
    return late


@pytest.mark.parametrize("is_outdated", [True, False])
def test_a_weight_that_was_decided_on_before_a_release_was_called_off_comes_too_late(is_outdated: bool) -> None:
    """The release ends before a user met the candidate, so nobody had to write the route."""
    town = town_without(succession=not is_outdated)
    late = first_weight_on_its_way(town)
    town.wish("1")
    town.go(Phase.HEALTHY)
    if not is_outdated:  # the harm that is prevented
        run(late())
        assert len([weight for weight in town.weights.values() if weight]) == 2
        return
    with pytest.raises(Conflict):
        run(late())
    assert list(town.weights.values()) == [100]


def test_a_decision_that_is_saved_late_is_refused_although_the_new_leader_only_waits() -> None:
    town = town_without(succession=False)
    town.wish("1")
    town.go(Phase.HEALTHY)
    town.wish("2")
    town.go(Phase.PROGRESSING, 5)
    late = on_its_way(town, "modelrollouts")
    town.metrics.is_down = True
    town.run(seconds=20)
    with pytest.raises(Conflict):
        run(late())


def test_objects_are_left_as_they_were_found_but_for_their_version() -> None:
    town = Succeeded(Delaying())
    town.wish("1")
    town.go(Phase.HEALTHY)
    town.wish("2")
    town.go(Phase.PROGRESSING, 5)
    before = {resource: copied(town.cluster.get(resource, "fraud")) for resource in (HTTP_ROUTES, MODEL_ROLLOUTS)}
    town.restart()
    town.cluster.log.clear()
    assert town.pass_() == timedelta(milliseconds=100)
    assert town.cluster.log == [("patch", "httproutes", "fraud")] * 2 + [("patch", "modelrollouts", "fraud")] * 2
    for resource, old in before.items():
        new = copied(town.cluster.get(resource, "fraud"))
        versions = [each["metadata"].pop("resourceVersion") for each in (old, new)]
        assert len(set(versions)) == 2
        for each in (old, new):
            each["metadata"]["annotations"] = each["metadata"].get("annotations") or {}
        assert new == old
        assert MARK not in new["metadata"]["annotations"]
    town.cluster.log.clear()
    town.pass_()
    assert not [write for write in town.cluster.log if write[0] == "patch"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(4))
def test_a_new_leader_may_die_at_any_write_with_which_it_takes_over(moment: str, number: int) -> None:
    town = Succeeded(Delaying())
    town.wish("1")
    town.go(Phase.HEALTHY)
    town.wish("2")
    town.go(Phase.PROGRESSING, 5)
    patches = count()

    def kill(when: str, verb: str, plural: str, name: str) -> None:
        if (verb, when) == ("patch", moment) and next(patches) == number:
            raise Killed

    town.restart()
    town.cluster.hook = kill
    town.go(Phase.HEALTHY)
    assert town.restarts == 1
    assert town.status.stable is not None
    assert town.status.stable.model.version == "2"
    for resource in (HTTP_ROUTES, MODEL_ROLLOUTS):
        found = town.cluster.get(resource, "fraud")
        assert found is not None
        assert MARK not in (found["metadata"].get("annotations") or {})


def test_outside_a_release_a_new_leader_writes_nothing() -> None:
    town = Succeeded(Delaying())
    town.wish("1")
    town.go(Phase.HEALTHY)
    town.run(minutes=2)
    town.restart()
    town.cluster.log.clear()
    town.pass_()
    assert town.cluster.log == []


def test_a_new_leader_takes_traffic_back_before_anything_else() -> None:
    town = Succeeded(Delaying())
    town.wish("1")
    town.go(Phase.HEALTHY)
    town.wish("2")
    town.go(Phase.PROGRESSING, 5)
    town.cluster.broken.add("2")
    town.cluster.run_controllers(town.now)
    town.restart()
    town.cluster.log.clear()
    town.pass_()
    assert town.cluster.log[0] == ("apply", "httproutes", "fraud")
    assert next(iter(town.weights.values())) == 100
    assert not [write for write in town.cluster.log if write[0] == "status"]  # what the earlier one saves is late now
