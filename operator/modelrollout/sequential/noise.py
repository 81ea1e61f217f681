"""Noise of single pods, from the history of stable's pods, and the test that it calls for. Pure.

The exact tests hold for requests that fail independently. Bursts, clusters and drifts of single pods break that
assumption, and with it every test that counts events: in simulations 2–54 % of equal candidates were rolled back at a
declared 1 % (statistics: 3.3). So before the first tick the dispersion of stable's pods and the memory of their ranks
decide how events are counted, once for the whole rollout (statistics: 2.7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from modelrollout.sequential.ranks import FEWEST_PODS

Floats = npt.NDArray[np.float64]

BLOCKS = (60.0, 300.0)
"""Seconds of a block in which dispersion is measured; statistics: 2.7 (histories are too coarse for its 10 s)."""
CALM_DISPERSION = 1.10
"""Up to this dispersion requests are taken to fail independently."""
SURE_DEVIATIONS = 2.5
"""Standard deviations by which dispersion has to exceed chance: several blocks and tails are tested."""
FORGETFUL_CORRELATION = 0.05
"""Up to this correlation of pods' ranks from block to block, blocks are taken as independent."""
INFLATION = 1.5
"""Safety factor on the dispersion, which is only an estimate."""
SHARE_IN_NOISE = 0.5
"""Fraction of its share of the error rate that a test may use where pods are noisy: the models are rougher there."""
FEWEST_EVENTS = 20.0
"""With fewer bad events in the whole history, dispersion cannot be told from chance."""
FEWEST_BLOCKS = 20


class Mode(StrEnum):
    """How events are counted."""

    PLAIN = "Plain"  # requests fail independently
    RANKED = "Ranked"  # by pods' ranks: for bursts and clusters, with many pods
    DISPERSED = "Dispersed"  # discounted: for drifts, or with few pods
    STRICT = "Strict"  # both DISPERSED and RANKED must agree
    ASSUMED = "Assumed"  # as PLAIN, without a history


@dataclass(frozen=True, slots=True)
class Noise:
    """Statistics of a history. `dispersion`: variance over that of independent requests. `memory`: of ranks, lag 1."""

    dispersion: float
    memory: float
    pods: int
    seconds: float  # of history


@dataclass(frozen=True, slots=True)
class History:
    """The counts of stable's pods in blocks of `block` seconds: arrays pods × blocks."""

    bad: Floats
    total: Floats
    block: float


def measure_noise(history: History) -> Noise | None:
    """The noise of stable's pods; None when the history is too short or too quiet to tell."""
    blocks = history.bad.shape[1]
    busy = history.total.sum(axis=1) > 0
    seconds = blocks * history.block
    if busy.sum() < 2 or blocks < FEWEST_BLOCKS or history.bad.sum() < FEWEST_EVENTS:
        return None
    bad, total = history.bad[busy], history.total[busy]
    found = [_dispersion(*_merged(bad, total, round(length / history.block))) for length in BLOCKS]
    return Noise(max(_beyond_chance(*one) for one in found), _memory(bad, total), int(busy.sum()), seconds)


def choose_mode(noise: Noise | None, wish: str = "auto") -> Mode:
    """How events are counted. `wish`: auto, independent (the user vouches for it) or strict."""
    if wish == "independent":
        return Mode.PLAIN
    if wish == "strict":
        return Mode.STRICT
    if noise is None:
        return Mode.ASSUMED
    if noise.dispersion <= CALM_DISPERSION:
        return Mode.PLAIN
    return Mode.RANKED if noise.memory <= FORGETFUL_CORRELATION and noise.pods >= FEWEST_PODS else Mode.DISPERSED


def _merged(bad: Floats, total: Floats, times: int) -> tuple[Floats, Floats]:
    """Counts in longer blocks, each of so many short ones."""
    times = max(times, 1)
    whole = bad.shape[1] // times * times
    first, second = (part[:, :whole].reshape(part.shape[0], -1, times).sum(axis=2) for part in (bad, total))
    return first, second


def _beyond_chance(dispersion: float, freedom: float) -> float:
    """The dispersion if it exceeds chance, else 1; with few pods and long blocks chance is large."""
    return dispersion if dispersion > 1 + SURE_DEVIATIONS * math.sqrt(2 / max(freedom, 1.0)) else 1.0


def _dispersion(bad: Floats, total: Floats) -> tuple[float, float]:
    """Pearson's χ² over its degrees of freedom, and those. A block's rate is of all pods, so common waves cancel."""
    everywhere = total.sum(axis=0)
    rate = np.divide(bad.sum(axis=0), everywhere, out=np.zeros_like(everywhere), where=everywhere > 0)
    expected = total * rate
    counted = (expected > 0) & (rate < 1)
    columns = counted.any(axis=0)
    freedom = counted.sum() - columns.sum()
    if freedom <= 0:
        return 1.0, 0.0
    spread = np.divide((bad - expected) ** 2, expected * (1 - rate), out=np.zeros_like(expected), where=counted)
    return float(spread.sum() / freedom), float(freedom)


def _memory(bad: Floats, total: Floats) -> float:
    """Correlation of pods' ranks in neighbouring blocks."""
    rates = np.divide(bad, total, out=np.full_like(bad, np.nan), where=total > 0)
    whole = ~np.isnan(rates).any(axis=0)
    ranks = _ranks(rates[:, whole])
    if ranks.shape[1] < FEWEST_BLOCKS:
        return 0.0
    centred = ranks - ranks.mean(axis=0)
    squares = float((centred**2).sum())
    if squares <= 0:
        return 0.0
    return float((centred[:, 1:] * centred[:, :-1]).sum() / squares * ranks.shape[1] / (ranks.shape[1] - 1))


def _ranks(rates: Floats) -> Floats:
    """Each pod's rank in its block, ties in the middle."""
    below = (rates[:, None, :] > rates[None, :, :]).sum(axis=1)
    equal = (rates[:, None, :] == rates[None, :, :]).sum(axis=1)
    return np.asarray(below + (equal - 1) / 2, dtype=np.float64)


def noisiest(found: Sequence[Noise | None]) -> Noise | None:
    """The noisiest of several, such as tails beyond several edges."""
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: one.dispersion) if known else None
