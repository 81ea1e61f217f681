"""Where the candidate's pods rank among stable's, block by block: holds under any noise that pods have alike. Pure.

In a block of time, the rank of a candidate pod's bad rate among J stable pods (ties drawn) is uniform on 0..J for equal
versions, whatever the noise, as long as pods are exchangeable. For κ > 1

    e = (J + 1)·[((r + 1)/(J + 1))^κ − (r/(J + 1))^κ]

bets on high ranks; the wealths of several κ are mixed (statistics: 2.2; the idea is conformal martingales, Vovk
1906.09256). A block gains at most ln(J + 1), so it needs many stable pods, and it is slow; but bursts, clusters and
drifts of single pods, which fool every test that counts events, do not fool it.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

POWERS: Floats = np.array([1.5, 2.0, 4.0, 8.0, 16.0, 40.0])
FEWEST_PODS = 10
BLOCK = 60.0
"""Seconds."""


def factors(candidate: Floats, stable: Floats, seed: str) -> Floats:
    """ln e (POWERS) of one block, from the bad rates of the candidate's and of stable's pods.

    `seed` draws ties: the same block always draws the same, so that looking twice changes nothing. Several candidate
    pods: the mean of their e.
    """
    pods = stable.size
    if candidate.size == 0 or pods == 0:
        return np.zeros(POWERS.size)
    below = (stable[None, :] < candidate[:, None]).sum(axis=1)
    equal = (stable[None, :] == candidate[:, None]).sum(axis=1)
    draws = np.array([_draw(f"{seed}/{number}") for number in range(candidate.size)])
    ranks = below + np.minimum(np.floor(draws * (equal + 1)), equal)
    shares = ranks[:, None] / (pods + 1)
    e = (pods + 1) * ((shares + 1 / (pods + 1)) ** POWERS - shares**POWERS)
    return np.asarray(np.log(np.maximum(e.mean(axis=0), 1e-300)), dtype=np.float64)


def _draw(seed: str) -> float:
    """A number in [0, 1) that looks drawn, and is always the same."""
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big") / 2**64
