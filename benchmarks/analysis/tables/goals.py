"""ab: how many users an A/B test takes to show its goal, held against a test of fixed size with the same error rates.

Half of the users of every tick go to each version. The goal is looked at after every tick, until it is shown; a test of
fixed size is looked at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from benchmarks.analysis.measure import Bench
from benchmarks.analysis.report import Table, number, with_bounds
from benchmarks.analysis.tables.takings import takings
from modelrollout.sequential.proportions import (
    GOAL_EFFECT_WEIGHTS,
    Baseline,
    Bound,
    Counts,
    decay,
    rate,
    shown,
)
from modelrollout.sequential.wealth import weights

Floats = npt.NDArray[np.float64]

ALPHA, POWER = 0.05, 0.90
"""The chance to promote what is not better, and that to find what is."""
TICK = 15.0
TICKS_OF_FIXED = 150
"""In so many ticks a test of fixed size would be over."""
LONGEST = 3
"""How many times the fixed size is waited for at most."""
BETS = weights(GOAL_EFFECT_WEIGHTS)


@dataclass(frozen=True, slots=True)
class Experiment:
    """`usual`: stable's share of users who convert. `lift`: the candidate's, relative. `loss`: acceptable, relative."""

    usual: float
    lift: float
    loss: float = 0.0

    @property
    def bound(self) -> Bound:
        """What is to be ruled out, on the share of users who do not convert."""
        return Bound(1 - self.loss, self.loss)

    @property
    def distance(self) -> float:
        return self.usual * (self.lift + self.loss)

    def fixed(self) -> float:
        """Users of both versions that a one-sided z-test of fixed size takes."""
        kept = (1 - self.loss) * self.usual
        mine, theirs = (1 + self.lift) * self.usual, self.usual
        variance = mine * (1 - mine) + (1 - self.loss) ** 2 * theirs * (1 - theirs)
        quantiles = norm.ppf(1 - ALPHA) + norm.ppf(POWER)
        return float(2 * variance * quantiles**2 / (mine - kept) ** 2)


FOUND = {
    "5 % convert, 10 % more of them": Experiment(0.05, 0.10),
    "5 % convert, 20 % more of them": Experiment(0.05, 0.20),
    "30 % convert, 5 % more of them": Experiment(0.30, 0.05),
    "1 % convert, 30 % more of them": Experiment(0.01, 0.30),
    "equal, a loss of 10 % is acceptable": Experiment(0.05, 0.0, loss=0.10),
    "equal, a loss of 5 % is acceptable": Experiment(0.30, 0.0, loss=0.05),
}
UNTRUE = {
    "5 % convert, equal": (Experiment(0.05, 0.0), Experiment(0.05, 0.10)),
    "30 % convert, equal": (Experiment(0.30, 0.0), Experiment(0.30, 0.05)),
    "1 % convert, equal": (Experiment(0.01, 0.0), Experiment(0.01, 0.30)),
    "a loss of 10 %, as much is just not acceptable": (Experiment(0.05, -0.10, loss=0.10), Experiment(0.05, 0.0, 0.10)),
}
"""What is not so, and the experiment whose length it has."""


def ab(bench: Bench) -> list[Table]:
    found = [(name, _found(bench, name, one)) for name, one in FOUND.items()]
    untrue = [(name, _untrue(bench, name, *pair)) for name, pair in UNTRUE.items()]
    notes = (
        f"Error rates: {ALPHA:.0%} to show a goal that is not met, {1 - POWER:.0%} to miss one at the fixed size. "
        f"Ours is given up after {LONGEST} times the fixed size.",
    )
    columns = ("goal", "fixed size (users)", "ours, mean", "ours / fixed", "90 % are shown by", "shown, %")
    return [
        Table("ab: users until a goal is shown that is met", columns, tuple((n, *cells) for n, cells in found), notes),
        Table("ab: goals shown that are not met, %", ("truth", "shown"), tuple(untrue)),
        *takings(bench),
    ]


def _found(bench: Bench, name: str, one: Experiment) -> tuple[str, ...]:
    fixed = one.fixed()
    ends = users_until_shown(one, fixed, bench.size.bad, np.random.default_rng((bench.size.seed, hash_of(name))))
    told = np.minimum(ends, LONGEST * fixed)
    late = float(np.quantile(told, 0.9)) / fixed
    return (
        number(round(fixed)),
        number(round(float(told.mean()))),
        f"{told.mean() / fixed:.2f}",
        f"{late:.2f} × fixed",
        with_bounds(len(ends), int(np.isfinite(ends).sum())),
    )


def _untrue(bench: Bench, name: str, one: Experiment, length: Experiment) -> str:
    runs = max(bench.size.fine, 1000)
    ends = users_until_shown(one, length.fixed(), runs, np.random.default_rng((bench.size.seed, hash_of(name))))
    return with_bounds(runs, int(np.isfinite(ends).sum()))


def hash_of(name: str) -> int:
    """The same in every process, other than hash()."""
    return sum(number * letter for number, letter in enumerate(name.encode(), 1))


def users_until_shown(one: Experiment, fixed: float, runs: int, random: np.random.Generator) -> Floats:
    """The users of both versions until the goal is shown; infinite where it never is. A row per run."""
    ticks, each = TICKS_OF_FIXED * LONGEST, fixed / TICKS_OF_FIXED / 2
    ends = np.full(runs, math.inf)
    for run in range(runs):
        users = random.poisson(each, (2, ticks)).astype(float)
        shares = np.array([[(1 + one.lift) * one.usual], [one.usual]])
        lost = users - random.binomial(users.astype(int), shares)
        counts = Counts(lost[0], users[0], lost[1], users[1])
        past = 10 * each  # what the history of stable says
        events, requests, _ = Baseline((1 - one.usual) * past, past).before_each(lost[1], users[1], decay(TICK))
        wealth = np.logaddexp.reduce(shown(counts, rate(events, requests), one.bound).cumsum(axis=0) + BETS, axis=1)
        over = np.flatnonzero(wealth >= math.log(1 / ALPHA))
        if over.size:
            ends[run] = users[:, : over[0] + 1].sum()
    return ends
