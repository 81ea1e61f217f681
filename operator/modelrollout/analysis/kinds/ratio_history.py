"""The prior of a ratio from stable's history: its rates, and the noise of its pods. Pure."""

from __future__ import annotations

import math

import numpy as np

from modelrollout.analysis.evidence.error_budget import chance_of_pods
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds import request_shares
from modelrollout.analysis.kinds.metric_kind import HistoryFinding, StablePast
from modelrollout.analysis.kinds.ratio_bounds import bounds_of, counts_good
from modelrollout.analysis.parts import BAD, GOOD, PAST, TOTAL
from modelrollout.analysis.samples.counters import by_target, clean, scrapes_of
from modelrollout.analysis.samples.stable_history import RECENT_STEPS, history_edges, since_busy, window_from
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.sequential import proportions as tests
from modelrollout.sequential.levels import widening
from modelrollout.sequential.noise import History, Mode, Noise, choose_mode, measure_noise
from modelrollout.sequential.proportions import Counts
from modelrollout.sequential.wealth import Wealth, carry

REPLAYED_PODS = 3
"""Number of stable's pods that are judged against the others, as if each were a candidate."""


def ratio_prior(metric: Metric, analysis: Analysis, past: StablePast) -> HistoryFinding | None:
    """Rates and noise of stable's pods; None where nothing was counted."""
    history = _history(metric, past)
    if history is None:
        return None
    noise = measure_noise(history)
    bad, total = history.bad[:, -RECENT_STEPS:].sum(), history.total[:, -RECENT_STEPS:].sum()
    seconds = min(history.total.shape[1], RECENT_STEPS) * history.block
    prior = Prior(
        mode=choose_mode(noise, analysis.noise, is_compared=metric.tolerance is not None),
        dispersion=noise.dispersion if noise is not None else 1.0,
        share=float(bad / total) if total > 0 else None,
        rate=float(total / seconds),
        load=noise.load if noise is not None else None,
        reach=_reach(noise, metric, analysis),
        pods=int((history.total.sum(axis=1) > 0).sum()),
        seen=history.total.shape[1] * history.block,
    )
    return HistoryFinding(prior, _warn_of_false_alarm(history, metric, prior, analysis.false_rollback_rate.value))


def _reach(noise: Noise | None, metric: Metric, analysis: Analysis) -> float:
    """How far pods lie apart for good, with the part of the error rate that the test leaves."""
    if noise is None or analysis.noise == "independent":
        return 0.0
    return noise.levels.reach(chance_of_pods(metric, analysis))


def _history(metric: Metric, past: StablePast) -> History | None:
    """The counts of stable's pods (pods × steps)."""
    part = GOOD if counts_good(metric) else BAD
    hits, requests = clean(past.series.get((PAST, part), ())), clean(past.series.get((PAST, TOTAL), ()))
    window, edges = window_from(past.start), history_edges(past.start, past.end)
    scrapes = scrapes_of((requests, hits), window)
    if scrapes is None or not requests:
        return None
    some = by_target(hits, edges, scrapes, window)
    bad, total = [], []
    for target, grown_by in by_target(requests, edges, scrapes, window).items():
        counted = np.minimum(some.get(target, np.zeros_like(grown_by)), grown_by)
        bad.append(counted if part == BAD else grown_by - counted)
        total.append(grown_by)
    return since_busy(np.array(bad), np.array(total))


def _warn_of_false_alarm(history: History, metric: Metric, prior: Prior, alpha: float) -> str | None:
    """A note if equal versions would fail: some of stable's pods are each judged against the others."""
    if metric.tolerance is None or history.bad.shape[0] < 2 or prior.mode in (Mode.RANKED, Mode.STRICT):
        return None
    tolerated, _ = bounds_of(metric)
    apart = math.sqrt(1 + 1 / (history.bad.shape[0] - 1))
    tolerated = tolerated.widened(float(widening(prior.reach, np.array([apart]))[0]))
    by = prior.inflation
    busiest = np.argsort(-history.total.sum(axis=1))[:REPLAYED_PODS]
    for pod in busiest:
        bad, total = history.bad[pod], history.total[pod]
        counts = Counts(bad, total, history.bad.sum(axis=0) - bad, history.total.sum(axis=0) - total)
        events, requests, _ = tests.Baseline().before_each(counts.bad_stable, counts.stable, tests.decay(history.block))
        factors = tests.worse(counts, tests.rate(events, requests), tolerated) / by
        path = carry(Wealth(request_shares.HARM_WEIGHTS, 0.0), factors)
        if float(path.log.max(initial=0.0)) >= math.log(1 / alpha):
            return "in its history one of stable's pods was worse than the others beyond chance: widen the tolerance"
    return None
