"""Noise of single pods, from the history of stable's pods, and the test that it calls for. Pure.

The exact tests hold for requests that fail independently. Bursts, clusters and drifts of single pods break that
assumption, and with it every test that counts events: in simulations 2–54 % of equal candidates were rolled back at a
declared 1 % (statistics: 3.3). So before the first tick the dispersion of stable's pods and the memory of their ranks
decide how events are counted, once for the whole rollout (statistics: 2.7). Levels of pods that stay apart for an hour
or longer are taken out before, since these are another matter (`levels`).

Without such a history the same is measured as the rollout goes, on stable's pods alone. Until an hour of them was seen,
their worst is taken to be still to come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from modelrollout.sequential.levels import BY_CHANCE, HOUR, Levels, busiest, measure_levels
from modelrollout.sequential.ranks import FEWEST_PODS

Floats = npt.NDArray[np.float64]

CALM_DISPERSION = 1.10
"""Up to this dispersion requests are taken to fail independently."""
FORGETFUL_CORRELATION = 0.10
"""Up to this correlation of pods' ranks from block to block, blocks are taken as independent. Bursts of a minute have
up to 0.05, drifts over minutes 0.3 where they can be seen; an hour of twenty pods shows it to about 0.03."""
NO_LEVELS = Levels()
INFLATION = 1.5
"""Safety factor on the dispersion, which is only an estimate."""
BLOCKS: Mapping[float, float] = {60.0: 1.0, 300.0: 1.0, 900.0: 1 / INFLATION}
"""Seconds of a block in which dispersion is measured, and the part of it that counts; statistics: 2.7 (histories are
too coarse for its 10 s). What INFLATION is for, blocks that are too short to show it all, is there in the longest."""
SURE_DEVIATIONS = 2.5
"""Standard deviations by which dispersion has to exceed chance: several blocks and tails are tested."""
SHARE_IN_NOISE = 0.5
"""Fraction of its share of the error rate that a test may use where pods are noisy: the models are rougher there."""
FEWEST_EVENTS = 20.0
"""With fewer bad events in the whole history, dispersion cannot be told from chance."""
FEWEST_BLOCKS = 20
TINY = 1e-12
UNKNOWN_DISPERSION = 10.0
"""Of pods of which nothing is known: errors in clusters of five have 9."""
INCIDENTS = 0.02
"""The share of a single pod's largest jumps that are left out: rare ones are taken for what pods would have shared."""
JUMP = 2
"""The differences that show one jump: it may lie in the middle of a block."""
CALM_FREEDOM = 8.0
"""Degrees of freedom of calm pods that are added to what is learned: the first error of a quiet service says little."""
LEARNED_SURELY = 0.05
"""The measured dispersion is taken for an upper bound of this error rate, while it rests on few blocks."""


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
    levels: Levels = NO_LEVELS
    load: float = 0.0  # requests per second of a pod, at which the dispersion was measured
    outlasts: bool = False  # whether the ranks of pods in an hour differ beyond chance
    has_bursts: bool = False  # whether single blocks stand out, though the variance may be within chance

    @property
    def is_calm(self) -> bool:
        """Whether requests may be taken to fail independently."""
        return self.dispersion <= CALM_DISPERSION and not self.has_bursts


@dataclass(frozen=True, slots=True)
class History:
    """The counts of stable's pods in blocks of `block` seconds: arrays pods × blocks."""

    bad: Floats
    total: Floats
    block: float


def measure_noise(history: History) -> Noise | None:
    """The noise of stable's pods; None when the history is too short or too quiet to tell.

    A single pod is compared with itself a moment earlier, so waves that pods would share count as its own.
    """
    blocks = history.bad.shape[1]
    busy = history.total.sum(axis=1) > 0
    if not busy.any() or blocks < FEWEST_BLOCKS or history.bad.sum() < FEWEST_EVENTS:
        return None
    hour = min(round(HOUR / history.block), blocks)
    whole = slice(blocks % hour, None)  # hours that end now
    bad, total = history.bad[busy][:, whole], history.total[busy][:, whole]
    load = float(np.average(busiest(total), weights=total.sum(axis=0))) / history.block
    seconds, pods = blocks * history.block, int(busy.sum())
    if pods == 1:
        found = [
            _in_time(*(_merged(part, round(length / history.block)) for part in (bad, total))) for length in BLOCKS
        ]
        return Noise(_largest(found), 0.0, 1, seconds, load=load)
    expected = _expected(bad, total)
    level = _merged(bad, hour) / np.maximum(_merged(expected, hour), TINY)
    own = expected * np.repeat(level, hour, axis=1)
    found = [_within_hours(bad, total, own, hour, max(round(length / history.block), 1)) for length in BLOCKS]
    has_bursts = _skewness(bad, total, own) > SURE_DEVIATIONS and not _is_too_even(*found[0])
    dispersion = max(_largest(found), found[0][0] if has_bursts else 1.0)
    levels = measure_levels(_merged(bad, hour), _merged(expected, hour), dispersion)
    ranks = _ranks(bad, total)
    return Noise(dispersion, _memory(ranks), pods, seconds, levels, load, _outlasts(ranks, hour), has_bursts)


