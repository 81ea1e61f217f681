"""One pass against a cluster and a Prometheus that do what they like."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Refused, Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, MODEL_ROLLOUTS, SERVICES
from modelrollout.shell.finalizer import release
from modelrollout.shell.reconcile import AFTER_A_CONFLICT
from tests.fakes.cluster import Hook, copied, merged
from tests.fakes.town import Town, releasing, run

SENTENCE = "admission webhook 'policy' denied the request: no weights on Fridays"


def at(weight: int = 25) -> Town:
    """Version 2 has had so much for a while; the next pass has a look at the metrics."""
    town = releasing()
    town.go(Phase.PROGRESSING, weight)
    town.run(seconds=20)
    town.metrics.asked.clear()
    return town


def hook(raises: Exception, *calls: tuple[str, str]) -> Hook:
    """Fails these calls (verb, plural) before their effect."""

    def fail(moment: str, verb: str, plural: str, name: str) -> None:
        if moment == "before" and (verb, plural) in calls:
            raise raises

    return fail


def refusing(plural: str) -> Hook:
    return hook(Refused(422, SENTENCE, f"{plural}/fraud"), ("apply", plural))


def touch(town: Town) -> None:
    town.cluster.put(merged(town.manifest, {"metadata": {"annotations": {"touched": f"{town.cluster.version}"}}}))


async def while_prometheus_hangs(town: Town, happens: Callable[[], object]) -> timedelta | None:
    """What a pass comes to when something happens while it waits for Prometheus."""
    town.metrics.is_hanging, town.metrics.was_asked = True, asyncio.Event()
    passing = asyncio.create_task(town.passing())
    await town.metrics.was_asked.wait()
    happens()
    town.cluster.run_controllers(town.now)
    town.poke()
    return await asyncio.wait_for(passing, 10)


# Taking traffic back waits for nothing


async def test_lost_readiness_takes_traffic_back_while_prometheus_hangs() -> None:
    town = await asyncio.to_thread(at)
    await while_prometheus_hangs(town, lambda: town.cluster.broken.add("2"))
    assert town.share(town.new) == 0
    assert town.status.candidate.unready_since is not None


async def test_crash_loop_takes_traffic_back_while_prometheus_hangs() -> None:
    town = await asyncio.to_thread(at)
    await while_prometheus_hangs(town, lambda: town.cluster.crash(f"fraud-{town.new}", 3))
    assert town.share(town.new) == 0
    assert town.status.rejected[0].reason == "CrashLoop"


@pytest.mark.parametrize("version", ["1", "3"])
async def test_wish_to_go_back_is_heard_while_prometheus_hangs(version: str) -> None:
    town = await asyncio.to_thread(at)
    assert await while_prometheus_hangs(town, lambda: town.wish(version)) == AFTER_A_CONFLICT
    await town.passing()
    assert town.share(town.new) == 0


async def test_poke_that_changes_nothing_asks_no_second_time() -> None:
    town = await asyncio.to_thread(at)
    town.metrics.meanwhile = lambda: None
    asked = len(town.metrics.asked)
    await town.passing()
    assert len(town.metrics.asked) - asked == len(set(town.metrics.asked[asked:])) == 2


async def test_world_that_changes_in_the_moment_of_the_answer_is_looked_at_before_anything_is_decided() -> None:
    town = await asyncio.to_thread(at)

    async def ask_and_change(namespace: str, named: object, queries: tuple[object, ...]) -> object:
        town.cluster.broken.add("2")
        town.cluster.run_controllers(town.now)
        town.poke()  # both are done in one turn of the loop
        return {query: town.metrics._answer(query) for query in queries}

    town.reconciler._asker = type("Asker", (), {"ask": staticmethod(ask_and_change)})()
    await town.passing()
    assert town.share(town.new) == 0


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Unreachable("status: time-out"), pytest.raises(Unreachable)),
        (Refused(403, "forbidden", "status"), contextlib.nullcontext()),
    ],
)
def test_traffic_is_back_before_the_status_is_saved_and_even_if_that_fails(
    failure: Exception, expected: contextlib.AbstractContextManager[object]
) -> None:
    town = at(50)
    town.cluster.broken = {"2"}
    town.cluster.run_controllers(town.now)
    town.cluster.log.clear()
    town.cluster.hook = hook(failure, ("status", "modelrollouts"))
    with expected:
        town.pass_()
    assert town.cluster.log[0] == ("apply", "httproutes", "fraud")
    assert {plural for _, plural, _ in town.cluster.log[1:]} <= {"events"}
    assert town.share(town.new) == 0


# Conflicts and refusals


def test_conflict_lets_the_next_pass_look_again_and_counts_nothing_twice() -> None:
    town = at(50)
    town.metrics.bad = {"2": 0.5}
    town.now += timedelta(seconds=15)
    conflicts = [1, 2, 3]

    def edit(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb) == ("before", "status") and conflicts:
            conflicts.pop()
            touch(town)

    town.cluster.hook = edit
    assert [town.pass_() for _ in range(3)] == [AFTER_A_CONFLICT] * 3
    assert town.share(town.new) == 0
    assert town.phase is Phase.PROGRESSING
    town.go(Phase.ROLLED_BACK, minutes=1)
    assert [outcome.outcome for outcome in town.status.history] == ["RolledBack", "Installed"]
    assert b'modelrollout_releases_total{outcome="RolledBack",reason="MetricFailed"} 1.0' in town.exposition()


def test_refused_write_is_told_in_the_api_servers_own_sentence_until_it_is_accepted() -> None:
    town = at(5)
    town.cluster.hook = refusing("httproutes")
    town.run(minutes=3)
    applied = next(c for c in town.status.conditions if c.type == "Applied")
    assert (applied.status, applied.reason) == ("False", "Refused")
    assert SENTENCE in applied.message
    assert SENTENCE in town.status.message
    town.cluster.hook = lambda *_: None
    town.go(Phase.PROGRESSING, 25, minutes=1)
    town.run(seconds=5)
    assert town.condition("Applied") is None


@pytest.mark.parametrize("plural", ["httproutes", "deployments", "services"])
def test_refused_write_makes_no_hot_loop(plural: str) -> None:
    town = at(5)
    town.cluster.hook = refusing(plural)
    if plural != "httproutes":
        town.cluster.remove(DEPLOYMENTS if plural == "deployments" else SERVICES, f"fraud-{town.new}")
    town.run(minutes=2)
    before = town.cluster.requests.copy()
    town.run(minutes=10)
    spent = town.cluster.requests - before
    assert spent["get", "modelrollouts"] <= 10 * 4 + 10 * 2  # a look every 15 s; the status refreshed every minute
    assert spent["status", "modelrollouts"] <= 12
    assert spent["apply", plural] <= 60


def test_write_that_fails_for_the_worlds_reasons_makes_no_hot_loop() -> None:
    town = at(5)
    town.cluster.hook = hook(Unreachable("failed calling webhook: connection refused"), ("apply", "httproutes"))
    town.run(minutes=3)
    before = town.cluster.requests.copy()
    town.run(minutes=10)
    spent = town.cluster.requests - before
    assert spent["status", "modelrollouts"] <= 12
    assert spent["apply", "httproutes"] <= 10 + 12  # once a minute at most, and when a status write wakes it


@pytest.mark.parametrize("failure", [Refused(422, SENTENCE, "fraud"), Unreachable("time-out")])
def test_step_whose_weight_was_refused_for_long_is_not_cut_short(failure: Exception) -> None:
    town = at(5)
    town.cluster.hook = hook(failure, ("apply", "httproutes"))
    town.run(minutes=20)
    assert (town.status.stage.weight, town.share(town.new)) == (25, 5)
    town.cluster.hook = lambda *_: None
    town.go(Phase.PROGRESSING, 25)
    begins = town.now
    town.go(Phase.PROGRESSING, 50)
    assert town.now - begins >= timedelta(seconds=59)


def test_candidate_is_judged_at_every_interval_while_some_write_is_refused() -> None:
    town = at(25)
    town.cluster.hook = refusing("deployments")
    town.wish(
        "2", workload={"template": town.manifest["spec"]["workload"]["template"] | {"metadata": {"labels": {"a": "b"}}}}
    )
    town.run(seconds=30)
    assert SENTENCE in town.status.message
    town.metrics.bad = {"2": 0.5}
    failed = town.now
    town.run(until=lambda town: town.share(town.new) == 0, minutes=2)
    assert town.now - failed <= timedelta(seconds=16)


def test_refused_retreat_is_tried_again_and_told() -> None:
    town = at(25)
    town.cluster.broken = {"2"}
    town.cluster.hook = refusing("httproutes")
    town.run(seconds=20)
    assert town.share(town.new) == 25
    assert SENTENCE in town.status.message
    town.cluster.hook = lambda *_: None
    town.run(seconds=20)
    assert town.share(town.new) == 0


# Time


def test_step_begins_when_prometheus_has_answered_and_not_when_it_was_asked() -> None:
    town = at(5)

    def take_long() -> None:
        town.now += timedelta(seconds=7)

    town.run(seconds=30)
    assert town.now < town.status.stage.since + timedelta(seconds=60)
    town.metrics.meanwhile = take_long
    town.go(Phase.PROGRESSING, 25)
    assert town.now - town.status.stage.entered < timedelta(seconds=2)


def test_answer_that_took_longer_than_an_interval_still_counts() -> None:
    town = at(25)
    town.metrics.bad = {"2": 0.5}

    def take_long() -> None:
        town.now += timedelta(seconds=40)

    town.metrics.meanwhile = take_long
    town.run(seconds=50)
    assert town.share(town.new) == 0


# Peace


def test_nothing_is_written_when_nothing_changed() -> None:
    town = at(25)
    town.pass_()
    town.cluster.log.clear()
    town.pass_()
    assert town.cluster.log == []


def test_object_that_the_api_server_keeps_in_other_words_is_asked_for_once() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    put = town.cluster.put

    def reworded(manifest: Manifest) -> Manifest:
        if manifest["kind"] == "HTTPRoute":
            manifest = merged(manifest, {"spec": {"hostnames": ["kept.in.other.words"]}})
        return put(manifest)

    town.cluster.put = reworded  # type: ignore[method-assign]
    traffic = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "g"}], "hostnames": ["Fraud.example.com".lower()]}}
    town.wish("2", traffic=traffic)
    town.run(seconds=30)
    before = town.cluster.requests.copy()
    town.run(minutes=10)
    spent = town.cluster.requests - before
    assert spent["apply", "httproutes"] == 0
    assert spent["get", "modelrollouts"] < 10


@pytest.mark.parametrize(
    "metadata",
    [{"finalizers": []}, {"finalizers": ["somebody.else/finalizer"]}, {"deletionTimestamp": "2026-01-01T12:00:00Z"}],
)
def test_rollout_that_is_not_guarded_or_being_deleted_is_left_alone(metadata: Manifest) -> None:
    town = at(25)
    town.wish("1")
    town.cluster.put(merged(town.manifest, {"metadata": metadata}))
    town.cluster.requests.clear()
    assert town.pass_() is None
    assert town.cluster.requests == {("get", "modelrollouts"): 1}


def test_rollout_that_is_gone_is_left_alone() -> None:
    town = Town()
    assert town.pass_() is None
    assert town.cluster.requests == {("get", "modelrollouts"): 1}


# Deletion


def test_deletion_turns_users_away_at_the_route_before_anything_else_goes() -> None:
    town = at(25)
    town.cluster.log.clear()
    town.delete()
    town.finalise()
    assert town.cluster.log == [("delete", "httproutes", "fraud")]
    assert town.slept == [2.0]
    town.run_controllers(seconds=10)
    assert {plural for plural, _, _ in town.cluster.objects} == {"events"}


def test_deletion_that_orphans_leaves_everything_serving_and_a_new_rollout_takes_it_over() -> None:
    town = at(25)
    town.delete("orphan")
    town.cluster.log.clear()
    town.finalise()
    assert (town.cluster.log, town.share(town.old)) == ([], 75)
    town.restart()
    town.wish("1")
    town.run(minutes=2)
    assert (town.phase, town.share(town.old)) == (Phase.HEALTHY, 100)
    (owner,) = town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}")["metadata"]["ownerReferences"]
    assert owner["uid"] == town.manifest["metadata"]["uid"]


def test_deletion_leaves_a_route_of_somebody_else_alone() -> None:
    town = at(25)
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    route["metadata"] |= {"ownerReferences": [{"uid": "another", "controller": True}], "labels": {}}
    town.delete()
    town.finalise()
    assert town.cluster.get(HTTP_ROUTES, "fraud") is not None


@pytest.mark.parametrize("missing", [MODEL_ROLLOUTS, HTTP_ROUTES])
def test_deletion_of_what_is_gone_already_is_done(missing: object) -> None:
    town = at(25)
    town.delete()
    manifest = town.manifest
    town.cluster.remove(missing, "fraud")  # type: ignore[arg-type]
    if missing is MODEL_ROLLOUTS:
        town.cluster.objects["modelrollouts", "ml", "fraud"] = manifest
    town.finalise()
    assert town.cluster.get(MODEL_ROLLOUTS, "fraud") is None


def test_deletion_is_not_held_up_for_ever_by_a_refusal_but_by_an_api_server_that_is_away() -> None:
    town = at(25)
    town.delete()
    town.cluster.hook = hook(Unreachable("time-out"), ("delete", "httproutes"))
    with pytest.raises(Unreachable):
        town.finalise()
    town.cluster.hook = hook(Refused(403, "forbidden", "fraud"), ("delete", "httproutes"))
    town.finalise()
    assert town.cluster.get(MODEL_ROLLOUTS, "fraud") is None


def test_finalizer_is_taken_off_by_a_request_that_says_nothing_else() -> None:
    town = at(25)
    town.delete("somebody.else/finalizer")
    town.cluster.log.clear()
    before = copied(town.manifest)
    run(release(town.cluster, ("ml", "fraud")))
    assert town.cluster.log == [("patch", "modelrollouts", "fraud")]
    after = copied(town.manifest)
    assert after["metadata"].pop("finalizers") == ["somebody.else/finalizer"]
    for each in (before, after):
        each["metadata"] = {
            name: value for name, value in each["metadata"].items() if name not in ("finalizers", "resourceVersion")
        }
    assert after == before
