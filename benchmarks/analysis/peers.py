"""Our own restatement of the rules of Flagger, Argo Rollouts and Kayenta: per run the tick of the rollback.

Only what decides is restated: which minutes are looked at, what is a failure, how failures add up. Behaviour after
fluxcd/flagger pkg/controller/scheduler.go, argoproj/argo-rollouts analysis/analysis.go and docs/features/analysis.md,
and spinnaker/kayenta NetflixACAJudge and MannWhitneyClassifier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from benchmarks.analysis.trials import NEVER, Floats, Ints

WINDOW = 60.0
"""Seconds of the rate that Flagger's and Argo's examples query: `[1m]`."""

FLAGGER_INTERVAL = 60.0
"""Seconds: spec.analysis.interval of Flagger's tutorials."""
FLAGGER_THRESHOLD = 5
"""Failed checks before a rollback, spec.analysis.threshold of Flagger's tutorials; never reset while it advances."""
FLAGGER_MIN_SUCCESS = 0.99
"""thresholdRange.min: 99 of request-success-rate in Flagger's tutorials."""

ARGO_INTERVAL = 30.0
"""Seconds between measurements of a tuned analysis."""
ARGO_DOCS_INTERVAL = 60.0
"""Seconds; the success-rate example of Argo's documents polls every 5 min, which would only be slower."""
ARGO_FAILURE_LIMIT = 3
"""failureLimit of the same example: the analysis fails when failures *exceed* it."""
ARGO_MIN_SUCCESS = 0.95
"""successCondition: result[0] >= 0.95 of the same example."""

TUNED = 2.0
"""Times the baseline, for the rules that are told the baseline, or compare with it."""
SLOWER = 1.2
"""Times the baseline's p99, for the same rules on latency."""

KAYENTA_JUDGEMENT = 900.0
"""Seconds between judgements; all data since the start is judged each time."""
KAYENTA_POINT = 60.0
"""Seconds per data point: step of Kayenta's Prometheus queries."""
KAYENTA_CONFIDENCE = 0.98
"""NetflixACAJudge: confidence of the Mann-Whitney interval."""
KAYENTA_TOLERANCE = 0.25
"""NetflixACAJudge: the interval must clear this share of the Hodges-Lehmann estimate."""
KAYENTA_EFFECT = 1.0
"""NetflixACAJudge: least ratio of means that counts as an increase."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule looks: `interval` seconds apart, first after a whole window, with ticks of `tick` seconds."""

    interval: float
    tick: float
    window: float = WINDOW

    def looks(self, ticks: int) -> Ints:
        """The number of ticks that are over at each look."""
        width, apart = round(self.window / self.tick), round(self.interval / self.tick)
        return np.arange(width, ticks + 1, apart, dtype=np.int64)

    def sums(self, increments: Ints) -> Ints:
        """Sums over the window before each look: (runs, ticks, …) to (runs, looks, …)."""
        total = np.concatenate([np.zeros_like(increments[:, :1]), np.cumsum(increments, axis=1)], axis=1)
        ends = self.looks(increments.shape[1])
        return np.asarray(total[:, ends] - total[:, ends - round(self.window / self.tick)])


def flagger(failed: Bools, schedule: Schedule, ticks: int, *, in_a_row: bool = False) -> Ints:
    """Failed checks add up over the whole analysis; the rollback comes with the check after the last one allowed.

    failed: (runs, looks). `in_a_row` is a variant, not Flagger: a passed check starts the count again.
    """
    if in_a_row:
        run = np.zeros(failed.shape, dtype=np.int64)
        so_far = np.zeros(len(failed), dtype=np.int64)
        for look in range(failed.shape[1]):
            so_far = np.where(failed[:, look], so_far + 1, 0)
            run[:, look] = so_far
        reached = run >= FLAGGER_THRESHOLD
    else:
        reached = np.cumsum(failed, axis=1) >= FLAGGER_THRESHOLD
    return _tick_of(reached, schedule, ticks, later=1)


def argo(failed: Bools, schedule: Schedule, ticks: int) -> Ints:
    """The analysis run fails with the measurement whose failure exceeds failureLimit; failed: (runs, looks)."""
    return _tick_of(np.cumsum(failed, axis=1) > ARGO_FAILURE_LIMIT, schedule, ticks, later=0)