def choose_mode(noise: Noise | None, wish: str = "auto", *, is_compared: bool = True) -> Mode:
    """How events are counted. `wish`: auto, independent (the user vouches for it) or strict.

    `is_compared`: False for a candidate by itself, which has nobody to be ranked among.
    """
    if wish == "independent":
        return Mode.PLAIN
    if wish == "strict":
        return Mode.STRICT
    if noise is None:
        return Mode.ASSUMED
    if noise.is_calm:
        return Mode.PLAIN
    # Bursts that hardly raise the variance may be chance, and are met by the safety factor: ranks take minutes.
    is_for_ranks = noise.dispersion > CALM_DISPERSION and noise.memory <= FORGETFUL_CORRELATION and not noise.outlasts
    return Mode.RANKED if is_compared and is_for_ranks and noise.pods >= FEWEST_PODS else Mode.DISPERSED


@dataclass(frozen=True, slots=True)
class Learned:
    """Noise as measured so far in a rollout without a history: sum of squares, their freedom, and seconds of it."""

    squares: float = 0.0
    freedom: float = 0.0
    seconds: float = 0.0

    @property
    def dispersion(self) -> float:
        """An upper bound of what was seen, a little drawn to calm pods."""
        if self.freedom < 1:
            return 1.0
        freedom = self.freedom + CALM_FREEDOM
        return max(float((self.squares + CALM_FREEDOM) / chdtri(freedom, 1 - LEARNED_SURELY)), 1.0)

    def after(self, squares: float, freedom: float, seconds: float) -> Learned:
        """With one more block."""
        return Learned(self.squares + squares, self.freedom + freedom, self.seconds + seconds)

    @property
    def feared(self) -> float:
        """The same, and no less than what may still come."""
        unseen = max(1 - self.seconds / HOUR, 0.0)
        return max(self.dispersion, float(UNKNOWN_DISPERSION**unseen))


def learn(bad: Floats, total: Floats) -> tuple[Floats, Floats]:
    """The squares and the freedom of each block but the first, from pods × blocks."""
    if bad.shape[0] == 1:
        return _differences(bad, total)
    squares, counted = _squares(bad, _expected(bad, total), _rate(bad, total))
    return squares.sum(axis=0)[1:], np.maximum(counted.sum(axis=0) - 1.0, 0.0)[1:]


def _merged(values: Floats, times: int) -> Floats:
    """Sums over longer blocks, each of so many short ones."""
    times = max(times, 1)
    whole = values.shape[1] // times * times
    return np.asarray(values[:, :whole].reshape(values.shape[0], -1, times).sum(axis=2), dtype=np.float64)


def _beyond_chance(dispersion: float, freedom: float) -> float:
    """The dispersion if it exceeds chance, else 1; with few pods and long blocks chance is large."""
    return dispersion if dispersion > 1 + SURE_DEVIATIONS * math.sqrt(2 / max(freedom, 1.0)) else 1.0


def _is_too_even(dispersion: float, freedom: float) -> bool:
    """Whether counts differ less than by chance, as failures on schedule do: their third moment says nothing."""
    return dispersion < 1 - SURE_DEVIATIONS * math.sqrt(2 / max(freedom, 1.0))


def _largest(found: Sequence[tuple[float, float]]) -> float:
    """The largest of the dispersions in blocks of each length, as far as they count."""
    parts = BLOCKS.values()
    return max(max(part * _beyond_chance(*one), 1.0) for part, one in zip(parts, found, strict=True))


def _rate(bad: Floats, total: Floats) -> Floats:
    """The share of bad requests of all pods in each block, so that common waves cancel."""
    everywhere = total.sum(axis=0)
    rate: Floats = np.divide(bad.sum(axis=0), everywhere, out=np.zeros_like(everywhere), where=everywhere > 0)
    return rate


def _expected(bad: Floats, total: Floats) -> Floats:
    return np.asarray(total * _rate(bad, total), dtype=np.float64)


