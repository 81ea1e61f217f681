"""Cells that bad requests hit: E[e] ≤ 1 for errors in clusters, by going through everything that may happen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from modelrollout.sequential.cells import EFFECT_WEIGHTS, EFFECTS, Floats, cells, worse_in_cells
from modelrollout.sequential.proportions import Bound

LOADS = [(4, 40, 1), (40, 40, 1), (40, 8, 3), (40, 20, 1), (200, 100, 1), (20, 60, 3)]
"""Requests of the candidate's only pod and of each of stable's, and stable's pods."""
CASES = [
    (*load, size)
    for load in LOADS
    for size in (1, 4, 20)
    if load[0] % size == load[1] % size == 0 and (load[1] // size + 1) ** load[2] <= 500
]
SHARES = (1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.9)
BOUNDS = [Bound(1.0), Bound(1.25, 0.01), Bound(3.0)]


def log_e(clusters: Floats, size: int, mine: int, theirs: int, usual: float, bound: Bound) -> Floats:
    """`clusters`: outcomes × pods, the candidate's first."""
    outcomes, pods = clusters.shape
    bad, known = size * clusters.T, np.full(outcomes, usual)
    loads = (np.full((count, outcomes), float(load)) for count, load in ((1, mine), (pods - 1, theirs)))
    own, others = loads
    return worse_in_cells(cells(bad[:1], own, bad[1:], others, known), known, bound, np.ones(outcomes))


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
@pytest.mark.parametrize(("mine", "theirs", "pods", "size"), CASES)
def test_errors_in_clusters(mine: int, theirs: int, pods: int, size: int, bound: Bound) -> None:
    counts = [range(mine // size + 1), *[range(theirs // size + 1)] * pods]
    clusters = np.array(list(itertools.product(*counts)), dtype=float)
    for usual in (1e-4, 0.01, 0.1):
        e = np.exp(log_e(clusters, size, mine, theirs, usual, bound))
        for share in SHARES:
            on_it = min(bound.factor * share + bound.margin, 1.0)
            chances = binom.pmf(clusters[:, 0], mine // size, on_it)
            chances *= binom.pmf(clusters[:, 1:], theirs // size, share).prod(axis=1)
            assert (chances @ e).max() <= 1 + 1e-9


def test_a_cluster_weighs_no_more_than_a_single_error() -> None:
    one, many = (log_e(np.array([[1.0, 0.0]]), size, 20, 20, 0.01, Bound(1.0)).max() for size in (1, 15))
    assert many <= one + 1e-9


def test_pods_without_requests_tell_nothing() -> None:
    nothing = np.zeros((2, 3))
    found = cells(nothing, nothing, nothing, nothing, np.full(3, 0.01))
    assert not worse_in_cells(found, np.full(3, 0.01), Bound(1.25, 0.001), np.ones(3)).any()


def test_bets_weigh_what_they_are_said_to_weigh() -> None:
    assert EFFECT_WEIGHTS.sum() == pytest.approx(1.0)
    assert len(EFFECTS) == EFFECT_WEIGHTS.size
