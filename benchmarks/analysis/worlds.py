"""Simulated counts of requests and errors: a candidate beside stable, under clean, shared and private noise.

Everything is drawn from the generator that is passed in, many runs at a time: arrays are (runs, ticks) or, where pods
are simulated one by one, (runs, ticks, pods).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.signal import lfilter

from benchmarks.analysis.trials import Counts, Floats, Ints, Margin, Pods

TICK = 10.0
"""Seconds between scrapes."""
TICKS = 360
"""One hour."""
HISTORY_TICKS = 360
"""One hour of stable before the release."""
PODS = 20
"""One of them is the candidate's when pods are simulated one by one: 5 % of the traffic."""


@dataclass(frozen=True, slots=True)
class Service:
    """Errors per request of stable, requests per second of both arms together."""

    baseline: float
    rps: float

    def __str__(self) -> str:
        return f"{100 * self.baseline:g}%/{self.rps:.0f}"


SERVICES = tuple(Service(p, rps) for p in (0.001, 0.01) for rps in (50.0, 500.0, 5000.0))
"""The six cells of the tables: errors 0.1 % and 1 %, 50 to 5,000 requests per second."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What the candidate adds: its rate is ratio · stable + plus, from tick `onset` on."""

    ratio: float = 1.0
    plus: float = 0.0
    onset: int = 0

    def rate(self, stable: Floats) -> Floats:
        """Per tick, from stable's rate per tick (…, ticks)."""
        worse = self.ratio * stable + self.plus
        return np.where(np.arange(stable.shape[-1]) >= self.onset, worse, stable)

    @property
    def is_none(self) -> bool:
        """The candidate is as good as stable."""
        return self.ratio == 1.0 and self.plus == 0.0


FINE = Effect()


