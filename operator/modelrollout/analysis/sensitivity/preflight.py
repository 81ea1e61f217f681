"""What stable's history says before the first look: rates, noise of its pods, and what the plan will see. Pure.

All that is found here is fixed for the whole rollout: how events are counted must not depend on what they turn out to
be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.conclusions import FEWEST_REQUESTS
from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.error_budget import share_of_bound
from modelrollout.analysis.evidence.look import Missing, Prior
from modelrollout.analysis.kinds import edges as bucket_edges
from modelrollout.analysis.kinds import ratio, request_shares
from modelrollout.analysis.queries import BAD, GOOD, HISTOGRAM, HISTORY_STEP, ONE_POD, OTHER_PODS, PAST, TOTAL, VALUE
from modelrollout.analysis.samples.buckets import ArmHistograms, counts_beyond, histograms_of, quantile
from modelrollout.analysis.samples.counters import Reading, Target, by_target, clean, scrapes_of, target_of
from modelrollout.analysis.sensitivity.detectable import Stretch, sees_a_doubling, sentence
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.status import UsualMetric
from modelrollout.promql.query import Answer, Answered, Query, Series
from modelrollout.sequential import horizon
from modelrollout.sequential import proportions as tests
from modelrollout.sequential.gauges import BLOCK, long_run_variance
from modelrollout.sequential.noise import History, Mode, Noise, measured, mode, noisiest
from modelrollout.sequential.proportions import Counts
from modelrollout.sequential.wealth import Onsets, Wealth, carried

Floats = npt.NDArray[np.float64]

LONGEST_GAP = 300.0
"""Seconds for which Prometheus repeats a series that has ended: no gap in a history is longer."""
RECENT_STEPS = 60
"""Steps of the history that rates are taken from: the last hour."""
NOISE_TAILS = (0.5, 0.1, 0.01)
"""Tails of a histogram whose events are looked at for noise."""
MOST_KEPT_EDGES = 256
REPLAYED_PODS = 3
"""Of stable's pods so many are judged against the others, as if each were a candidate."""


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """What the history of one metric shows."""

    usual: Prior
    note: str | None = None


def summarise_history(
    analysis: Analysis, asked: Sequence[Query], answers: Mapping[Query, Answer], basis: Mapping[str, str],
    stretches: Sequence[Stretch], tick: float,
) -> tuple[UsualMetric, ...]:  # fmt: skip
    """What is noted of each metric. `asked` is what `history_queries` returned; what was not answered is not known."""
    noted = []
    for metric in analysis.metrics:
        own = [(query, answers.get(query)) for query in asked if query.metric == metric.name]
        parts = {
            (query.arm, part): series
            for query, answer in own
            if isinstance(answer, Answered)
            for part, series in query.split(answer.series).items()
        }
        start = min((query.start.timestamp() for query, _ in own), default=0.0)
        end = max((query.end.timestamp() for query, _ in own), default=0.0)
        found = _found(metric, analysis, parts, start, end, tick)
        usual = replace(found.usual, threshold=_threshold(metric, analysis, found.usual, stretches, tick))
        noted.append(
            UsualMetric(
                metric=metric.name,
                mode=usual.mode.value,
                basis=basis.get(metric.name, ""),
                state=ledger.write(_packed(usual)),
                sees=sentence(metric, analysis, usual, stretches),
                is_blind=not sees_a_doubling(metric, analysis, usual, stretches),
                note=found.note,
            )
        )
    return tuple(noted)


def _threshold(
    metric: Metric, analysis: Analysis, usual: Prior, stretches: Sequence[Stretch], tick: float
) -> float | None:
    """The threshold calibrated to the plan, where that was asked for and its volume is known."""
    is_known = usual.rate is not None and usual.share is not None and usual.mode in (Mode.PLAIN, Mode.ASSUMED)
    if analysis.threshold != "planned" or metric.ratio is None or metric.tolerance is None or not is_known:
        return None
    tolerated, _ = ratio.bounds_of(metric)
    if tolerated.margin > 0:
        return None  # with a margin what equal candidates reach depends on stable's true rate
    planned = sum(one.seconds for one in stretches)
    edges = np.linspace(0.0, planned, min(horizon.TICKS, max(round(planned / tick), 1)) + 1)
    begins = np.cumsum([one.seconds for one in stretches])
    place = np.minimum(np.searchsorted(begins, edges[:-1] + 1e-9, side="right"), len(stretches) - 1)
    weight = np.array([stretches[at].weight for at in place.tolist()])
    events = (usual.rate or 0.0) * (usual.share or 0.0) * np.diff(edges)
    restarts = Onsets(0.0, len(stretches) - 1, planned, is_late_expected=False).restarts(edges, begins[:-1].tolist())
    odds = tolerated.factor * weight / (tolerated.factor * weight + 1 - weight)
    alpha = analysis.false_rollback_rate.value * share_of_bound(metric, "tolerance", analysis)
    return horizon.threshold(events * (weight < 1), odds, restarts, alpha)


