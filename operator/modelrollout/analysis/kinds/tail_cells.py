"""Cells of a histogram's tails: pods' short times in which a request was slower than an edge. Pure.

Slow requests come in clusters as errors do: a garbage collection makes all of a pod's wait. While nothing is known of a
service's pods, a cell counts once for each edge, so that what is much slower shows before the noise is learned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.kinds.pod_cells import CellBets, HitCells, hit_cells
from modelrollout.analysis.kinds.pod_noise import PodNoise, slow_by_pod
from modelrollout.analysis.kinds.tails import CountedTails
from modelrollout.analysis.samples.buckets import ArmHistograms
from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.sequential.proportions import Bound, rate

Floats = npt.NDArray[np.float64]


def tails_in_cells(
    start: LookStart,
    counted: CountedTails,
    noise: PodNoise,
    arms: tuple[ArmHistograms, ArmHistograms],
    window: SampleWindow,
    frontier: float,
    known: Floats,
) -> HitCells:
    """The bets on cells of the compared tails.

    `arms`: candidate and stable. `known`: stable's requests by bucket of the nearer edges, before each tick.
    """
    edges = counted.edges
    far, near = ([edges.all[place] for place in places] for places in (edges.far, edges.near))
    beyond = known[:, ::-1].cumsum(axis=1)[:, -2::-1]
    usual = rate(beyond, known.sum(axis=1, keepdims=True))
    by_pods = slow_by_pod(arms[0], far, window, "fewer"), slow_by_pod(arms[1], near, window)
    return hit_cells(start, counted.ticks, frontier, by_pods, CellBets(usual, Bound(1.0), noise.width))