def weights(*shares: float, ticks: int = TICKS) -> Floats:
    """The candidate's share of the traffic per tick: steps of equal length."""
    return np.repeat(np.asarray(shares), ticks // len(shares))


def step_starts(share: Floats) -> tuple[int, ...]:
    """The ticks at which a share begins, 0 first."""
    return (0, *(int(tick) + 1 for tick in np.flatnonzero(np.diff(share))))


def clean(
    rng: Generator,
    runs: int,
    service: Service,
    effect: Effect = FINE,
    share: Floats | None = None,
    drift: Floats | None = None,
    tolerance: Margin | None = None,
) -> Counts:
    """Poisson requests, independent errors. drift: factors (ticks,) on both arms' error rates."""
    share = weights(0.05) if share is None else share
    stable_rate = service.baseline * (np.ones(len(share)) if drift is None else drift)
    candidate_rate = np.minimum(effect.rate(stable_rate), 1.0)
    n_candidate = rng.poisson(share * service.rps * TICK, (runs, len(share)))
    n_stable = rng.poisson((1 - share) * service.rps * TICK, (runs, len(share)))
    history_n = rng.poisson(service.rps * TICK * HISTORY_TICKS, runs)
    return Counts(
        bad_candidate=rng.binomial(n_candidate, candidate_rate),
        bad_stable=rng.binomial(n_stable, stable_rate),
        n_candidate=n_candidate,
        n_stable=n_stable,
        history_bad=rng.binomial(history_n, service.baseline),
        history_n=history_n,
        tolerance=tolerance or Margin(),
        history_ticks=HISTORY_TICKS,
    )


def rising(factor: float, ticks: int = TICKS) -> Floats:
    """A drift that both arms share: from 1 to `factor` over the whole time, evenly."""
    return np.linspace(1.0, factor, ticks)


# Noise. A noise turns the plain rates of pods into counts; shared parts are equal for all pods of a run.

SHARED_SWING = 0.4
"""N1: amplitude of the load's sinusoid."""
SHARED_SPREAD = 0.5
"""N1: standard deviation of the logarithms of load and error intensity, AR(1)."""
SHARED_BURSTS_PER_HOUR = 3.0
SHARED_BURST_FACTOR = 10.0
CORRELATION = 0.9
"""N1, N3: of neighbouring ticks."""
CLUSTER = 5.0
"""N2: mean number of errors that come together."""
PRIVATE_SPREAD = 0.3
"""N3: standard deviation of the logarithm of each pod's error intensity, AR(1)."""
PRIVATE_BURSTS_PER_HOUR = 1.0
PRIVATE_BURST_RATE = 0.05
"""N4: a pod's burst adds 5 percentage points of errors."""
BURST_TICKS = (3, 6)
"""N1, N4: a burst lasts 30 to 60 s."""

Draw = Callable[[Generator, Floats, float], tuple[Ints, Ints]]
"""(generator, error rates (runs, ticks, pods), requests per pod and tick) to (requests, errors) of the same shape."""


def autoregressive(rng: Generator, shape: tuple[int, ...], correlation: float, axis: int = 1) -> Floats:
    """Stationary Gaussian AR(1) with variance 1 along an axis."""
    noise = np.moveaxis(rng.standard_normal(shape), axis, -1)
    noise[..., 1:] *= math.sqrt(1 - correlation**2)
    return np.moveaxis(np.asarray(lfilter([1.0], [1.0, -correlation], noise, axis=-1)), -1, axis)


def bursts(rng: Generator, shape: tuple[int, ...], per_hour: float, ticks: tuple[int, int] = BURST_TICKS) -> Floats:
    """1 during bursts and 0 otherwise; shape (runs, ticks, pods). Starts are Poisson, lengths uniform."""
    active = np.zeros(shape, dtype=bool)
    starts = np.argwhere(rng.random(shape) < per_hour * TICK / 3600)
    for (run, tick, pod), length in zip(starts, rng.integers(ticks[0], ticks[1] + 1, len(starts)), strict=True):
        active[run, tick : tick + length, pod] = True
    return active.astype(np.float64)


def n0_clean(rng: Generator, rates: Floats, load: float) -> tuple[Ints, Ints]:
    """Nothing but chance."""
    n = rng.poisson(load, rates.shape)
    return n, rng.binomial(n, np.minimum(rates, 1.0))


def n1_shared(rng: Generator, rates: Floats, load: float) -> tuple[Ints, Ints]:
    """Load and errors move, for all pods alike: a wave, AR(1), and bursts of errors."""
    runs, ticks, _ = rates.shape
    phase = rng.random((runs, 1, 1)) * 2 * np.pi
    wave = 1 + SHARED_SWING * np.sin(2 * np.pi * np.arange(ticks)[None, :, None] * TICK / 3600 + phase)
    traffic = wave * _lognormal(rng, (runs, ticks, 1), SHARED_SPREAD)
    errors = _lognormal(rng, (runs, ticks, 1), SHARED_SPREAD)
    errors *= 1 + (SHARED_BURST_FACTOR - 1) * bursts(rng, (runs, ticks, 1), SHARED_BURSTS_PER_HOUR)
    n = rng.poisson(np.broadcast_to(load * traffic, rates.shape))
    return n, rng.binomial(n, np.minimum(rates * errors, 1.0))


def n2_clusters(rng: Generator, rates: Floats, load: float) -> tuple[Ints, Ints]:
    """Errors come in geometric clusters of one pod and tick."""
    n = rng.poisson(load, rates.shape)
    clusters = rng.poisson(np.minimum(rates, 1.0) * n / CLUSTER)
    more = rng.negative_binomial(np.maximum(clusters, 1), 1 / CLUSTER)
    return n, np.minimum(np.where(clusters > 0, clusters + more, 0), n)


def n3_private_drift(rng: Generator, rates: Floats, load: float) -> tuple[Ints, Ints]:
    """Each pod's error intensity wanders by itself."""
    return n0_clean(rng, rates * _lognormal(rng, rates.shape, PRIVATE_SPREAD), load)


def n4_private_bursts(rng: Generator, rates: Floats, load: float) -> tuple[Ints, Ints]:
    """Each pod has about one burst of errors per hour by itself."""
    return n0_clean(rng, rates + PRIVATE_BURST_RATE * bursts(rng, rates.shape, PRIVATE_BURSTS_PER_HOUR), load)


def _lognormal(rng: Generator, shape: tuple[int, ...], spread: float) -> Floats:
    """Factors of mean 1 with AR(1) logarithms along ticks."""
    return np.exp(spread * autoregressive(rng, shape, CORRELATION) - spread**2 / 2)


NOISES: dict[str, Draw] = {
    "N0": n0_clean,
    "N1": n1_shared,
    "N2": n2_clusters,
    "N3": n3_private_drift,
    "N4": n4_private_bursts,
}


def noisy(rng: Generator, runs: int, service: Service, noise: Draw, effect: Effect = FINE, pods: int = PODS) -> Counts:
    """One candidate pod beside pods − 1 stable ones of equal load, after HISTORY_TICKS of stable pods alone."""
    load = service.rps * TICK / pods
    rates = np.full((runs, TICKS, pods), service.baseline)
    rates[:, :, 0] = effect.rate(rates[:, :, 0])
    n, bad = noise(rng, rates, load)
    history_n, history_bad = noise(rng, np.full((runs, HISTORY_TICKS, pods - 1), service.baseline), load)
    return with_pods(
        Pods(
            bad_candidate=bad[:, :, :1],
            bad_stable=bad[:, :, 1:],
            n_candidate=n[:, :, :1],
            n_stable=n[:, :, 1:],
            history_bad=history_bad,
            history_n=history_n,
        )
    )


def with_pods(pods: Pods) -> Counts:
    """The counts of the arms, with those of the pods that make them up."""
    return Counts(
        bad_candidate=pods.bad_candidate.sum(axis=2),
        bad_stable=pods.bad_stable.sum(axis=2),
        n_candidate=pods.n_candidate.sum(axis=2),
        n_stable=pods.n_stable.sum(axis=2),
        history_bad=pods.history_bad.sum(axis=(1, 2)),
        history_n=pods.history_n.sum(axis=(1, 2)),
        history_ticks=HISTORY_TICKS,
        pods=pods,
    )


def with_margins(counts: Counts, tolerance: Margin, exclude: Margin) -> Counts:
    """The same counts, judged by other margins."""
    return replace(counts, tolerance=tolerance, exclude=exclude)
