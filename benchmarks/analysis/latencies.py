"""Simulated latency: a lognormal service, ways to be slower, and the buckets of classic and native histograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import ndtr, ndtri

from benchmarks.analysis.trials import Floats, Histograms
from benchmarks.analysis.worlds import HISTORY_TICKS, TICK, TICKS, autoregressive

MEDIAN = 0.050
"""Seconds."""
SPREAD = 0.6
"""Standard deviation of the logarithm; p99 is 202 ms."""
CLASSIC = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, np.inf])
"""Default buckets of Prometheus client libraries, seconds."""
NATIVE = np.append(2.0 ** (np.arange(-60, 9) / 8), np.inf)
"""Upper edges of native histograms of schema 3 (growth 2^(1/8)) from 5.5 ms to 2 s."""
SHARE = 0.05
"""Of the traffic, to the candidate."""

Survival = Callable[[Floats], Floats]
"""Seconds to the share of requests that take longer."""


def plain(seconds: Floats) -> Floats:
    """The share of stable's requests that take longer."""
    with np.errstate(divide="ignore"):
        return np.asarray(ndtr(-np.log(seconds / MEDIAN) / SPREAD), dtype=np.float64)


def quantile(q: float) -> float:
    """Seconds within which a share q of stable's requests is answered."""
    return MEDIAN * math.exp(SPREAD * float(ndtri(q)))


def scaled(factor: float) -> Survival:
    """Every request takes `factor` times as long."""
    return lambda seconds: plain(np.asarray(seconds / factor))


def slow_tail(factor: float, beyond: float = 0.97) -> Survival:
    """Only requests beyond that quantile take longer, `factor` times as long; so p99 grows by the same factor."""
    from_here = quantile(beyond)

    def survival(seconds: Floats) -> Floats:
        tail = plain(np.maximum(seconds / factor, from_here))
        return np.asarray(np.where(seconds <= from_here, plain(seconds), tail))

    return survival


def hanging(share: float, delay: float) -> Survival:
    """A share of the requests takes `delay` seconds longer."""

    def survival(seconds: Floats) -> Floats:
        return np.asarray((1 - share) * plain(seconds) + share * plain(np.maximum(seconds - delay, 1e-12)))

    return survival


@dataclass(frozen=True, slots=True)
class Slower:
    """A named way for the candidate to be slower."""

    name: str
    survival: Survival


SAME = Slower("A/A", plain)
SLOWER = (
    Slower("p99 +20 % (tail beyond q97)", slow_tail(1.2)),
    Slower("p99 +50 %", slow_tail(1.5)),
    Slower("p99 +100 %", slow_tail(2.0)),
    Slower("all ×1.05", scaled(1.05)),
    Slower("all ×1.10", scaled(1.10)),
    Slower("all ×1.25", scaled(1.25)),
    Slower("1 % of requests +500 ms", hanging(0.01, 0.5)),
)


def shares(survival: Survival, edges: Floats) -> Floats:
    """The share of requests in each bucket."""
    beyond = np.concatenate([[1.0], survival(edges[:-1]), [0.0]])
    return np.asarray(np.maximum(beyond[:-1] - beyond[1:], 0.0))


def histograms(
    rng: Generator, runs: int, rps: float, slower: Slower, edges: Floats, ticks: int = TICKS, share: float = SHARE
) -> Histograms:
    """Poisson requests with independent latencies; history is an hour of stable."""
    stable, candidate = shares(plain, edges), shares(slower.survival, edges)
    shape = (runs, ticks, len(edges))
    return Histograms(
        candidate=rng.poisson(share * rps * TICK * candidate, shape),
        stable=rng.poisson((1 - share) * rps * TICK * stable, shape),
        edges=edges,
        history=rng.poisson(rps * TICK * HISTORY_TICKS * stable, (runs, len(edges))),
        native=edges is NATIVE,
    )


DRIFT_SWING = 0.3
"""Amplitude of the wave that both arms' latencies share."""
DRIFT_SPREAD = 0.1
"""Standard deviation of the logarithm of its AR(1) part."""


def drifting(rng: Generator, runs: int, rps: float, factor: float, edges: Floats, ticks: int = TICKS) -> Histograms:
    """Both arms' latencies move together, a wave and AR(1); the candidate takes `factor` times as long."""
    phase = rng.random((runs, 1)) * 2 * np.pi
    wave = 1 + DRIFT_SWING * np.sin(2 * np.pi * np.arange(ticks)[None, :] * TICK / 3600 + phase)
    scale = wave * np.exp(DRIFT_SPREAD * autoregressive(rng, (runs, ticks), 0.9))
    arms = []
    for rate, times in ((SHARE * rps, factor), ((1 - SHARE) * rps, 1.0)):
        beyond = plain(edges[None, None, :-1] / (times * scale[:, :, None]))
        ends = np.ones((runs, ticks, 1))
        inside = np.concatenate([ends, beyond, 0 * ends], axis=2)
        arms.append(rng.poisson(rate * TICK * np.maximum(inside[:, :, :-1] - inside[:, :, 1:], 0.0)))
    history = rng.poisson(rps * TICK * HISTORY_TICKS * shares(plain, edges), (runs, len(edges)))
    return Histograms(arms[0], arms[1], edges, history, native=edges is NATIVE)