def _tick_of(reached: Bools, schedule: Schedule, ticks: int, later: int) -> Ints:
    ends = schedule.looks(ticks)
    look = reached.argmax(axis=1) + later
    hit = reached.any(axis=1) & (look < len(ends))
    return np.where(hit, ends[np.minimum(look, len(ends) - 1)] - 1, NEVER).astype(np.int64)


def rate(bad: Ints, n: Ints) -> Floats:
    """Bad events per request; NaN where there was no request, which no threshold of Argo's calls a failure."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(bad / n, dtype=np.float64)


def above(value: Floats, threshold: float | Floats) -> Bools:
    """value > threshold; NaN is not."""
    with np.errstate(invalid="ignore"):
        return np.asarray(value > threshold)


def ratio_above(candidate: Floats, stable: Floats, most: float) -> Bools:
    """candidate / stable > most as PromQL divides: x/0 is infinite, 0/0 is NaN and compares as false."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(candidate / stable > most)


def kayenta(candidate: Floats, stable: Floats, tick: float) -> Ints:
    """Mann-Whitney on one point per minute, judged every 15 min on all points since the start.

    candidate, stable: (runs, minutes), one value per KAYENTA_POINT. Returns ticks of `tick` seconds.
    """
    per_judgement = round(KAYENTA_JUDGEMENT / KAYENTA_POINT)
    decided = np.full(len(candidate), NEVER, dtype=np.int64)
    for points in range(per_judgement, candidate.shape[1] + 1, per_judgement):
        open_ = np.flatnonzero(decided == NEVER)
        if not len(open_):
            break
        high = is_high(candidate[open_, :points], stable[open_, :points])
        decided[open_[high]] = round(points * KAYENTA_POINT / tick) - 1
    return decided


def is_high(candidate: Floats, stable: Floats) -> Bools:
    """Kayenta's class High, per run, of (runs, points) each.

    The confidence limit is the order statistic of the pairwise differences at which the normal approximation of the
    rank sum, with its continuity correction, crosses the critical value.
    """
    runs, points = candidate.shape
    others = stable.shape[1]
    differences = np.sort((candidate[:, :, None] - stable[:, None, :]).reshape(runs, -1), axis=1)
    pairs = points * others
    spread = math.sqrt(pairs * (points + others + 1) / 12)
    z = float(norm.ppf(0.5 + KAYENTA_CONFIDENCE / 2))
    # The number of differences above the limit is at most half the pairs plus z·spread plus one half.
    lowest = max(math.ceil(pairs / 2 - z * spread - 0.5), 0)
    estimate = np.median(differences, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        grew = candidate.mean(axis=1) / stable.mean(axis=1) >= KAYENTA_EFFECT
    return np.asarray((differences[:, lowest] > KAYENTA_TOLERANCE * np.abs(estimate)) & grew)


def histogram_quantile(q: float, buckets: Floats, edges: Floats, *, exponential: bool = False) -> Floats:
    """PromQL's histogram_quantile of bucket counts (…, buckets) with upper edges, the last of them infinite.

    Linear within a bucket, or exponential as for native histograms; a quantile in the last bucket is its lower edge.
    NaN without observations. Source: prometheus promql/quantile.go.
    """
    total = buckets.sum(axis=-1)
    upto = np.cumsum(buckets, axis=-1)
    rank = q * total
    index = np.minimum((upto < rank[..., None]).sum(axis=-1), len(edges) - 1)
    lower_edges = np.concatenate([[0.0], edges[:-1]])
    lower, upper = lower_edges[index], edges[index]
    inside = np.take_along_axis(buckets, index[..., None], axis=-1)[..., 0]
    before = np.take_along_axis(upto, index[..., None], axis=-1)[..., 0] - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(inside > 0, (rank - before) / inside, 1.0)
        if exponential:
            within = np.where(lower > 0, lower * (upper / lower) ** share, upper * share)
        else:
            within = lower + (upper - lower) * share
    return np.asarray(np.where(total > 0, np.where(np.isinf(upper), lower, within), np.nan))