def prior_of(noted: UsualMetric) -> Prior:
    """What was noted; whoever edited it is not believed blindly: what cannot be read is not known."""
    kept = ledger.read(noted.state)
    try:
        how = Mode(noted.mode)
    except ValueError:
        how = Mode.ASSUMED
    edges, within = kept.get("edges"), kept.get("within")
    buckets = None
    if edges is not None and within is not None and edges.size + 1 == within.size:
        buckets = dict(zip([*edges.tolist(), math.inf], within.tolist(), strict=True))
    return Prior(
        mode=how,
        dispersion=max(_one(kept, "dispersion") or 1.0, 1.0),
        share=_one(kept, "share"),
        rate=_one(kept, "rate"),
        variance=_one(kept, "variance"),
        buckets=buckets,
        threshold=_one(kept, "threshold"),
    )


def _packed(usual: Prior) -> dict[str, Floats]:
    single = {"dispersion": usual.dispersion, "share": usual.share, "rate": usual.rate, "variance": usual.variance,
              "threshold": usual.threshold}  # fmt: skip
    kept = {name: np.array([value]) for name, value in single.items() if value is not None}
    if usual.buckets:
        finite = [edge for edge in usual.buckets if edge < math.inf]
        kept["edges"] = np.array(finite)
        kept["within"] = np.array([usual.buckets[edge] for edge in finite] + [usual.buckets.get(math.inf, 0.0)])
    return kept


def _one(kept: Mapping[str, Floats], name: str) -> float | None:
    found = kept.get(name)
    return float(found[0]) if found is not None and found.size == 1 and math.isfinite(found[0]) else None


def _found(
    metric: Metric, analysis: Analysis, parts: Mapping[tuple[str, str], tuple[Series, ...]], start: float, end: float,
    tick: float,
) -> HistoryFinding:  # fmt: skip
    wish = analysis.noise
    if metric.ratio is not None:
        part = BAD if metric.ratio.bad is not None else GOOD
        if (PAST, TOTAL) in parts:
            pods = _of_ratio(part, parts.get((PAST, part), ()), parts[PAST, TOTAL], start, end)
            return _of_counts(pods, wish, metric, analysis) if pods else HistoryFinding(Prior(mode=mode(None, wish)))
    elif metric.histogram is not None and (PAST, HISTOGRAM) in parts:
        return _of_histogram(metric, parts[PAST, HISTOGRAM], start, end, wish)
    elif metric.value is not None and (ONE_POD, VALUE) in parts and (OTHER_PODS, VALUE) in parts:
        return HistoryFinding(Prior(variance=_of_value(parts[ONE_POD, VALUE], parts[OTHER_PODS, VALUE], tick)))
    return HistoryFinding(Prior(mode=mode(None, wish)))


def _reading(start: float) -> Reading:
    return Reading(since=start, look_back=LONGEST_GAP, warm_up=0.0)


def _edges(start: float, end: float) -> Floats:
    step = HISTORY_STEP.total_seconds()
    return np.asarray(start + np.arange(int((end - start) / step + 1e-9) + 1) * step, dtype=np.float64)


def _of_ratio(part: str, events: Sequence[Series], total: Sequence[Series], start: float, end: float) -> History | None:
    hits, requests = clean(events), clean(total)
    reading, edges = _reading(start), _edges(start, end)
    arm = scrapes_of((requests, hits), reading)
    if arm is None or not requests:
        return None
    everything = by_target(requests, edges, arm, reading)
    some = by_target(hits, edges, arm, reading)
    rows: list[tuple[Floats, Floats]] = []
    for target, grown_by in everything.items():
        counted = np.minimum(some.get(target, np.zeros_like(grown_by)), grown_by)
        rows.append((counted if part == BAD else grown_by - counted, grown_by))
    return _since_busy(np.array([bad for bad, _ in rows]), np.array([all_ for _, all_ in rows]))


def _since_busy(bad: Floats, total: Floats) -> History | None:
    """From the first block in which anything happened: what Prometheus does not remember is no quiet time."""
    busy = np.flatnonzero(total.sum(axis=0) > 0)
    if not busy.size:
        return None
    return History(bad[:, busy[0] :], total[:, busy[0] :], HISTORY_STEP.total_seconds())


def _of_counts(history: History, wish: str, metric: Metric, analysis: Analysis) -> HistoryFinding:
    noise = measured(history)
    how = mode(noise, wish)
    bad, total = history.bad[:, -RECENT_STEPS:].sum(), history.total[:, -RECENT_STEPS:].sum()
    seconds = min(history.total.shape[1], RECENT_STEPS) * history.block
    usual = Prior(
        mode=how,
        dispersion=noise.dispersion if noise is not None else 1.0,
        share=float(bad / total) if total > 0 else None,
        rate=float(total / seconds),
    )
    return HistoryFinding(usual, _warn_of_false_alarm(history, metric, usual, analysis.false_rollback_rate.value))


