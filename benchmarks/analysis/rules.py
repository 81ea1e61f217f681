"""The rules of the other tools, put to simulated counts, histograms and gauges under the names that the tables use."""

from __future__ import annotations

import numpy as np

from benchmarks.analysis import peers
from benchmarks.analysis.latencies import plain, shares
from benchmarks.analysis.measure import Rule
from benchmarks.analysis.trials import Counts, Floats, Gauges, Histograms, Ints, OneSample
from benchmarks.analysis.worlds import TICK

FLAGGER = peers.Schedule(peers.FLAGGER_INTERVAL, TICK)
ARGO = peers.Schedule(peers.ARGO_INTERVAL, TICK)
ARGO_DOCS = peers.Schedule(peers.ARGO_DOCS_INTERVAL, TICK)
POINTS = peers.Schedule(peers.KAYENTA_POINT, TICK)


def _rates(trial: Counts, schedule: peers.Schedule) -> tuple[Floats, Floats]:
    """Error rates of candidate and stable over the window before each look."""
    return (
        peers.rate(schedule.sums(trial.bad_candidate), schedule.sums(trial.n_candidate)),
        peers.rate(schedule.sums(trial.bad_stable), schedule.sums(trial.n_stable)),
    )


def _flagger(most: float, *, in_a_row: bool = False) -> Rule[Counts]:
    def decide(trial: Counts) -> Ints:
        failed = peers.above(_rates(trial, FLAGGER)[0], most)
        return peers.flagger(failed, FLAGGER, trial.n_stable.shape[1], in_a_row=in_a_row)

    return decide


def _argo(schedule: peers.Schedule, most: float) -> Rule[Counts]:
    return lambda trial: peers.argo(peers.above(_rates(trial, schedule)[0], most), schedule, trial.n_stable.shape[1])


def _argo_ratio(trial: Counts) -> Ints:
    candidate, stable = _rates(trial, ARGO)
    return peers.argo(peers.ratio_above(candidate, stable, peers.TUNED), ARGO, trial.n_stable.shape[1])


def _kayenta(trial: Counts) -> Ints:
    candidate, stable = _rates(trial, POINTS)
    return peers.kayenta(np.nan_to_num(candidate), np.nan_to_num(stable), TICK)


def for_counts(baseline: float) -> dict[str, Rule[Counts]]:
    """All rules on errors. The tuned ones are told the baseline, which in the field nobody does."""
    return {
        "Flagger-1%": _flagger(1 - peers.FLAGGER_MIN_SUCCESS),
        "Flagger-tuned": _flagger(peers.TUNED * baseline),
        "Flagger-consec5": _flagger(peers.TUNED * baseline, in_a_row=True),
        "Argo-5%": _argo(ARGO_DOCS, 1 - peers.ARGO_MIN_SUCCESS),
        "Argo-tuned": _argo(ARGO, peers.TUNED * baseline),
        "Argo-ratio2": _argo_ratio,
        "Kayenta-like": _kayenta,
    }


def for_latency(edges: Floats, *, native: bool) -> dict[str, Rule[Histograms]]:
    """Rules on p99 as histogram_quantile reports it; thresholds are relative to the p99 reported of stable's truth."""
    reported = float(peers.histogram_quantile(0.99, shares(plain, edges), edges, exponential=native))

    def p99(trial: Histograms, schedule: peers.Schedule) -> tuple[Floats, Floats]:
        return tuple(  # type: ignore[return-value]  # two arms in, two out
            peers.histogram_quantile(0.99, np.asarray(schedule.sums(arm), float), edges, exponential=native)
            for arm in (trial.candidate, trial.stable)
        )

    def flagger(trial: Histograms) -> Ints:
        failed = peers.above(p99(trial, FLAGGER)[0], peers.SLOWER * reported)
        return peers.flagger(failed, FLAGGER, trial.stable.shape[1])

    def argo(trial: Histograms) -> Ints:
        failed = peers.ratio_above(*p99(trial, ARGO), peers.SLOWER)
        return peers.argo(failed, ARGO, trial.stable.shape[1])

    def kayenta(trial: Histograms) -> Ints:
        candidate, stable = p99(trial, POINTS)
        return peers.kayenta(np.nan_to_num(candidate), np.nan_to_num(stable), TICK)

    return {"Flagger p99>1.2×": flagger, "Argo p99 ratio>1.2": argo, "Kayenta p99": kayenta}


def for_gauges() -> dict[str, Rule[Gauges]]:
    """A reading more than the smallest drop below stable's is a failure."""

    def argo(trial: Gauges) -> Ints:
        gap = (trial.stable - trial.candidate)[:, ARGO.looks(trial.stable.shape[1]) - 1]
        return peers.argo(gap > trial.smallest_drop, ARGO, trial.stable.shape[1])

    return {"Argo-like": argo}


def for_shadow() -> dict[str, Rule[OneSample]]:
    """A minute's disagreement above the limit is a failure."""

    def argo(trial: OneSample) -> Ints:
        failed = peers.above(peers.rate(ARGO.sums(trial.bad), ARGO.sums(trial.n)), trial.limit)
        return peers.argo(failed, ARGO, trial.n.shape[1])

    return {"Argo-like": argo}
