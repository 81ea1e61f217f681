"""ab, of a mean: the same for what users bring, such as revenue, where most bring nothing and a few a lot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from benchmarks.analysis.measure import Bench
from benchmarks.analysis.report import Table, number, with_bounds
from modelrollout.analysis.kinds.mean import FEWEST_USERS
from modelrollout.sequential.gauges import log_wealth

Floats = npt.NDArray[np.float64]
Amounts = Callable[[np.random.Generator, int], Floats]

ALPHA, POWER = 0.05, 0.90
TICKS_OF_FIXED, LONGEST = 150, 3
EQUAL_USERS, EQUAL_TICKS = 100, 300
"""Users of both versions in each tick, and ticks, where both are equal: the first looks are at a few users."""


@dataclass(frozen=True, slots=True)
class Takings:
    """`buying`: share of users who bring anything. `tolerance`: relative; the sizes that are betted on are like it."""

    amounts: Amounts
    buying: float
    lift: float = 0.0
    tolerance: float = 0.1
    part: float = 0.5  # of users, to the candidate

    def brought(self, random: np.random.Generator, users: int, lift: float) -> Floats:
        return (random.random(users) < self.buying) * self.amounts(random, users) * (1 + lift)

    def fixed(self, random: np.random.Generator) -> float:
        """Users of both versions that a one-sided z-test of fixed size takes."""
        seen = self.brought(random, 1_000_000, 0.0)
        quantiles = norm.ppf(1 - ALPHA) + norm.ppf(POWER)
        variance = float(seen.var()) * (1 + (1 + self.lift) ** 2)
        return 2 * variance * quantiles**2 / (self.lift * float(seen.mean())) ** 2


def log_normal(random: np.random.Generator, users: int) -> Floats:
    return np.exp(random.normal(0.0, 1.0, users))


def very_skewed(random: np.random.Generator, users: int) -> Floats:
    return np.exp(random.normal(0.0, 1.5, users))


def heavy(random: np.random.Generator, users: int) -> Floats:
    """Amounts that hardly have a variance."""
    return random.pareto(2.5, users) + 1


FOUND = {
    "all buy, 10 % more": Takings(log_normal, 1.0, 0.10),
    "30 % buy, 15 % more": Takings(log_normal, 0.3, 0.15),
    "5 % buy, 30 % more": Takings(log_normal, 0.05, 0.30),
    "5 % buy, 30 % more, 5 % tolerated": Takings(log_normal, 0.05, 0.30, tolerance=0.05),
}
EQUAL = {
    "30 % buy, log-normal": Takings(log_normal, 0.3),
    "all buy, log-normal of σ = 1.5": Takings(very_skewed, 1.0, tolerance=0.3),
    "log-normal of σ = 1.5, 10 % of users": Takings(very_skewed, 1.0, tolerance=0.3, part=0.1),
    "all buy, Pareto of index 2.5": Takings(heavy, 1.0),
    "Pareto, 10 % of users": Takings(heavy, 1.0, part=0.1),
}


def takings(bench: Bench) -> list[Table]:
    found = tuple((name, *_found(bench, one)) for name, one in FOUND.items())
    equal = tuple((name, _equal(bench, one)) for name, one in EQUAL.items())
    columns = ("more per user", "fixed size (users)", "ours, mean", "ours / fixed", "shown, %")
    return [
        Table("ab: users until a mean is shown to be better", columns, found),
        Table("ab: equal means shown to be better, %", ("truth", "shown"), equal),
    ]


def _found(bench: Bench, one: Takings) -> tuple[str, ...]:
    random = np.random.default_rng((bench.size.seed, 1))
    fixed = one.fixed(random)
    each, ticks = fixed / TICKS_OF_FIXED, TICKS_OF_FIXED * LONGEST
    runs = [users_until_shown(one, each, ticks, random) for _ in range(bench.size.bad)]
    told = np.minimum(runs, LONGEST * fixed)
    shown = with_bounds(len(runs), int(np.isfinite(runs).sum()))
    return number(round(fixed)), number(round(float(told.mean()))), f"{told.mean() / fixed:.2f}", shown


def _equal(bench: Bench, one: Takings) -> str:
    random = np.random.default_rng((bench.size.seed, 2))
    runs = [users_until_shown(one, EQUAL_USERS, EQUAL_TICKS, random) for _ in range(max(bench.size.bad, 1000))]
    return with_bounds(len(runs), int(np.isfinite(runs).sum()))


def users_until_shown(one: Takings, each: float, ticks: int, random: np.random.Generator) -> float:
    """The users of both versions until the candidate's mean is shown to be higher; infinite where it never is."""
    arms = [
        _arm(one.brought(random, int(users.sum()), lift), users)
        for users, lift in (
            (random.poisson(each * one.part, ticks), one.lift),
            (random.poisson(each * (1 - one.part), ticks), 0.0),
        )
    ]
    (mine, own, all_mine), (theirs, others, all_theirs) = arms
    both = np.maximum(own + others, 1)
    weight = own * others / both
    usual = np.divide(theirs, others, out=np.zeros(ticks), where=others > 0)
    excess = weight * (np.divide(mine, own, out=np.zeros(ticks), where=own > 0) - usual)
    variance = (all_mine[0] + all_theirs[0]) / np.maximum(own.cumsum() + others.cumsum() - 2, 1)
    is_enough = (np.minimum(own.cumsum(), others.cumsum()) >= FEWEST_USERS) & (variance > 0)
    known = np.where(is_enough, variance, 1.0)
    scale = one.tolerance * np.maximum(all_theirs[1], 1e-9)
    wealth = np.where(is_enough, log_wealth(excess.cumsum() / known, weight.cumsum() / known, scale), 0.0)
    over = np.flatnonzero(wealth >= math.log(1 / ALPHA))
    return float((own + others)[: over[0] + 1].sum()) if over.size else math.inf


def _arm(brought: Floats, users: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int64], tuple[Floats, Floats]]:
    """Sums and users by tick; squares around the mean, and the mean, of all so far."""
    ends = users.cumsum()
    so_far, squares = (np.append(0.0, amounts.cumsum())[ends] for amounts in (brought, brought**2))
    seen = np.maximum(ends, 1)
    return np.diff(so_far, prepend=0.0), users, (squares - so_far**2 / seen, so_far / seen)