def _warn_of_false_alarm(history: History, metric: Metric, usual: Prior, alpha: float) -> str | None:
    """Whether equal versions would have been told apart: some of stable's pods, each judged against the others."""
    if history.bad.shape[0] < 2 or usual.mode in (Mode.RANKED, Mode.STRICT):
        return None
    tolerated, _ = ratio.bounds_of(metric)
    by = usual.inflation
    busiest = np.argsort(-history.total.sum(axis=1))[:REPLAYED_PODS]
    for pod in busiest:
        bad, total = history.bad[pod], history.total[pod]
        counts = Counts(bad, total, history.bad.sum(axis=0) - bad, history.total.sum(axis=0) - total)
        events, requests, _ = tests.Baseline().before_each(counts.bad_stable, counts.stable, tests.decay(history.block))
        factors = tests.worse(counts, tests.rate(events, requests), tolerated) / by
        path = carried(Wealth(request_shares.HARM_WEIGHTS, 0.0), factors)
        if float(path.log.max(initial=0.0)) >= math.log(1 / alpha):
            return "in its history one of stable's pods was worse than the others beyond chance: widen the tolerance"
    return None


def _of_histogram(metric: Metric, series: Sequence[Series], start: float, end: float, wish: str) -> HistoryFinding:
    reading, edges = _reading(start), _edges(start, end)
    side = histograms_of(series, "stable", reading)
    if isinstance(side, Missing) or not side.edges:
        return HistoryFinding(Prior(mode=mode(None, wish)))
    slower, total = counts_beyond(side, side.edges, edges, reading)
    everybody = total.sum()
    if everybody <= 0:
        return HistoryFinding(Prior(mode=mode(None, wish)))
    noise = _noise_of_tails(side, slower.sum(axis=0) / everybody, 1 - metric.quantile_share, edges, reading)
    within = {edge: float(everybody - slow) for edge, slow in zip(side.edges, slower.sum(axis=0), strict=True)}
    recent = total[-RECENT_STEPS:].sum() / (min(len(total), RECENT_STEPS) * HISTORY_STEP.total_seconds())
    usual = Prior(
        mode=mode(noise, wish),
        dispersion=noise.dispersion if noise is not None else 1.0,
        share=1 - metric.quantile_share,
        rate=float(recent),
        buckets={**_thin(within), math.inf: float(everybody)} if everybody >= FEWEST_REQUESTS else None,
    )
    return HistoryFinding(usual, _warn_of_coarse_buckets(metric, side, slower.sum(axis=0), float(everybody), usual))


def _thin(within: Mapping[float, float]) -> dict[float, float]:
    """MOST_KEPT_EDGES of the edges at most: what is noted has to fit into a status."""
    every = math.ceil(len(within) / MOST_KEPT_EDGES) if within else 1
    return dict(list(within.items())[::every])


def _noise_of_tails(side: ArmHistograms, tails: Floats, share: float, edges: Floats, reading: Reading) -> Noise | None:
    """The noise of the noisiest of some tails, pod by pod: label sets of one pod (paths, methods) are one."""
    wanted = np.log(np.array((*NOISE_TAILS, share)))
    places = sorted(set(np.abs(np.log(tails + 1e-9)[None, :] - wanted[:, None]).argmin(axis=1).tolist()))
    bounds = [side.edges[place] for place in places]
    pods: dict[Target, tuple[Floats, Floats]] = {}
    for group in side.histograms:
        target = target_of(group[math.inf].labels) or ()
        slow, requests = counts_beyond(ArmHistograms((group,), side.arm), bounds, edges, reading)
        known = pods.get(target, (np.zeros_like(slow), np.zeros_like(requests)))
        pods[target] = (known[0] + slow, known[1] + requests)
    total = np.array([requests for _, requests in pods.values()])
    histories = [
        _since_busy(np.array([slow[:, number] for slow, _ in pods.values()]), total) for number in range(len(bounds))
    ]
    return noisiest([measured(history) if history else None for history in histories])


def _warn_of_coarse_buckets(
    metric: Metric, side: ArmHistograms, slower: Floats, total: float, usual: Prior
) -> str | None:
    """What the buckets are too coarse to show, said before anybody waits for it."""
    if metric.tolerance is None:
        return None
    edges = bucket_edges.choose_edges(side.edges, side.edges, metric.tolerance, None, usual.buckets)
    there = quantile(side.edges, slower, total, metric.quantile_share)
    told = bucket_edges.what_edges_hide(
        edges, metric.tolerance, there, total, metric.quantile_share, wording.unit_of(metric)
    )
    return told[0] if told else None


def _of_value(one: Sequence[Series], others: Sequence[Series], tick: float) -> float | None:
    """The long-run variance of a reading's difference between one pod and the others, for a tick's reading."""
    if len(one) != 1 or len(others) != 1:
        return None
    mine, theirs = dict(one[0].samples), dict(others[0].samples)
    times = np.array(sorted(at for at in mine.keys() & theirs.keys() if math.isfinite(mine[at] - theirs[at])))
    if times.size < 2:
        return None
    step = float(np.median(np.diff(times)))
    differences = np.array([mine[at] - theirs[at] for at in times.tolist()])
    found = long_run_variance(differences, max(round(BLOCK / step), 1))
    # What lasts longer than a step counts for more in a longer tick's favour only if it is forgotten: it may not be.
    return None if found is None else found * max(step / tick, 1.0)
