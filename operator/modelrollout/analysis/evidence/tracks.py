"""The test of one bound: a harm wealth that leads to rollback, and a good wealth that lets a step end. Pure.

`harm` grows with evidence that the candidate is beyond the bound, over the whole rollout. `good` grows with evidence
that it is better than unacceptable. It starts anew at every step: a regression ruled out at 5 % may be there at 50 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.sequential.wealth import Path, Wealth, carry, grow

Floats = npt.NDArray[np.float64]

Keep = Callable[[int], Ledger]
"""Yields the ledger of a metric after so many of its new ticks."""

STEP_NAMES = frozenset({"totals", "mine", "theirs", "shown", "step", "seconds"})
STEP_ENDINGS = (".good", ".step", ".beyond.excess", "/totals")
"""Names in a ledger, and endings of names, that belong to the current step alone."""


@dataclass(frozen=True, slots=True)
class Words:
    """The bound, and the unacceptable value, in words for people."""

    bound: str
    unacceptable: str


@dataclass(frozen=True, slots=True)
class Track:
    """The paths of a bound's two wealths over the new ticks, in natural logarithms.

    `joint`: whether `harm` may be averaged with that of others. Exact tests may; a test that rests on a limit theorem,
    or that sees less than the others, may not. `share`: the fraction of its even share of the error rate that it uses.
    """

    name: str
    words: Words
    harm: Floats  # one entry per tick
    before: float  # ln of the harm wealth before them
    good: float  # the highest that the good wealth has been at this step
    is_kept: bool  # by the present estimate
    joint: bool = True
    share: float = 1.0
    threshold: float | None = None  # ln, where it is lower than 1/α by calibration
    harm_drift: float = 0.0  # expected growth of ln harm with each further sample
    good_drift: float = 0.0

    @property
    def highest(self) -> float:
        return max(self.before, float(self.harm.max(initial=-math.inf)))


@dataclass(frozen=True, slots=True)
class Tested:
    """The tracks of some bounds, notes on regressions that they cannot detect, and how to keep their state."""

    tracks: tuple[Track, ...]
    keep: Keep
    unseen: tuple[str, ...] = ()


def keep_all(keepers: Sequence[Keep]) -> Keep:
    """One Keep for several; their names in the ledger differ."""

    def keep(ticks: int) -> Ledger:
        return {name: kept for one in keepers for name, kept in one(ticks).items()}

    return keep


def merge_harm(joint: Sequence[tuple[int, Track]], logs: Sequence[float]) -> Floats:
    """ln of the weighted mean of several harm wealths, after each tick at which all of them are known.

    `joint`: tracks, and the tick at which each begins. `logs`: ln of their shares. A path that ends early keeps its
    last value. Values from before another path began are left out: the two wealths never existed at the same time.
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
    """The path of the harm wealth over the new ticks, and those of the good wealth, one piece for each step."""

    name: str
    harm: Path
    pieces: tuple[tuple[int, Path, float], ...]  # first tick of the piece, its path, the highest value before it

    @property
    def good(self) -> float:
        _, path, highest = self.pieces[-1]
        return max(highest, float(path.log.max(initial=-math.inf)))

    def ledger(self, ticks: int) -> dict[str, Floats]:
        """The state from which to go on after so many ticks."""
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
    path = grow(known, harm, restarts, harm_weights)
    kept = ledger.get(f"{name}.good")
    pieces = []
    for first, end in _pieces(beginnings, ticks):
        is_new = first in beginnings or kept is None or kept.size != good.shape[1] + 1
        begun = Wealth(good_weights, 0.0) if is_new or kept is None else Wealth(kept[:-1], 0.0)
        highest = 0.0 if is_new or kept is None else float(kept[-1])
        piece = carry(begun, good[first:end])
        pieces.append((first, piece, highest))
    return Wealths(name, path, tuple(pieces))


def carry_over(ledger: Ledger, beginnings: Sequence[int], ticks: int) -> Ledger:
    """The ledger after ticks in which nothing is compared: while stable cannot be seen, or has no traffic."""
    return ledger if all(at > ticks for at in beginnings) else without_step(ledger)


def without_step(ledger: Ledger) -> dict[str, Floats]:
    """The part of a ledger that outlasts a step: neither its counts nor its good wealths."""
    return {name: kept for name, kept in ledger.items() if name not in STEP_NAMES and not name.endswith(STEP_ENDINGS)}


def _pieces(beginnings: Sequence[int], ticks: int) -> list[tuple[int, int]]:
    """First and end tick of each step's stretch; empty for a step that has begun and has no tick so far."""
    bounds = [0, *(at for at in beginnings if at > 0), ticks]
    return [(first, max(end, first)) for first, end in pairwise(bounds)]


def _kept_wealth(kept: Floats | None, bets: int) -> Wealth:
    if kept is None or kept.size != bets + 1:
        return Wealth.untouched(bets)
    return Wealth(kept[:-1], float(kept[-1]))
