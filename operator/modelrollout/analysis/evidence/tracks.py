"""One bound that a candidate is held against: the wealth against it, and the mirrored one that lets a step end. Pure.

`harm` grows as the candidate shows to be worse than the bound, over the whole rollout. `good` grows as it shows to be
better than what would be unacceptable, anew at every step: what was ruled out at 5 % may be true at 50 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.sequential.wealth import Path, Wealth, carried, grown

Floats = npt.NDArray[np.float64]

Keep = Callable[[int], Ledger]
"""The ledger of a metric after so many of its new ticks."""

STEP_NAMES = frozenset({"totals", "mine", "theirs", "shown", "step", "seconds"})
STEP_ENDINGS = (".good", ".step", ".beyond.excess", "/totals")
"""Names in a ledger, and their ends, of what belongs to the present step alone."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a bound is called, and what would be unacceptable: for people."""

    bound: str
    unacceptable: str


@dataclass(frozen=True, slots=True)
class Track:
    """The paths of a bound's two wealths over the new ticks, in natural logarithms.

    `joint`: whether `harm` may be averaged with that of others (exact tests may; what rests on a limit theorem, or
    knows less than the others, has a share of the error rate to itself). `share`: of the even share, what it keeps.
    """

    name: str
    words: Words
    harm: Floats  # ticks; empty where there is nothing new
    before: float  # ln of the harm wealth before them
    good: float  # the most that the mirrored wealth has been at this step
    is_kept: bool  # by what is estimated now
    joint: bool = True
    share: float = 1.0
    threshold: float | None = None  # ln, where it is lower than 1/α by calibration
    harm_drift: float = 0.0  # by which ln harm is expected to grow with every further sample, as things are
    good_drift: float = 0.0

    @property
    def highest(self) -> float:
        return max(self.before, float(self.harm.max(initial=-math.inf)))


@dataclass(frozen=True, slots=True)
class Tested:
    """The tracks of some bounds, what of them cannot be tested, and how to keep their state."""

    tracks: tuple[Track, ...]
    keep: Keep
    unseen: tuple[str, ...] = ()


def keep_all(keepers: Sequence[Keep]) -> Keep:
    """One keeper for several, whose names differ."""

    def keep(ticks: int) -> Ledger:
        return {name: kept for one in keepers for name, kept in one(ticks).items()}

    return keep


def merge_harm(joint: Sequence[tuple[int, Track]], logs: Sequence[float]) -> Floats:
    """ln of the weighted mean of several harm wealths, after each tick at which all of them are known.

    `joint`: tracks, and the tick that each begins at; `logs`: of their shares. One that ends earlier stays where it is.
    What a wealth was before another began must not be added to what that one is now: the two were never there together.
    """
    first = max(begins for begins, _ in joint)
    paths = []
    for (begins, track), log in zip(joint, logs, strict=True):
        path = np.append(track.before, track.harm)
        paths.append(path[min(first - begins, len(path) - 1) :] + log)
    longest = max(map(len, paths))
    rows = [np.append(path, np.full(longest - len(path), path[-1])) for path in paths]
    return np.asarray(np.logaddexp.reduce(rows, axis=0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Wealths:
    """A harm path and its mirrored pieces, one for each step that the new ticks belong to; and how to keep them."""

    name: str
    harm: Path
    pieces: tuple[tuple[int, Path, float], ...]  # the first tick of the piece, its path, the highest before it

    @property
    def good(self) -> float:
        _, path, highest = self.pieces[-1]
        return max(highest, float(path.log.max(initial=-math.inf)))

    def ledger(self, ticks: int) -> dict[str, Floats]:
        """What has to be kept to go on after so many of the ticks."""
        harm = self.harm.after(ticks)
        first, path, highest = [piece for piece in self.pieces if piece[0] <= ticks][-1]
        good = path.after(ticks - first)
        return {
            f"{self.name}.harm": np.append(harm.bets, harm.cash),
            f"{self.name}.good": np.append(
                good.bets, max(highest, float(path.log[: ticks - first].max(initial=-math.inf)))
            ),
        }


def bet(
    name: str,
    harm: Floats,
    harm_weights: Floats,
    good: Floats,
    good_weights: Floats,
    *,
    restarts: Floats,
    beginnings: Sequence[int],
    ledger: Ledger,
) -> Wealths:
    """Both wealths over the new ticks. `harm`, `good`: ln factors, ticks × bets; weights: their ln shares."""
    ticks = len(harm)
    known = _kept_wealth(ledger.get(f"{name}.harm"), harm.shape[1])
    path = grown(known, harm, restarts, harm_weights)
    kept = ledger.get(f"{name}.good")
    pieces = []
    for first, end in _pieces(beginnings, ticks):
        is_new = first in beginnings or kept is None or kept.size != good.shape[1] + 1
        begun = Wealth(good_weights, 0.0) if is_new or kept is None else Wealth(kept[:-1], 0.0)
        highest = 0.0 if is_new or kept is None else float(kept[-1])
        piece = carried(begun, good[first:end])
        pieces.append((first, piece, highest))
    return Wealths(name, path, tuple(pieces))


def carry_over(ledger: Ledger, beginnings: Sequence[int], ticks: int) -> Ledger:
    """What is kept of a ledger over ticks in which nothing is compared: while stable cannot be seen, or at 100 %."""
    return ledger if all(at > ticks for at in beginnings) else without_step(ledger)


def without_step(ledger: Ledger) -> dict[str, Floats]:
    """What of a ledger outlasts a step: not what was counted at that step, nor what would let another one end."""
    return {name: kept for name, kept in ledger.items() if name not in STEP_NAMES and not name.endswith(STEP_ENDINGS)}


def _pieces(beginnings: Sequence[int], ticks: int) -> list[tuple[int, int]]:
    """The stretches of ticks that belong to one step; an empty one where a step has begun and has none yet."""
    bounds = [0, *(at for at in beginnings if at > 0), ticks]
    return [(first, max(end, first)) for first, end in pairwise(bounds)]


def _kept_wealth(kept: Floats | None, bets: int) -> Wealth:
    if kept is None or kept.size != bets + 1:
        return Wealth.untouched(bets)
    return Wealth(kept[:-1], float(kept[-1]))
