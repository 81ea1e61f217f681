"""The prior of a histogram from stable's history: its shape and rate, and the noise of its pods' tails. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.error_budget import chance_of_pods
from modelrollout.analysis.evidence.look import Missing, Prior
from modelrollout.analysis.kinds import edges as bucket_edges
from modelrollout.analysis.kinds.metric_kind import FEWEST_REQUESTS, HistoryFinding, StablePast
from modelrollout.analysis.kinds.pod_noise import ByPod, slow_by_pod
from modelrollout.analysis.parts import HISTOGRAM, PAST
from modelrollout.analysis.samples.buckets import ArmHistograms, counts_beyond, histograms_of, quantile
from modelrollout.analysis.samples.stable_history import (
    HISTORY_STEP,
    RECENT_STEPS,
    history_edges,
    since_busy,
    window_from,
)
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.sequential.noise import Noise, choose_mode, measure_noise, noisiest

Floats = npt.NDArray[np.float64]

NOISE_TAILS = (0.5, 0.1, 0.01)
"""Noise is measured on the events of these tails."""
MOST_KEPT_EDGES = 256
"""Edges of the history's shape that are kept: it has to fit into a status."""


def histogram_prior(metric: Metric, analysis: Analysis, past: StablePast) -> HistoryFinding | None:
    """Shape, rate and noise of stable's pods; None where nothing was counted."""
    window, edges = window_from(past.start), history_edges(past.start, past.end)
    side = histograms_of(past.series.get((PAST, HISTOGRAM), ()), "stable", window)
    if isinstance(side, Missing) or not side.edges:
        return None
    slower, total = counts_beyond(side, side.edges, edges, window)
    everybody, slow = total.sum(), slower.sum(axis=0)
    if everybody <= 0:
        return None
    within = {edge: float(everybody - beyond) for edge, beyond in zip(side.edges, slow, strict=True)}
    compared = bucket_edges.thin(side.edges, {**within, math.inf: float(everybody)})
    pods = slow_by_pod(side, compared, window)(edges)
    tails = [slow[side.edges.index(edge)] / everybody for edge in compared]
    found = _noise_of_tails(pods)
    noise = noisiest([found[place] for place in _places(np.array(tails), 1 - metric.quantile_share)])
    reaches = _reaches(metric, analysis, dict(zip(compared, found, strict=True)))
    recent = total[-RECENT_STEPS:].sum() / (min(len(total), RECENT_STEPS) * HISTORY_STEP.total_seconds())
    at = compared[_places(np.array(tails), 1 - metric.quantile_share, ())[0]]
    prior = Prior(
        mode=choose_mode(noise, analysis.noise, is_compared=metric.tolerance is not None),
        dispersion=noise.dispersion if noise is not None else 1.0,
        share=1 - metric.quantile_share,
        rate=float(recent),
        buckets={**_thin(within), math.inf: float(everybody)} if everybody >= FEWEST_REQUESTS else None,
        load=noise.load if noise is not None else None,
        reach=reaches.get(at, 0.0),
        reaches=reaches if any(reaches.values()) else None,
        pods=int((pods.total.sum(axis=1) > 0).sum()),
        seen=float(len(total) - (total > 0).argmax()) * HISTORY_STEP.total_seconds(),
    )
    return HistoryFinding(prior, _warn_of_coarse_buckets(metric, side, slow, float(everybody), prior))


def _thin(within: Mapping[float, float]) -> dict[float, float]:
    """MOST_KEPT_EDGES of the edges at most."""
    every = math.ceil(len(within) / MOST_KEPT_EDGES) if within else 1
    return dict(list(within.items())[::every])


def _noise_of_tails(pods: ByPod) -> list[Noise | None]:
    """The noise of each tail."""
    histories = [since_busy(slow, pods.total) for slow in pods.bad]
    return [measure_noise(history) if history else None for history in histories]


def _places(tails: Floats, share: float, more: tuple[float, ...] = NOISE_TAILS) -> list[int]:
    """The places of the tails that are nearest to a share, and to others."""
    wanted = np.log(np.array((*more, share)))
    return sorted(set(np.abs(np.log(tails + 1e-9)[None, :] - wanted[:, None]).argmin(axis=1).tolist()))


def _reaches(metric: Metric, analysis: Analysis, found: Mapping[float, Noise | None]) -> dict[float, float]:
    """How far pods lie apart for good in each tail; a slower tail at least as far as one before it."""
    if analysis.noise == "independent":
        return {}
    chance = chance_of_pods(metric, analysis)
    farthest = accumulate((one.levels.reach(chance) if one is not None else 0.0 for one in found.values()), max)
    return dict(zip(found, farthest, strict=True))


def _warn_of_coarse_buckets(
    metric: Metric, side: ArmHistograms, slower: Floats, total: float, prior: Prior
) -> str | None:
    """A note on regressions that the buckets are too coarse to show, before anybody waits for them."""
    if metric.tolerance is None:
        return None
    edges = bucket_edges.choose_edges(side.edges, side.edges, metric.tolerance, None, prior.buckets)
    there = quantile(side.edges, slower, total, metric.quantile_share)
    hidden = bucket_edges.what_edges_hide(
        edges, metric.tolerance, there, total, metric.quantile_share, bucket_edges.unit_of_edges(metric)
    )
    return hidden[0] if hidden else None
