"""How noisy pods are by themselves, from the history of stable's pods, and which test that asks for. Pure.

The exact tests hold for requests that fail one by one. Bursts, clusters and drifts of single pods break that, and no
test that counts events survives them untold: in simulations 2–54 % of equal candidates were taken back at a declared 1
% (statistics: 3.3). So before the first tick the dispersion of stable's pods and the memory of their ranks decide how
events are counted, once and for the whole rollout (statistics: 2.7).
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
"""Seconds over which dispersion is looked for; statistics: 2.7 (its 10 s are finer than histories are read here)."""
CALM_DISPERSION = 1.10
"""Dispersion up to which requests are taken to fail one by one."""
SURE_DEVIATIONS = 2.5
"""Standard deviations that dispersion has to lie beyond chance: several blocks and tails are looked at."""
FORGETFUL_CORRELATION = 0.05
"""Correlation of pods' ranks from block to block up to which blocks are taken to be independent."""
INFLATION = 1.5
"""By so much the estimated dispersion is multiplied: it is an estimate."""
HALVED = 0.5
"""What a test keeps of its share of the error rate where noise was found: the models are rougher there."""
FEWEST_EVENTS = 20.0
"""Bad events in the whole history below which dispersion cannot be told from chance."""
FEWEST_BLOCKS = 20


class Mode(StrEnum):
    """How events are counted."""

    PLAIN = "Plain"  # one by one
    RANKED = "Ranked"  # pods' ranks: bursts and clusters, many pods
    DISPERSED = "Dispersed"  # fewer events than were counted: drifts, few pods
    STRICT = "Strict"  # dispersed and ranked must both agree
    ASSUMED = "Assumed"  # as plain, for want of a history


@dataclass(frozen=True, slots=True)
class Noise:
    """What the history shows. `dispersion`: variance over that of independent requests; `memory`: of ranks, lag 1."""

    dispersion: float
    memory: float
    pods: int
    seconds: float  # of history


@dataclass(frozen=True, slots=True)
class History:
    """What stable's pods counted in blocks of `block` seconds: arrays pods × blocks."""

    bad: Floats
    total: Floats
    block: float


def measured(history: History) -> Noise | None:
    """The noise of stable's pods; None when the history is too short or too quiet to tell."""
    blocks = history.bad.shape[1]
    busy = history.total.sum(axis=1) > 0
    seconds = blocks * history.block
    if busy.sum() < 2 or blocks < FEWEST_BLOCKS or history.bad.sum() < FEWEST_EVENTS:
        return None
    bad, total = history.bad[busy], history.total[busy]
    found = [_dispersion(*_merged(bad, total, round(length / history.block))) for length in BLOCKS]
    return Noise(max(_beyond_chance(*one) for one in found), _memory(bad, total), int(busy.sum()), seconds)


def mode(noise: Noise | None, wish: str = "auto") -> Mode:
    """How events shall be counted. `wish`: auto, independent (as the user vouches) or strict."""
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
    """Longer blocks, each of so many."""
    times = max(times, 1)
    whole = bad.shape[1] // times * times
    first, second = (part[:, :whole].reshape(part.shape[0], -1, times).sum(axis=2) for part in (bad, total))
    return first, second


def _beyond_chance(dispersion: float, freedom: float) -> float:
    """The dispersion, where chance alone does not show as much; few pods and long blocks tell little."""
    return dispersion if dispersion > 1 + SURE_DEVIATIONS * math.sqrt(2 / max(freedom, 1.0)) else 1.0


def _dispersion(bad: Floats, total: Floats) -> tuple[float, float]:
    """Pearson's χ² over its degrees of freedom, and those; each block's rate from all pods: shared waves cancel."""
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
    """The noisier of several, as of a tail beyond one edge and another."""
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: one.dispersion) if known else None
