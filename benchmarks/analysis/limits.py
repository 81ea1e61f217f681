"""The physical limit: no valid rule is faster on average, however clever (Wald's inequality for any stopping rule).

E[τ] ≥ ln(1/α) / K, with K the least Kullback-Leibler rate, in nats per second, over the hypotheses that must not be
rejected. With a horizon T and power π: E[min(τ, T)]·K ≥ kl(π, α).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import xlogy

from benchmarks.analysis.trials import Floats, Margin


def kl(p: float, q: float) -> float:
    """Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q), nats."""
    return float(xlogy(p, p) - xlogy(p, q) + xlogy(1 - p, 1 - p) - xlogy(1 - p, 1 - q))


def poisson_kl(p: float, q: float) -> float:
    """Kullback-Leibler divergence of Poisson(p) from Poisson(q), nats."""
    return float(xlogy(p, p) - xlogy(p, q) - p + q)


def seconds(rate: float, alpha: float = 0.01, power: float = 1.0) -> float:
    """The least mean time, in the unit of `rate` (nats per unit); infinite when nothing separates the hypotheses.

    With power < 1 the bound is on the mean of min(time, horizon).
    """
    if rate <= 0:
        return math.inf
    return (math.log(1 / alpha) if power >= 1 else max(kl(power, alpha), 0.0)) / rate


def ceiling(rate: float, horizon: float, alpha: float = 0.01) -> float:
    """The greatest power that any valid rule can have within the horizon."""
    if kl(1 - 1e-12, alpha) <= rate * horizon:
        return 1.0
    return float(brentq(lambda power: kl(power, alpha) - rate * horizon, alpha, 1 - 1e-12))


def on_boundary(n: tuple[float, float], truth: tuple[float, float], margin: Margin) -> tuple[float, float]:
    """The rates (candidate, stable) with candidate = ρ·stable + δ that are nearest to the truth, as Poisson rates.

    n: traffic of candidate and stable. The root of a quadratic: a derivative of the divergence set to zero.
    """
    (n_c, n_s), (c, s), rho, delta = n, truth, margin.ratio, margin.absolute
    a = n_c * rho**2 + n_s * rho
    b = n_c * rho * (delta - c) + n_s * (delta - rho * s)
    y = (-b + math.sqrt(b * b + 4 * a * n_s * delta * s)) / (2 * a)
    return rho * y + delta, y


def counts(n: tuple[float, float], truth: tuple[float, float], margin: Margin = Margin()) -> float:  # noqa: B008 - frozen
    """K of two streams of events. n: requests per second of candidate and stable; truth: their bad share."""
    null = on_boundary(n, truth, margin)
    return sum(rate * poisson_kl(p, q) for rate, p, q in zip(n, truth, null, strict=True))


def proportions(n: tuple[float, float], truth: tuple[float, float]) -> float:
    """K of two shares against equality; n: trials per unit of time."""
    pooled = (n[0] * truth[0] + n[1] * truth[1]) / (n[0] + n[1])
    return sum(rate * kl(p, pooled) for rate, p in zip(n, truth, strict=True))


def one_sample(n: float, truth: float, limit: float) -> float:
    """K of a share against a fixed limit; n: trials per second."""
    return n * kl(truth, limit)


def paired(n: float, candidate_wrong: float, stable_wrong: float) -> float:
    """K of labelled pairs, of which only the discordant ones tell; n: pairs per second, shares of pairs."""
    discordant = candidate_wrong + stable_wrong
    return n * discordant * kl(candidate_wrong / discordant, 0.5)


def gauge(drop: float, long_run_variance: float, tick: float) -> float:
    """K per second of a mean shift; the variance is that of the difference per tick, times the sum of correlations."""
    return drop**2 / (2 * long_run_variance) / tick


def latency(n: tuple[float, float], candidate: Floats, stable: Floats) -> float:
    """An upper bound on K of two bucket distributions (so the limit is valid and loose); n: requests per second."""
    pooled = (n[0] * candidate + n[1] * stable) / (n[0] + n[1])
    return float(
        sum(
            rate * np.sum(xlogy(q, q) - xlogy(q, np.where(q > 0, pooled, 1.0)))
            for rate, q in zip(n, (candidate, stable), strict=True)
        )
    )


def linear(n: Sequence[float], truth: Sequence[float], weights: Sequence[float], bound: float) -> float:
    """K of several shares against weights·θ ≤ bound, where the truth lies beyond it; n: trials per second."""
    null = linear_projection(np.asarray(n, float), np.asarray(truth, float), np.asarray(weights, float), bound)
    return sum(rate * kl(p, float(q)) for rate, p, q in zip(n, truth, null, strict=True))


def linear_projection(n: Floats, truth: Floats, weights: Floats, bound: float) -> Floats:
    """The shares θ nearest to the truth with weights·θ = bound: one quadratic per stream for a multiplier μ ≥ 0."""

    def at(mu: float) -> Floats:
        # n(θ − p) + μ·a·θ(1 − θ) = 0, written so that small a does not cancel: θ = 2np / (b + √(b² − 4·(−μa)·(−np)))
        b = n + mu * weights
        root = np.sqrt(np.maximum(b * b - 4 * mu * weights * n * truth, 0.0))
        return np.clip(2 * n * truth / (b + root), 1e-12, 1 - 1e-12)

    def excess(mu: float) -> float:
        return float(weights @ at(mu) - bound)

    if excess(0.0) <= 0:
        return truth
    upper = 1.0
    while excess(upper) > 0:
        upper *= 2
    return at(float(brentq(excess, 0.0, upper)))


def excess_failures(rate: float, n_candidate: float, truth: tuple[float, float], alpha: float = 0.01) -> float:
    """Failed requests beyond stable's share that the fastest rule still costs."""
    return n_candidate * (truth[0] - truth[1]) * seconds(rate, alpha)
