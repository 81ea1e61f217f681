"""Ranks of the candidate's pods among stable's, block by block: valid under any noise that all pods share. Pure.

In a block of time, the rank of a candidate pod's bad rate among J stable pods (ties broken at random) is uniform on
0..J for equal versions, whatever the noise, if the pods are exchangeable. For κ > 1

    e = (J + 1)·[((r + 1)/(J + 1))^κ − (r/(J + 1))^κ]

is a bet on high ranks; the wealths of several κ are mixed (statistics: 2.2; the idea is conformal martingales, Vovk
1906.09256). A block gains at most ln(J + 1), so the test needs many stable pods, and it is slow. In return bursts,
clusters and drifts of single pods do not mislead it, as they mislead every test that counts events.
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

    `seed` breaks ties: the same for the same block, so that looking twice changes nothing. Several candidate pods: the
    mean of their e.
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
    """A pseudo-random number in [0, 1), always the same for one seed."""
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big") / 2**64
