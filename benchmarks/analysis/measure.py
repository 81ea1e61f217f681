"""Runs rules over the same simulated releases, and sums up how often and how soon they took traffic back."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.random import Generator
from scipy.stats import binom

from benchmarks.analysis import limits
from benchmarks.analysis.trials import NEVER, Engine, Floats, Ints, Plan, Size, Trial

World = TypeVar("World")


class Progress(Protocol):
    """Where long work says how far it is."""

    def begin(self, what: str, runs: int) -> None:
        """A cell of a table with so many runs is begun."""
        ...

    def advance(self, runs: int) -> None:
        """So many more of them are done."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What every table needs."""

    engine: Engine
    size: Size
    progress: Progress

    def generator(self, *names: object) -> Generator:
        """A generator of its own for each cell, so that tables do not depend on which others are printed."""
        return np.random.default_rng([self.size.seed, zlib.crc32(" ".join(map(str, names)).encode())])


@dataclass(frozen=True, slots=True)
class Result:
    """The tick at which each run was decided (NEVER: not), of so many ticks, and the harm until then (0 if unknown)."""

    decided: Ints
    ticks: int
    tick: float
    harm: Floats

    @property
    def share(self) -> float:
        """Of the runs that were decided."""
        return float((self.decided != NEVER).mean())

    @property
    def times(self) -> Floats:
        """Seconds to the decision, infinite where there was none."""
        return np.where(self.decided == NEVER, np.inf, (self.decided + 1) * self.tick)

    @property
    def median(self) -> float:
        """Seconds; infinite when fewer than half were decided."""
        return float(np.percentile(self.times, 50, method="lower"))

    @property
    def mean(self) -> float:
        """Seconds to the decision or the end, whichever comes first."""
        return float(np.minimum(self.times, self.ticks * self.tick).mean())

    def to_limit(self, rate: float, alpha: float) -> float:
        """Mean time over the least mean time of a valid rule of the same power; NaN when its power is below alpha."""
        if self.share <= alpha or rate <= 0:
            return float("nan")
        return self.mean / limits.seconds(rate, alpha, 1.0 if self.share > 0.99 else self.share)

    def after(self, onset: int) -> Result:
        """Counted from a tick on: what was decided before it is not a detection."""
        decided = np.where(self.decided >= onset, self.decided - onset, NEVER)
        return Result(decided, self.ticks - onset, self.tick, self.harm)


Rule = Callable[[World], Ints]


@dataclass(frozen=True, slots=True)
class Harm(Generic[World]):
    """Harm per run and tick of a world, (runs, ticks)."""

    of: Callable[[World], Floats]


def run(
    bench: Bench,
    name: str,
    draw: Callable[[Generator, int], World],
    rules: Mapping[str, Rule[World]],
    runs: int,
    *,
    ticks: int,
    tick: float,
    harm: Harm[World] | None = None,
) -> dict[str, Result]:
    """Every rule over the same runs. A rule that has no test for such data is left out."""
    rng = bench.generator(name)
    bench.progress.begin(name, runs)
    decided: dict[str, list[Ints]] = {rule: [] for rule in rules}
    harmed: dict[str, list[Floats]] = {rule: [] for rule in rules}
    done = 0
    while done < runs:
        some = min(bench.size.chunk, runs - done)
        world = draw(rng, some)
        upto = None if harm is None else np.cumsum(harm.of(world), axis=1)
        for rule, decide in rules.items():
            try:
                at = decide(world)
            except NotImplementedError:
                continue
            decided[rule].append(at)
            if upto is not None:
                harmed[rule].append(upto[np.arange(some), np.where(at == NEVER, ticks - 1, at)])
        done += some
        bench.progress.advance(some)
    return {
        rule: Result(np.concatenate(found), ticks, tick, np.concatenate(harmed[rule]) if harmed[rule] else np.zeros(1))
        for rule, found in decided.items()
        if found
    }


def ours(engine: Engine, plan: Plan) -> Rule[Trial]:
    """Our engine on one metric."""
    return lambda trial: engine.rolled_back([trial], plan)


def ours_together(engine: Engine, plan: Plan) -> Rule[Sequence[Trial]]:
    """Our engine on several metrics that share the budget."""
    return lambda trials: engine.rolled_back(trials, plan)


def ours_advancing(engine: Engine, plan: Plan) -> Rule[Trial]:
    """When our engine would let the release move on."""
    return lambda trial: engine.may_advance([trial], plan)


def bar(runs: int, rate: float, confidence: float = 0.999) -> int:
    """The most runs that a rule with this true rate may decide, but for one time in a thousand."""
    return int(binom.ppf(confidence, runs, rate))
