"""Pass after pass over a rollout, until there is no need for another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from modelrollout.kube import NotLeading
from modelrollout.shell.rounds import Rounds
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.wakeups import Wakeups

KEY = ("ml", "fraud")


class Passes:
    """A reconciler whose passes end as a test says; each is waited for."""

    def __init__(self, act: Callable[[], timedelta | None]) -> None:
        self.act, self.made, self.news = act, 0, asyncio.Event()

    async def reconcile(self, key: object, poked: object) -> timedelta | None:
        self.made += 1
        self.news.set()
        return self.act()

    async def finalise(self, key: object) -> None:
        self.made += 1
        self.news.set()
        self.act()

    async def next(self) -> None:
        await self.news.wait()
        self.news.clear()


def rounds(passes: Passes, telemetry: Telemetry) -> Rounds:
    return Rounds(cast("Any", None), Wakeups(), cast("Any", passes), telemetry)


def fails(error: Exception) -> Callable[[], timedelta | None]:
    def act() -> timedelta | None:
        raise error

    return act


def failures(telemetry: Telemetry) -> float:
    return cast("float", telemetry.registry.get_sample_value("modelrollout_pass_failures_total"))


async def test_a_pass_that_fails_is_counted_and_one_of_a_process_that_no_longer_leads_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for error, counted in ((ValueError("ours"), 1), (NotLeading("another does"), 0)):
        telemetry, passes = Telemetry(), Passes(fails(error))
        those = rounds(passes, telemetry)
        keeping = asyncio.create_task(those.keep(KEY, stopped=None))
        await passes.next()
        those.end()
        await asyncio.wait_for(keeping, 5)
        assert (failures(telemetry), "Traceback" in caplog.text) == (counted, bool(counted))
        caplog.clear()


async def test_at_the_end_of_the_process_no_pass_begins_and_whoever_waits_for_one_goes() -> None:
    passes = Passes(lambda: None)
    those = rounds(passes, Telemetry())
    keeping = asyncio.create_task(those.keep(KEY, stopped=None))
    await passes.next()
    those.poke(KEY)
    await passes.next()
    those.end()
    await asyncio.wait_for(keeping, 5)
    assert passes.made == 2


async def test_a_deletion_that_was_not_carried_out_is_not_said_to_be_when_the_process_ends() -> None:
    """kopf would take its finalizer off, and the next process would hear of nothing."""
    passes = Passes(fails(NotLeading("another does")))
    those = rounds(passes, Telemetry())
    finalising = asyncio.create_task(those.finalise(KEY))
    await passes.next()
    those.end()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not finalising.done()
    assert passes.made == 1
    finalising.cancel()
    await asyncio.gather(finalising, return_exceptions=True)
