"""Kills the operator at every call of a story, before and after its effect, and tells how each of these runs ended.

A story begins in a town, reacts to what it sees there (that is how versions fail and wishes change), and is over at
some time. It is told once without a kill, remembering the town at the beginning of every pass; then, for every call of
every pass, it is told on from the beginning of that pass, with a kill at that call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, MODEL_ROLLOUTS, SERVICES
from tests.fakes.cluster import Killed
from tests.fakes.town import Town
from tests.fakes.witness import Witness

LONGEST = timedelta(minutes=5)
READS = ("get", "list", "ask")
OBJECTS = tuple(resource.plural for resource in (DEPLOYMENTS, SERVICES, HTTP_ROUTES, MODEL_ROLLOUTS))


@dataclass(frozen=True)
class Story:
    """`react` is called before every pass and must bear to be called again."""

    begin: Callable[[], Town]
    is_over: Callable[[Town], bool]
    react: Callable[[Town], None] = lambda _: None


@dataclass(frozen=True)
class Moment:
    """When the process dies: before or after a call of a pass, counted from 0."""

    when: str
    call: int
    what: str

    def __str__(self) -> str:
        return f"{self.when} call {self.call} ({self.what})"


@dataclass
class Pass:
    """One pass of the story: the town in which it begins, and when one may die in it."""

    town: Town
    witness: Witness
    moments: list[Moment] = field(default_factory=list)
    calls: int = 0

    def note(self, when: str, verb: str, plural: str, name: str) -> None:
        """A hook for the cluster. Whoever dies loses all that was read, so the world that is left is the same at all
        moments between one write and the next: the earliest of them stands for the others."""
        self.calls += when == "before"
        is_first = when == "before" and self.calls == 1
        if is_first or (when == "after" and verb not in READS):
            self.moments.append(Moment(when, self.calls - 1, f"{verb} {plural}"))


@dataclass
class Run:
    """A story in the telling, and as it was told."""

    town: Town
    witness: Witness
    passes: list[Pass] = field(default_factory=list)

    @classmethod
    def of(cls, story: Story) -> Self:
        town = story.begin()
        witness = Witness(town)
        witness.look()
        return cls(town, witness)

    def remember(self) -> None:
        """Called before every pass."""
        clone = self.town.clone()
        self.passes.append(Pass(clone, self.witness.clone(clone)))
        self.town.cluster.hook = self.passes[-1].note

    def tell(self, story: Story) -> Self:
        end = self.town.now + LONGEST
        while not story.is_over(self.town):
            assert self.town.now < end, f"it was never over: {self.town.status.phase} {self.town.status.message}"
            self.town.step()
            self.witness.look()
            story.react(self.town)
        return self

    @property
    def end(self) -> dict[str, Any]:
        """What is left when all is over, but for times and counters."""
        cluster = self.town.cluster
        left = {
            "shares": self.town.shares(),
            "objects": sorted(key for key in cluster.objects if key[0] in OBJECTS),
            "replicas": {d["metadata"]["name"]: d["spec"]["replicas"] for d in cluster.all(DEPLOYMENTS)},
        }
        if self.town.is_gone:
            return left
        status = self.town.status
        return left | {
            "phase": status.phase,
            "arms": [arm and arm.revision for arm in (status.stable, status.candidate)],
            "rejected": [(entry.revision, entry.reason) for entry in status.rejected],
            "history": [(entry.revision, entry.outcome, entry.reason) for entry in status.history],
            "retired": status.retired,
            "conditions": sorted((c.type, c.status, c.reason) for c in status.conditions),
        }


def told(story: Story) -> Run:
    """The story without a kill."""
    run = Run.of(story)
    run.town.before_pass.append(run.remember)
    return run.tell(story)


def retold(story: Story, passes: list[Pass]) -> Iterator[tuple[Moment, Run]]:
    """The story with one kill, for every moment at which there can be one."""
    for begun in passes:
        for moment in begun.moments:
            town = begun.town.clone()
            run = Run(town, begun.witness.clone(town))
            town.cluster.hook = _dying(town, moment)
            yield moment, run.tell(story)
            assert town.restarts == 1, moment


def _dying(town: Town, moment: Moment) -> Callable[[str, str, str, str], None]:
    calls = 0

    def hook(when: str, verb: str, plural: str, name: str) -> None:
        nonlocal calls
        calls += when == "before"
        if (when, calls - 1) == (moment.when, moment.call):
            town.cluster.hook = lambda *_: None
            raise Killed

    return hook
