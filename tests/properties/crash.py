"""Kills the operator at every call of a story, before and after its effect, and tells how each of these runs ended.

A story begins in a town, reacts to what it sees there (that is how versions fail and wishes change), and is over at
some time. It is told once without a kill, and whatever is left at each moment at which one could come is put aside;
each of these worlds then goes on with a new process. A run that comes to a state that an earlier one was in ends as
that one did, and is told no further (state.py says why).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, MODEL_ROLLOUTS, SERVICES
from tests.fakes.town import Town
from tests.fakes.witness import Witness
from tests.properties.state import State, state_of

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
class Death:
    """When the process dies, before or after a call of a pass, both counted from 0; and the world that is left.

    That world goes on once.
    """

    number: int
    when: str
    call: int
    what: str
    town: Town
    witness: Witness

    def __str__(self) -> str:
        return f"killed in pass {self.number}, {self.when} call {self.call} ({self.what})"


@dataclass
class Run:
    """A story in the telling, and as it was told."""

    town: Town
    witness: Witness
    deaths: list[Death] = field(default_factory=list)
    passes: int = 0
    calls: int = 0  # of the present pass

    @classmethod
    def of(cls, story: Story) -> Self:
        town = story.begin()
        witness = Witness(town)
        witness.look()
        return cls(town, witness)

    @classmethod
    def after(cls, death: Death) -> Self:
        """A new process is there on the next full second: whoever died in the same one, and left the same, is alike."""
        death.town.die(until=death.town.now.replace(microsecond=0) + timedelta(seconds=1))
        return cls(death.town, death.witness)

    def begins(self) -> None:
        """Called before every pass."""
        self.passes, self.calls = self.passes + 1, 0

    def note(self, when: str, verb: str, plural: str, name: str) -> None:
        """A hook for the cluster. Whoever dies loses all that was read, so the world that is left is the same at all
        moments between one write and the next: the earliest of them stands for the others."""
        self.calls += when == "before"
        is_first = when == "before" and self.calls == 1
        if is_first or (when == "after" and verb not in READS):
            left = self.town.clone()
            at = (self.passes - 1, when, self.calls - 1, f"{verb} {plural}")
            self.deaths.append(Death(*at, left, self.witness.clone(left)))

    def tell(self, story: Story, earlier: dict[State, tuple[Run, int]] | None = None) -> Self:
        """On until all is over. `earlier`: runs by the states that they were in, and how much had been seen by then."""
        end = self.town.now + LONGEST
        while not story.is_over(self.town):
            if earlier is not None:
                known, seen = earlier.setdefault(state_of(self.town, self.witness), (self, len(self.witness.history)))
                if known is not self:
                    self.witness.history += known.witness.history[seen:]
                    self.town = known.town
                    break
            assert self.town.now < end, f"it was never over: {self.town.status.phase} {self.town.status.message}"
            self.town.step()
            self.witness.look()
            story.react(self.town)
        assert self.town.now < end + timedelta(seconds=5), "it was over late"
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
    run.town.before_pass.append(run.begins)
    run.town.cluster.hook = run.note
    return run.tell(story)


def retold(story: Story, deaths: Iterable[Death]) -> Iterator[tuple[Death, Run]]:
    """The story with one kill, for each of these."""
    earlier = dict[State, tuple[Run, int]]()
    for death in deaths:
        run = Run.after(death).tell(story, earlier)
        assert run.town.restarts == 1, death
        yield death, run
