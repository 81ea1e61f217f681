"""The study's pre-flight and pod-rank test (2.2, 2.7), transcribed plainly; see reference.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from benchmarks.analysis.trials import Counts, Floats, Ints, Plan, Pods

KAPPA = np.array([1.5, 2.0, 4.0, 8.0, 16.0, 40.0])
BLOCKS = (1, 6, 30)
"""Ticks: 10, 60 and 300 s."""
RANK_BLOCK = 6
CLEAN, UNCORRELATED, SPARE, FEWEST_PODS = 1.10, 0.05, 1.5, 10


def blocks(values: Ints, length: int) -> Ints:
    runs, ticks, pods = values.shape
    return values[:, : ticks // length * length].reshape(runs, -1, length, pods).sum(axis=2)


def dispersion(pods: Pods) -> Floats:
    """φ̂ per run."""
    found = []
    for length in BLOCKS:
        x, n = blocks(pods.history_bad, length), blocks(pods.history_n, length)
        rate = x.sum(axis=2, keepdims=True) / np.maximum(n.sum(axis=2, keepdims=True), 1)
        expected = n * rate
        squares = np.where(expected > 0, (x - expected) ** 2 / np.where(expected > 0, expected, 1), 0)
        informative = (expected > 0).any(axis=2).sum(axis=1) * (x.shape[2] - 1)
        found.append(squares.sum(axis=(1, 2)) / np.maximum(informative, 1))
    return np.max(found, axis=0)


def ranks(values: Floats, rng: np.random.Generator) -> Ints:
    """Along the last axis, ties at random."""
    order = np.lexsort((rng.random(values.shape), values), axis=-1)
    return np.argsort(order, axis=-1)


def persistence(pods: Pods, rng: np.random.Generator) -> Floats:
    """Lag-1 autocorrelation of stable pods' ranks, per run."""
    rate = blocks(pods.history_bad, RANK_BLOCK) / np.maximum(blocks(pods.history_n, RANK_BLOCK), 1)
    centred = ranks(rate, rng) - (rate.shape[2] - 1) / 2
    return (centred[:, 1:] * centred[:, :-1]).mean(axis=(1, 2)) / (centred**2).mean(axis=(1, 2))


def rank_evidence(pods: Pods, ticks: int, rng: np.random.Generator) -> Floats:
    """log E (runs, ticks) of the candidate's first pod among the stable ones."""
    bad = np.concatenate([pods.bad_candidate[:, :, :1], pods.bad_stable], axis=2)
    n = np.concatenate([pods.n_candidate[:, :, :1], pods.n_stable], axis=2)
    rank = ranks(blocks(bad, RANK_BLOCK) / np.maximum(blocks(n, RANK_BLOCK), 1), rng)[:, :, 0, None]
    many = bad.shape[2]
    e = many * (((rank + 1) / many) ** KAPPA - (rank / many) ** KAPPA)
    wealth = np.cumsum(np.log(np.maximum(e, 1e-300)), axis=1)
    after_block = logsumexp(wealth, axis=2) - np.log(len(KAPPA))
    log_e = np.zeros((len(bad), ticks))
    for block in range(after_block.shape[1]):
        log_e[:, (block + 1) * RANK_BLOCK - 1 : (block + 2) * RANK_BLOCK - 1] = after_block[:, block, None]
    return log_e


def by_pods(trial: Counts, plan: Plan, plain: Floats, with_phi: Callable[[Floats], Floats]) -> Floats:
    """The automatic mode; the noisy modes' thresholds of 2/α are half the evidence."""
    assert trial.pods is not None
    rng = np.random.default_rng(7)
    phi, steady = dispersion(trial.pods), persistence(trial.pods, rng) <= UNCORRELATED
    clean = phi <= CLEAN
    ranked = ~clean & steady & (trial.pods.bad_stable.shape[2] >= FEWEST_PODS)
    log_e = with_phi(SPARE * phi)
    log_e = np.where(ranked[:, None], rank_evidence(trial.pods, plan.ticks, rng), log_e)
    return np.where(clean[:, None], plain, log_e - np.log(2))
