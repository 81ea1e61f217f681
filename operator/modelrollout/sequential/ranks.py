"""Ranks of the candidate's pods among stable's, block by block: valid under any noise that all pods share. Pure.

In a block of time, the rank of a candidate pod's bad requests among those of J stable pods (ties broken at random) is
uniform on 0..J for equal versions, whatever the noise, if the pods are exchangeable. For κ > 1

    e = (J + 1)·[((r + 1)/(J + 1))^κ − (r/(J + 1))^κ]

is a bet on high ranks; the wealths of several κ are mixed (statistics: 2.2; the idea is conformal martingales, Vovk
1906.09256). A block gains at most ln(J + 1), so the test needs many stable pods, and it is slow. In return bursts,
clusters and drifts of single pods do not mislead it, as they mislead every test that counts events.

Pods have to be made exchangeable first. The rate of a pod with fewer requests is wilder, and a candidate within its
tolerance is worse than stable. So as many requests are drawn from each pod without replacement, and the tolerance is
given to stable's pods: at the edge of `θ_c ≤ ρ·θ_s + δ` the candidate's bad requests, each kept with probability 1/ρ,
and stable's, with a share of δ/ρ added, have the same distribution.

Drawing makes pods alike whose share of errors moves. But it takes clusters of errors apart, so the pods that are not
drawn from are the wilder ones. So pods that have little to do are also put together until they have as much as one of
the other arm, which makes clusters alike. Both readings have to agree.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.sequential.proportions import Bound

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

POWERS: Floats = np.array([1.5, 2.0, 4.0, 8.0, 16.0, 40.0])
READINGS = 2
"""By pods, and by groups of them that are as busy as the other arm's pods."""
FEWEST_PODS = 10
BLOCK = 60.0
"""Seconds."""
ALIKE = 0.1
"""The difference in load, as a part of it, that makes no rate visibly wilder than another."""
SURELY = 2.0
"""Standard deviations of chance."""
LEFT_OUT = 0.1
"""The share of an arm's pods that may be left out of a block, because they had fewer requests than are drawn."""


@dataclass(frozen=True, slots=True)
class PodCounts:
    """Bad and all requests of an arm's pods in one block (pods)."""

    bad: Floats
    total: Floats

    @property
    def served(self) -> PodCounts:
        """The pods that had requests; whole numbers, since samples at the ends of a block were split."""
        total = np.rint(self.total)
        there = total > 0
        return PodCounts(np.minimum(np.rint(self.bad), total)[there], total[there])

    @property
    def in_order(self) -> PodCounts:
        """The same pods, whatever order they came in."""
        order = np.lexsort((self.bad, self.total))
        return PodCounts(self.bad[order], self.total[order])

    def shuffled(self, drawn: np.random.Generator) -> PodCounts:
        order = drawn.permutation(self.total.size)
        return PodCounts(self.bad[order], self.total[order])


def factors(candidate: PodCounts, stable: PodCounts, tolerated: Bound, seed: str) -> Floats:
    """ln e of one block, READINGS × POWERS: by pods, and by groups of them. Several of either: the mean of their e.

    `seed`: of the draws and of ties, the same for the same block, so that looking twice changes nothing.
    """
    mine, theirs = candidate.served, stable.served.in_order
    if mine.total.size == 0 or theirs.total.size == 0:
        return np.zeros((READINGS, POWERS.size))
    drawn = np.random.default_rng(_number(seed))
    by_pods = _ranked(mine, theirs, tolerated, drawn)
    mine_groups, their_groups = _as_busy(mine, theirs), _as_busy(theirs.shuffled(drawn), mine)
    if mine_groups.total.size == mine.total.size and their_groups.total.size == theirs.total.size:
        return np.array([by_pods, by_pods])
    return np.array([by_pods, _ranked(mine_groups, their_groups, tolerated, drawn)])


def _as_busy(pods: PodCounts, others: PodCounts) -> PodCounts:
    """Pods put together until each group has about as many requests as one of the other arm's pods."""
    each = min(int(_low(others.total) / float(pods.total.mean())), pods.total.size)
    starts = np.arange(pods.total.size // max(each, 1)) * max(each, 1)
    return PodCounts(np.add.reduceat(pods.bad, starts), np.add.reduceat(pods.total, starts))


def _ranked(mine: PodCounts, theirs: PodCounts, tolerated: Bound, drawn: np.random.Generator) -> Floats:
    own, others = _made_alike(mine, theirs, tolerated, drawn)
    pods = others.size
    below = (others[None, :] < own[:, None]).sum(axis=1)
    equal = (others[None, :] == own[:, None]).sum(axis=1)
    ranks = below + drawn.integers(0, equal + 1)
    shares = ranks[:, None] / (pods + 1)
    e = (pods + 1) * ((shares + 1 / (pods + 1)) ** POWERS - shares**POWERS)
    return np.asarray(np.log(np.maximum(e.mean(axis=0), 1e-300)), dtype=np.float64)


def _made_alike(
    mine: PodCounts, theirs: PodCounts, tolerated: Bound, drawn: np.random.Generator
) -> tuple[Floats, Floats]:
    """Each pod's share of bad requests, of equally many, with the tolerance given to stable's."""
    if not _are_as_busy(mine, theirs):
        requests = int(min(_low(mine.total), _low(theirs.total)))
        mine, theirs = (_drawn_from(arm, requests, drawn) for arm in (mine, theirs))
    larger = max(tolerated.factor, 1.0)
    mine_bad = drawn.binomial(mine.bad.astype(np.int64), 1 / larger)
    theirs_bad = drawn.binomial(theirs.bad.astype(np.int64), min(max(tolerated.factor, 0.0), 1.0))
    added = drawn.binomial(theirs.total.astype(np.int64), min(tolerated.margin / larger, 1.0))
    return _share(mine_bad, mine.total), _share(np.minimum(theirs_bad + added, theirs.total), theirs.total)


def _are_as_busy(mine: PodCounts, theirs: PodCounts) -> bool:
    """Whether the pods of both arms have as much to do, as far as chance allows to tell; then none have to be drawn."""
    own, others = float(mine.total.mean()), float(theirs.total.mean())
    chance = math.sqrt(others * (1 / mine.total.size + 1 / theirs.total.size))
    return abs(own - others) <= ALIKE * others + SURELY * chance


def _share(bad: Ints | Floats, total: Floats) -> Floats:
    return np.divide(bad, total, out=np.zeros_like(total), where=total > 0)


def _low(requests: Floats) -> float:
    """As many requests as nearly all of the pods had."""
    return float(np.sort(requests)[int(LEFT_OUT * (requests.size - 1))])


def _drawn_from(arm: PodCounts, requests: int, drawn: np.random.Generator) -> PodCounts:
    """The bad ones among so many requests of each pod that had as many."""
    there = arm.total >= requests
    bad, total = arm.bad[there].astype(np.int64), arm.total[there].astype(np.int64)
    return PodCounts(
        drawn.hypergeometric(bad, total - bad, requests).astype(float), np.full(total.size, float(requests))
    )


def _number(seed: str) -> int:
    """Always the same for one seed."""
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big")
