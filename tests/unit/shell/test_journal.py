"""Every log line of a pass says which release it is about, in JSON for machines."""

from __future__ import annotations

import asyncio
import json
import logging

import kopf
import pytest

from modelrollout.api.status import CandidateArm, ModelRolloutStatus, Phase
from modelrollout.api.status import VersionInfo as Version
from modelrollout.objects.manifests import Owner
from modelrollout.shell import journal
from tests.fakes.town import KEY, NOON, Town, releasing, run

OWNER = Owner("ml", "fraud", "uid-1")
ARM = CandidateArm(revision="new", model=Version(name="fraud", version="2"), workload="fraud-new", since=NOON)
RELEASING = ModelRolloutStatus(phase=Phase.PENDING, candidate=ARM)


def line(message: str = "hello", **extra: str) -> dict[str, str]:
    """A line as the operator writes it."""
    record = logging.getLogger("modelrollout").makeRecord("x", logging.INFO, "f", 1, message, (), None, extra=extra)
    journal.WithFields().filter(record)
    written: dict[str, str] = json.loads(kopf._core.actions.loggers.ObjectJsonFormatter().format(record))
    return {name: text for name, text in written.items() if name not in ("timestamp", "severity", "taskName")}


def test_a_line_in_a_pass_has_the_release_and_one_outside_has_nothing() -> None:
    with journal.working_for(("ml", "fraud")):
        journal.note(OWNER, RELEASING)
        assert line() == {
            "message": "hello",
            "namespace": "ml",
            "rollout": "fraud",
            "uid": "uid-1",
            "revision": "new",
            "release": journal.release_id(OWNER, "new", NOON.isoformat()),
        }
    assert line() == {"message": "hello"}


def test_whoever_logs_knows_better() -> None:
    with journal.working_for(("ml", "fraud")):
        assert line(rollout="other")["rollout"] == "other"


def test_the_last_line_of_a_release_still_has_its_id() -> None:
    with journal.working_for(("ml", "fraud")):
        journal.note(OWNER, ModelRolloutStatus(phase=Phase.HEALTHY), RELEASING)
        assert line()["revision"] == "new"


async def test_tasks_of_a_pass_know_its_release_and_other_passes_do_not() -> None:
    async def within() -> dict[str, str]:
        await asyncio.sleep(0)
        return dict(journal.fields())

    with journal.working_for(("ml", "fraud")):
        task = asyncio.create_task(within())
        journal.note(OWNER, RELEASING)  # it is learnt after the task began
    assert (await task)["revision"] == "new"
    assert journal.fields() == {}


def ids_of(town: Town) -> set[str]:
    arm = town.status.candidate
    return {journal.release_id(town.rollout().owner, arm.revision, arm.since.isoformat())} if arm else set()


def test_a_release_keeps_its_id_over_restarts_and_another_try_has_another() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    first = ids_of(town)
    town.restart()
    town.go(Phase.PROGRESSING, 25)
    assert ids_of(town) == first
    town.cluster.crash(f"fraud-{town.new}", 9)
    town.go(Phase.ROLLED_BACK)
    town.wish("3")
    town.go(Phase.PROGRESSING, 5)
    assert len(ids_of(town) | first) == 2


def test_what_a_pass_tells_is_logged_with_its_release(caplog: pytest.LogCaptureFixture) -> None:
    town, told = releasing(), WithFieldsNoted()
    logging.getLogger("modelrollout").addHandler(told)

    async def a_pass() -> None:
        with town.telemetry.a_pass(KEY):
            await town.passing()

    try:
        with caplog.at_level(logging.INFO, "modelrollout"):
            run(a_pass())
    finally:
        logging.getLogger("modelrollout").removeHandler(told)
    assert told.releases["NewRevision"] in ids_of(town)


class WithFieldsNoted(logging.Handler):
    """By the reason of an Event, the release in its line."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(journal.WithFields())
        self.releases: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.releases[record.__dict__.get("reason", "")] = record.__dict__.get("release", "")
