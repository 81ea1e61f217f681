"""Kubernetes Events and log lines: the same words, once each, and never in the way."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from modelrollout.kube import Refused, Unreachable
from modelrollout.objects.manifests import Manifest, Owner
from modelrollout.objects.resources import EVENTS
from modelrollout.plan.plan import Event
from modelrollout.shell.announce import MOST_WAITING, Announcer, event_manifest
from tests.fakes.cluster import FakeCluster
from tests.fakes.town import NOON
from tests.fakes.watched import settle

OWNER = Owner("ml", "fraud", "uid-fraud")
BACK = Event("Warning", "RollingBack", "All traffic goes back to the stable version: errors 20 %.")
BEGUN = Event("Normal", "StepStarted", "canary 5 %: this share of the traffic goes to the candidate.")


async def announce(cluster: FakeCluster, *events: Event) -> None:
    announcer = Announcer(cluster)  # type: ignore[arg-type]  # the verbs it uses
    announcer.tell(OWNER, events, NOON)
    await announcer.deliver()


async def test_event_is_about_the_rollout_and_says_what_the_log_says(caplog: pytest.LogCaptureFixture) -> None:
    cluster = FakeCluster()
    with caplog.at_level(logging.INFO):
        await announce(cluster, BEGUN, BACK)
    first, second = cluster.all(EVENTS)
    told = {event["reason"]: event for event in (first, second)}
    assert told["RollingBack"]["message"] == BACK.message
    assert told["RollingBack"]["involvedObject"]["uid"] == "uid-fraud"
    assert told["RollingBack"]["firstTimestamp"] == "2026-01-01T12:00:00Z"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("INFO", f"ml/fraud: {BEGUN.message}"),
        ("WARNING", f"ml/fraud: {BACK.message}"),
    ]


async def test_event_of_a_pass_that_died_right_after_is_not_said_twice() -> None:
    cluster = FakeCluster()
    for _ in range(2):
        await announce(cluster, BACK)
    assert len(cluster.all(EVENTS)) == 1


@pytest.mark.parametrize("trouble", [Unreachable("time-out"), Refused(403, "events is forbidden", "events")])
async def test_event_that_cannot_be_written_stops_nothing(trouble: Exception) -> None:
    def fail(*_: str) -> None:
        raise trouble

    await announce(FakeCluster(hook=fail), BACK, BEGUN)


def test_same_happening_at_another_time_or_to_another_rollout_is_another_event() -> None:
    later, other = NOON + timedelta(seconds=1), Owner("ml", "fraud", "uid-of-its-successor")
    names = [event_manifest(*args)["metadata"]["name"] for args in [(OWNER, BACK, later), (other, BACK, NOON)]]
    assert event_manifest(OWNER, BACK, NOON)["metadata"]["name"] not in names
    assert len(set(names)) == 2


def test_message_is_cut_to_what_kubernetes_takes() -> None:
    assert len(event_manifest(OWNER, Event("Normal", "X", "é" * 5000), NOON)["message"]) == 1024


async def test_telling_waits_for_nobody_and_keeps_the_order() -> None:
    cluster = FakeCluster()
    announcer = Announcer(cluster)  # type: ignore[arg-type]  # the verbs it uses
    running = asyncio.create_task(announcer.run())
    announcer.tell(OWNER, [BEGUN], NOON)
    announcer.tell(OWNER, [BACK], NOON)
    assert cluster.requests == {}
    await settle()
    assert [event.object["reason"] for _, event in cluster.history] == ["StepStarted", "RollingBack"]
    running.cancel()


async def test_event_that_was_on_its_way_when_the_operator_stopped_is_told_by_its_last_words() -> None:
    cluster, arrived = FakeCluster(), asyncio.Event()
    announcer = Announcer(cluster)  # type: ignore[arg-type]  # the verbs it uses
    create = cluster.create

    async def hang(manifest: Manifest) -> Manifest:
        arrived.set()
        await asyncio.Event().wait()
        return manifest

    cluster.create = hang  # type: ignore[method-assign]
    running = asyncio.create_task(announcer.run())
    announcer.tell(OWNER, [BEGUN, BACK], NOON)
    await arrived.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    cluster.create = create  # type: ignore[method-assign]
    await announcer.deliver()
    assert len(cluster.all(EVENTS)) == 2


async def test_events_that_nobody_takes_do_not_pile_up(caplog: pytest.LogCaptureFixture) -> None:
    cluster = FakeCluster()
    announcer = Announcer(cluster)  # type: ignore[arg-type]  # the verbs it uses
    announcer.tell(OWNER, [Event("Normal", "X", f"{number}") for number in range(MOST_WAITING + 1)], NOON)
    await announcer.deliver()
    assert len(cluster.all(EVENTS)) == MOST_WAITING
    assert "is dropped" in caplog.text