def _squares(bad: Floats, expected: Floats, rate: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Pearson's terms of χ², and which of them count."""
    counted = (expected > 0) & (rate < 1)
    squares = np.divide((bad - expected) ** 2, expected * (1 - rate), out=np.zeros_like(expected), where=counted)
    return squares, counted


def _within_hours(bad: Floats, total: Floats, own: Floats, hour: int, times: int) -> tuple[float, float]:
    """χ² of longer blocks over its degrees of freedom, and those. `own`: expected of each pod at its hour's level."""
    times = min(times, hour)
    seen, of, expected = (_merged(part, times) for part in (bad, total, own))
    squares, counted = _squares(seen, expected, _rate(seen, of))
    each = counted.reshape(counted.shape[0], -1, hour // times)
    freedom = counted.sum() - counted.any(axis=0).sum() - np.maximum(each.any(axis=2).sum(axis=0) - 1, 0).sum()
    return (float(squares.sum() / freedom), float(freedom)) if freedom > 0 else (1.0, 0.0)


def _skewness(bad: Floats, total: Floats, own: Floats) -> float:
    """The third moment of single blocks beyond chance, in standard deviations. `own`: as in `_within_hours`.

    Rare bursts raise it long before they raise the variance, and slow drifts hardly do. The polynomial is orthogonal to
    mean and variance (Morris, 1982), for bad requests that are drawn from all pods without replacement.
    """
    rate, everywhere = _rate(bad, total), total.sum(axis=0)
    part = np.divide(total, everywhere, out=np.zeros_like(total), where=everywhere > 0)
    variance, slope = own * (1 - rate) * (1 - part), (1 - 2 * rate) * (1 - 2 * part)
    off = bad - own
    cubes = (off - 2 * slope) * (off**2 - slope * off - variance) - 2 * variance * off
    chance = math.sqrt(6 * float((variance**3).sum()))
    return float(cubes.sum()) / chance if chance > 0 else 0.0


def _in_time(bad: Floats, total: Floats) -> tuple[float, float]:
    """The same of one pod from the differences between neighbouring blocks (von Neumann, 1941)."""
    squares, freedom = _differences(bad, total)
    kept = np.sort(squares[freedom > 0])
    kept = kept[: max(kept.size - max(math.ceil(INCIDENTS * kept.size), JUMP), 0)]
    # Two neighbouring differences have a block in common, so they are worth two thirds of as many independent ones.
    return (float(kept.mean()), kept.size * 2 / 3) if kept.size else (1.0, 0.0)


def _differences(bad: Floats, total: Floats) -> tuple[Floats, Floats]:
    before, after = total[0, :-1], total[0, 1:]
    both = before + after
    rate = np.divide(bad[0, :-1] + bad[0, 1:], both, out=np.zeros_like(both), where=both > 0)
    counted = (before > 0) & (after > 0) & (rate > 0) & (rate < 1)
    off = bad[0, 1:] - after * rate
    chance = np.where(counted, after * before / np.where(both > 0, both, 1.0) * rate * (1 - rate), 1.0)
    return np.where(counted, off**2 / chance, 0.0), counted.astype(np.float64)


def _memory(ranks: Floats) -> float:
    """Correlation of pods' ranks in neighbouring blocks."""
    if ranks.shape[1] < FEWEST_BLOCKS:
        return 0.0
    squares = float((ranks**2).sum())
    if squares <= 0:
        return 0.0
    return float((ranks[:, 1:] * ranks[:, :-1]).sum() / squares * ranks.shape[1] / (ranks.shape[1] - 1))


def _outlasts(ranks: Floats, hour: int) -> bool:
    """Whether some pods rank higher than others for an hour; single bursts hardly move a rank (Friedman, 1937)."""
    pods, hours = ranks.shape[0], max(ranks.shape[1] // hour, 1)
    each = ranks[:, : hours * (ranks.shape[1] // hours)].reshape(pods, hours, -1)
    spread = np.square(each).sum(axis=(0, 2)) / (pods - 1)
    sums = np.square(each.sum(axis=2)).sum(axis=0)
    found = np.divide(sums, spread, out=np.zeros(hours), where=spread > 0)
    return float(found.sum()) > float(chdtri((pods - 1) * hours, BY_CHANCE))


def _ranks(bad: Floats, total: Floats) -> Floats:
    """Each pod's rank in its block, ties in the middle, less the mean; only of blocks in which all had requests."""
    rates = np.divide(bad, total, out=np.full_like(bad, np.nan), where=total > 0)
    rates = rates[:, ~np.isnan(rates).any(axis=0)]
    below = (rates[:, None, :] > rates[None, :, :]).sum(axis=1)
    equal = (rates[:, None, :] == rates[None, :, :]).sum(axis=1)
    ranks = below + (equal - 1) / 2
    return np.asarray(ranks - ranks.mean(axis=0), dtype=np.float64)


def noisiest(found: Sequence[Noise | None]) -> Noise | None:
    """The noisiest of several, such as tails beyond several edges."""
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: (not one.is_calm, one.dispersion)) if known else None
