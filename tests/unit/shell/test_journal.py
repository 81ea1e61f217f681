"""Every log line of a pass says which release it is about, in JSON for machines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from modelrollout.__main__ import configure_log
from modelrollout.api.status import CandidateArm, ModelRolloutStatus, Phase
from modelrollout.api.status import VersionInfo as Version
from modelrollout.objects.manifests import Owner
from modelrollout.objects.resources import EVENTS
from modelrollout.shell import journal
from modelrollout.shell.announce import RELEASE
from modelrollout.shell.settings import Settings
from tests.fakes.town import KEY, NOON, Town, releasing, run

OWNER = Owner("ml", "fraud", "uid-1")
ARM = CandidateArm(revision="new", model=Version(name="fraud", version="2"), workload="fraud-new", since=NOON)
RELEASING = ModelRolloutStatus(phase=Phase.PENDING, candidate=ARM)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the operator writes."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    levels = {name: logging.getLogger(name).level for name in (None, "modelrollout", "kopf.objects")}
    configure_log(Settings())
    (ours,) = (
        handler for handler in root.handlers if handler not in before and isinstance(handler, logging.StreamHandler)
    )
    ours.setStream(text := io.StringIO())
    yield text
    root.handlers[:] = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def line(written: io.StringIO, message: str = "hello", **extra: str) -> dict[str, str]:
    """The line of a record, but for when it was and how bad."""
    logging.getLogger("modelrollout").info(message, extra=extra)
    (last,) = written.getvalue().splitlines()[-1:]
    found: dict[str, str] = json.loads(last)
    return {name: text for name, text in found.items() if name not in ("timestamp", "severity", "taskName")}


def test_a_line_in_a_pass_has_the_release_and_one_outside_has_nothing(written: io.StringIO) -> None:
    with journal.working_for(("ml", "fraud")):
        journal.note(OWNER, RELEASING)
        assert line(written) == {
            "message": "hello",
            "namespace": "ml",
            "rollout": "fraud",
            "uid": "uid-1",
            "revision": "new",
            "release": journal.release_id(OWNER, "new", NOON.isoformat()),
        }
    assert line(written) == {"message": "hello"}


def test_whoever_logs_knows_better(written: io.StringIO) -> None:
    with journal.working_for(("ml", "fraud")):
        assert line(written, rollout="other")["rollout"] == "other"


def test_the_last_line_of_a_release_still_has_its_id(written: io.StringIO) -> None:
    with journal.working_for(("ml", "fraud")):
        journal.note(OWNER, ModelRolloutStatus(phase=Phase.HEALTHY), RELEASING)
        assert line(written)["revision"] == "new"


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
        await town.announcer.deliver()

    try:
        with caplog.at_level(logging.INFO, "modelrollout"):
            run(a_pass())
    finally:
        logging.getLogger("modelrollout").removeHandler(told)
    (event,) = (
        one for one in town.cluster.all(EVENTS) if one["reason"] == "NewRevision" and "Version 2 " in one["message"]
    )
    assert {told.releases["NewRevision"], event["metadata"]["annotations"][RELEASE]} == ids_of(town)


class WithFieldsNoted(logging.Handler):
    """By the reason of an Event, the release in its line."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(journal.WithFields())
        self.releases: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.releases[record.__dict__.get("reason", "")] = record.__dict__.get("release", "")
