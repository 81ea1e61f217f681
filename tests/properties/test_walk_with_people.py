"""Every place that a small rollout can get to while people ask for anything, anywhere: all promises are kept there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from dataclasses import replace as with_fields
from datetime import timedelta

from modelrollout.api.status import Phase, Verdict
from modelrollout.plan.plan import Plan
from modelrollout.rollout.rollout import Rollout
from modelrollout.traffic.exposure import NOBODY
from modelrollout.trial.phases import HAS_CANDIDATE_AHEAD, intended
from tests import builders
from tests.properties.test_plan_walk import GATEWAY, HOLD, Event, Pass, Situation, Walk

LATER = HOLD + timedelta(seconds=1)
ENDS = ("promote", "promote-full", "skip")
ASKED = ("abort", "approve", "pause", "resume", "undo", *ENDS)
"""A retry is a new try with an old name, of which the walk's books know nothing."""


@dataclass(frozen=True)
class Asking(Event):
    """An event beside which somebody asks for something."""

    verb: str = ""


@dataclass(frozen=True)
class Place(Situation):
    """A situation that is another one where people decided something."""

    def place(self, traffic: dict[str, object]) -> object:
        status = self.status
        arms = (status.stage, status.candidate) if status.phase in HAS_CANDIDATE_AHEAD else ()
        ends = tuple(one is not None and one.waived is not None and one.waived.verb for one in arms)
        return super().place(traffic), status.paused is not None, ends


EVENTS = [
    *(Asking(verb=verb) for verb in ASKED),
    *(Asking(verb=verb, is_candidate_ready=False) for verb in ("abort", "promote-full")),
    *(Event(LATER, verdict=verdict) for verdict in (None, Verdict.PASS, Verdict.FAIL)),
]
"""A few of each sort: what happens beside is walked in test_plan_walk."""


class WalkWithPeople(Walk):
    """A walk in which an action is another one each time."""

    def __init__(self) -> None:
        super().__init__(GATEWAY, {**builders.canary(50, hold="1m"), "approval": True})
        self.verb, self.number = "", 0

    def begin(self) -> Situation:
        return self.peopled(super().begin())

    def peopled(self, here: Situation) -> Place:
        return Place(**{one.name: getattr(here, one.name) for one in fields(Situation)})

    def happened(self, here: Situation, event: Event) -> Situation:
        return self.peopled(super().happened(here, event))

    def after(self, here: Situation, event: Event) -> Iterator[Situation]:
        self.verb = event.verb if isinstance(event, Asking) else ""
        self.number += 1
        self.passes.clear()  # they are told apart by what was seen, and not by what was asked for
        self.sights.clear()
        yield from super().after(here, event)

    def rollout(self, situation: Situation) -> Rollout:
        action = f"{self.verb}/{self.number}" if self.verb else None
        return with_fields(super().rollout(situation), action=action)

    def check(self, here: Situation, event: Event, made: Pass) -> None:
        super().check(here, event, made)
        before, after = here.status, made.plan.status
        is_on_its_way = before.candidate is not None and before.stable is not None
        if self.verb == "abort" and is_on_its_way and event.is_stable_ready:
            assert made.retreated == NOBODY, "an abort leaves users with the candidate"
            assert intended(after) in (Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.HEALTHY, Phase.PENDING)
        if before.paused is not None and after.paused is not None and event.is_stable_ready:
            assert made.now <= made.before or not self.is_further(here, made.plan), "a paused release goes on"

    def is_further(self, here: Situation, plan: Plan) -> bool:
        old, new = here.status.stage, plan.status.stage
        return new is not None and (old is None or (new.index, new.step) > (old.index, old.step))

    def decides_nothing_without_evidence(self, here: Situation, event: Event, plan: Plan, told: object) -> None:
        """Other than by hand."""
        stage, candidate = here.status.stage, here.status.candidate
        is_waived = any(one is not None and one.waived is not None for one in (stage, candidate))
        if not is_waived and self.verb not in (*ENDS, "abort"):
            super().decides_nothing_without_evidence(here, event, plan, told)


def test_every_place_of_a_small_canary_keeps_all_promises_whatever_people_ask_for() -> None:
    walk = WalkWithPeople()
    places = walk.everywhere(EVENTS)
    assert places > 100
