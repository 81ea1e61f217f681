"""Queues beside passes: each target by itself, again and again, once each, and only while this process leads."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from modelrollout.api.notifications import Notification, SecretKey, Topic
from modelrollout.api.status import Errand
from modelrollout.delivery.deliverer import LONGEST_PAUSE, Deliverer, Parcel, Undelivered
from modelrollout.objects.manifests import Owner
from modelrollout.trial.deliveries import Deliveries
from tests.fakes.watched import settle

OWNER, OTHER = Owner("ml", "fraud", "uid-fraud"), Owner("ml", "ranking", "uid-ranking")
KEY = ("ml", "fraud")
CHAT, PAGER = (Notification(name=name, secret_ref=SecretKey(name="alerts")) for name in ("chat", "pager"))
BOTH = (CHAT, PAGER)


def errand(number: int, *to: str, kind: str = "notification") -> Errand:
    return Errand(
        id=f"uid.{number}", kind=kind, to=to, at=datetime(2026, 1, 1, tzinfo=UTC), facts={"topic": "Promoted"}
    )


class Carrier:
    """Takes what it is given, unless a target or an errand is said to make trouble."""

    def __init__(self) -> None:
        self.trouble: dict[str, BaseException] = {}
        self.hanging: set[str] = set()
        self.taken: list[tuple[str, str, str]] = []
        self.attempts = 0

    def standing(self) -> Mapping[str, frozenset[Topic]]:
        return {"operator/all": frozenset(Topic)}

    async def carry(self, parcel: Parcel) -> None:
        self.attempts += 1
        if parcel.target in self.hanging:
            await asyncio.Event().wait()
        for about in (parcel.target, parcel.errand.id):
            if about in self.trouble:
                raise self.trouble[about]
        self.taken.append((parcel.owner.name, parcel.errand.id, parcel.target))


class Bench:
    """A deliverer whose pauses last until they are ended."""

    def __init__(self) -> None:
        self.carrier, self.arrived, self.pauses, self.leads = Carrier(), list[tuple[str, str]](), list[float](), True
        self._over = asyncio.Event()
        self.deliverer = Deliverer(
            {"notification": self.carrier}, self.arrived.append, leads=lambda: self.leads, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self._over.wait()

    async def wait(self) -> None:
        """Ends all pauses, once."""
        self._over.set()
        self._over = asyncio.Event()
        await settle()

    async def deliver(self, *errands: Errand, owner: Owner = OWNER, to: tuple[Notification, ...] = BOTH) -> None:
        self.deliverer.deliver(owner, errands, to)
        await settle()


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_errand_goes_to_each_of_its_targets_once_until_a_pass_strikes_it(bench: Bench) -> None:
    for _ in range(3):  # passes before the one that strikes it
        await bench.deliver(errand(1, "chat", "pager"))
    assert sorted(bench.carrier.taken) == [("fraud", "uid.1", "chat"), ("fraud", "uid.1", "pager")]
    assert bench.deliverer.known(KEY).done == {("uid.1", "chat"), ("uid.1", "pager")}
    assert bench.arrived == [KEY, KEY]
    await bench.deliver()
    assert bench.deliverer.known(KEY) == Deliveries({"operator/all": frozenset(Topic)})


async def test_target_that_never_answers_holds_up_no_other(bench: Bench) -> None:
    bench.carrier.hanging = {"chat"}
    await bench.deliver(errand(1, "chat", "pager"), errand(2, "chat", "pager"))
    assert bench.carrier.taken == [("fraud", "uid.1", "pager"), ("fraud", "uid.2", "pager")]
    await bench.deliverer.stop()


async def test_failure_is_known_by_name_and_is_tried_again_after_growing_pauses(bench: Bench) -> None:
    bench.carrier.trouble = {"chat": Undelivered("its receiver answered 503")}
    await bench.deliver(errand(1, "chat"))
    assert bench.deliverer.known(KEY).failing == {"chat": "its receiver answered 503"}
    for _ in range(11):
        await bench.wait()
    assert bench.carrier.attempts == 12
    assert bench.arrived == [KEY]  # the same trouble is no news
    assert all(0.8 * 2**at <= pause <= 1.2 * 2**at for at, pause in enumerate(bench.pauses[:8]))
    assert bench.pauses[-1] <= 1.2 * LONGEST_PAUSE
    bench.carrier.trouble = {}
    await bench.wait()
    assert bench.deliverer.known(KEY).failing == {}
    assert bench.carrier.taken == [("fraud", "uid.1", "chat")]


async def test_errand_that_is_not_taken_lets_others_to_the_same_target_pass(bench: Bench) -> None:
    bench.carrier.trouble = {"uid.1": Undelivered("its receiver answered 400")}
    await bench.deliver(errand(1, "chat"), errand(2, "chat"))
    await bench.wait()
    assert bench.carrier.taken == [("fraud", "uid.2", "chat")]
    await bench.deliverer.stop()


async def test_what_is_not_in_the_status_any_more_is_not_tried_any_more(bench: Bench) -> None:
    bench.carrier.trouble = {"chat": Undelivered("its receiver answered 503")}
    await bench.deliver(errand(1, "chat"))
    await bench.deliver()
    bench.carrier.trouble = {}
    await bench.wait()
    assert (bench.carrier.attempts, bench.deliverer.known(KEY).failing) == (1, {})


async def test_target_of_the_operator_has_one_queue_for_all_rollouts(bench: Bench) -> None:
    bench.carrier.trouble = {"operator/all": Undelivered("nobody answers at its address")}
    await bench.deliver(errand(1, "operator/all"))
    await bench.deliver(errand(2, "operator/all"), owner=OTHER)
    assert bench.carrier.attempts == 1
    assert bench.deliverer.known(("ml", "ranking")).failing == {"operator/all": "nobody answers at its address"}
    bench.deliverer.forget(KEY)
    bench.carrier.trouble = {}
    await bench.wait()
    assert bench.carrier.taken == [("ranking", "uid.2", "operator/all")]


async def test_process_that_does_not_lead_delivers_nothing(bench: Bench) -> None:
    bench.leads = False
    await bench.deliver(errand(1, "chat"))
    assert bench.carrier.attempts == 0
    bench.leads = True
    await bench.deliver(errand(1, "chat"))
    assert bench.carrier.attempts == 1


async def test_kinds_that_nobody_carries_here_are_left_alone(bench: Bench) -> None:
    await bench.deliver(errand(1, "chat", kind="hook"))
    assert (bench.carrier.attempts, bench.deliverer.known(KEY).failing) == (0, {})


async def test_defect_is_told_by_its_name_alone_and_ends_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.carrier.trouble = {"chat": KeyError("hidden")}
    with caplog.at_level(logging.DEBUG):
        await bench.deliver(errand(1, "chat", "pager"))
    assert bench.deliverer.known(KEY).failing == {"chat": "a defect of the operator's (KeyError)"}
    assert bench.carrier.taken == [("fraud", "uid.1", "pager")]
    await bench.wait()
    assert bench.carrier.attempts == 3
    assert "hidden" not in caplog.text
    (told,) = (record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)
    assert re.fullmatch(r"A delivery to chat failed by a defect: KeyError at .*/test_deliverer\.py:\d+\.", told)
    await bench.deliverer.stop()
