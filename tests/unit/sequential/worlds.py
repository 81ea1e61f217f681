"""Simulated rollouts: what is counted in each tick, and when the wealth of a test first passes a threshold."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom

from modelrollout.sequential import distributions, proportions
from modelrollout.sequential.distributions import Slower
from modelrollout.sequential.proportions import Baseline, Bound, Counts, Floats
from modelrollout.sequential.wealth import EFFECT_WEIGHTS, Onsets, Path, Wealth, grow, weights

TICK = 10.0
HOUR = 360
"""Ticks."""
ALPHA = 0.01
SURE = math.log(1 / ALPHA)
HARDLY_EVER = 1e-6
"""A test of chance may fail by chance this often: there are a hundred, and each change runs them."""


@contextmanager
def fresh_worlds() -> Iterator[np.random.Generator]:
    """Other worlds in each run, and the seed of those in which something failed."""
    seed = secrets.randbits(32)
    try:
        yield np.random.default_rng(seed)
    except AssertionError as failure:
        failure.add_note(f"seed {seed}")
        raise


def most(runs: int, share: float) -> int:
    """As many of the runs as happen by chance, where each happens with probability `share`."""
    return int(binom.isf(HARDLY_EVER, runs, share))


EQUAL = Bound(1.0)


@dataclass(frozen=True)
class World:
    """An hour of requests, with errors in both arms; arrays: ticks."""

    stable: Floats | float = 0.01
    candidate: Floats | float = 0.01
    weight: Floats | float = 0.05
    rps: Floats | float = 50.0
    bound: Bound = EQUAL
    steps: tuple[float, ...] = ()
    later_steps: int = 0

    def counted(self, drawn: np.random.Generator) -> Counts:
        volume = np.broadcast_to(TICK * np.asarray(self.rps), HOUR)
        mine, theirs = drawn.poisson(volume * self.weight), drawn.poisson(volume * (1 - np.asarray(self.weight)))
        bad_mine, bad_theirs = drawn.binomial(mine, self.candidate), drawn.binomial(theirs, self.stable)
        return Counts(*(part.astype(float) for part in (bad_mine, mine, bad_theirs, theirs)))

    def known(self, drawn: np.random.Generator) -> Baseline:
        """An hour of stable alone, before the rollout."""
        requests = 600 / math.log(2) * float(np.mean(self.rps))
        return Baseline(float(drawn.poisson(requests * float(np.ravel(self.stable)[0]))), requests)

    def restarts(self) -> Floats:
        edges = TICK * np.arange(HOUR + 1)
        return Onsets(0.0, self.later_steps, TICK * HOUR).restarts(edges, self.steps)

    def path(self, drawn: np.random.Generator, restarts: Floats) -> Path:
        seen = self.counted(drawn)
        events, requests, _ = self.known(drawn).before_each(seen.bad_stable, seen.stable, proportions.decay(TICK))
        log_e = proportions.worse(seen, proportions.rate(events, requests), self.bound)
        return grow(Wealth.untouched(EFFECT_WEIGHTS.size), log_e, restarts, weights(EFFECT_WEIGHTS))

    def limit(self) -> float:
        """Seconds that no test can beat on average: ln(1/α) over the information in a second (statistics: 4.1)."""
        mine = float(np.ravel(self.rps)[0]) * float(np.ravel(self.weight)[0])
        theirs = float(np.ravel(self.rps)[0]) - mine
        bad_mine, bad_theirs = mine * float(np.ravel(self.candidate)[-1]), theirs * float(np.ravel(self.stable)[0])
        at, null = bad_mine / (bad_mine + bad_theirs), self.bound.factor * mine / (self.bound.factor * mine + theirs)
        divergence = at * math.log(at / null) + (1 - at) * math.log((1 - at) / (1 - null))
        return SURE / ((bad_mine + bad_theirs) * divergence)


def first(path: Floats, threshold: float = SURE) -> float:
    """Seconds until the path reaches the threshold; infinite where it does not."""
    reached = np.flatnonzero(path >= threshold)
    return TICK * (reached[0] + 1) if reached.size else math.inf


EDGES = np.array([5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]) / 1000
"""Seconds: the default buckets of Prometheus' client for Go."""
MEDIAN, SPREAD = 0.050, 0.6


def lognormal_tails(edges: Floats, factor: float = 1.0) -> Floats:
    """The share beyond each edge, all latencies so many times as long."""
    return np.asarray(ndtr(-(np.log(edges / factor / MEDIAN)) / SPREAD))


def slow_tails(edges: Floats, factor: float) -> Floats:
    """The share beyond each edge where the slowest 3 % take so many times as long."""
    usual = lognormal_tails(edges)
    return np.where(usual < 0.03, np.minimum(lognormal_tails(edges, factor), 0.03), usual)


def hanging_tails(edges: Floats) -> Floats:
    """The share beyond each edge where 1 % of requests take half a second more."""
    later = np.where(edges > 0.5, lognormal_tails(np.maximum(edges - 0.5, 1e-9)), 1.0)
    return np.asarray(0.99 * lognormal_tails(edges) + 0.01 * later)


def slower(
    drawn: np.random.Generator,
    candidate: Floats,
    stable: Floats,
    rps: float,
    restarts: Sequence[float] | Floats,
    ticks: int = HOUR,
) -> Path:
    """The wealth against `the candidate is nowhere slower`, from shares beyond each edge, at 5 % of the requests."""

    def arm(rate: float, tails: Floats) -> tuple[Floats, Floats]:
        total = drawn.poisson(TICK * rate, ticks)
        buckets = drawn.multinomial(total, -np.diff(tails, prepend=1.0, append=0.0))
        return buckets[:, ::-1].cumsum(axis=1)[:, -2::-1].astype(float), total.astype(float)

    seen = Slower(*arm(0.05 * rps, candidate), *arm(0.95 * rps, stable))
    history = drawn.multinomial(int(rps * 600 / math.log(2)), -np.diff(stable, prepend=1.0, append=0.0)).astype(float)
    known = distributions.known_before(history, seen.beyond_stable, seen.stable, proportions.decay(TICK))
    log_e = distributions.slower(seen, known[:-1])
    put_on = np.asarray(restarts)[:ticks]
    return grow(Wealth.untouched(log_e.shape[1]), log_e, put_on, distributions.log_weights(stable.size))
