"""Histograms against their bounds: shares of requests beyond bucket edges, which buckets know exactly. Pure.

A tolerance says how much slower every request may be: `latency of candidate ≤ (1 + relative) · latency of stable +
absolute` in distribution. Then the candidate's share of requests slower than an edge b′ is at most stable's share
slower than any edge b with b·(1 + relative) + absolute ≤ b′. So the candidate's tail beyond each b′ is compared with
stable's tail beyond b, without interpolation, and all edges in one test of the whole distribution. The quantile is used
for the limit, for people, and for the regression that has to be ruled out before a step ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing, Parts
from modelrollout.analysis.evidence.tracks import Keep, Track, Wealths, Words, bet, carry_over
from modelrollout.analysis.kinds import arrivals, request_shares, time_to_pass
from modelrollout.analysis.kinds import edges as bucket_edges
from modelrollout.analysis.kinds.arrivals import Arriving
from modelrollout.analysis.kinds.edges import Edges, slack
from modelrollout.analysis.kinds.histogram_history import histogram_prior
from modelrollout.analysis.kinds.metric_kind import Form, MetricKind, Part, Sensitivity
from modelrollout.analysis.kinds.pod_cells import HitCells
from modelrollout.analysis.kinds.pod_noise import PodNoise, keep_nothing, pod_noise, slow_by_pod
from modelrollout.analysis.kinds.request_shares import Ticks
from modelrollout.analysis.kinds.tail_cells import tails_in_cells
from modelrollout.analysis.kinds.tails import (
    GOOD_TAIL_WEIGHTS,
    CountedTails,
    RuleOut,
    allowing_for_pods,
    choose_tails,
    count_tails,
    excluded,
)
from modelrollout.analysis.parts import HISTOGRAM
from modelrollout.analysis.samples import silent_arms
from modelrollout.analysis.samples.buckets import ArmHistograms, counts_beyond, histograms_of, quantile
from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.analysis.samples.over_time import SeriesOfArm, quantiles
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.api.status import Verdict
from modelrollout.sequential import distributions
from modelrollout.sequential.distributions import Slower
from modelrollout.sequential.noise import Mode
from modelrollout.sequential.proportions import HALF_LIFE, Bound, decay

Floats = npt.NDArray[np.float64]


def histogram_evidence(start: LookStart, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a histogram. Stable None: it is not compared; Missing: it should be, and cannot."""
    window = SampleWindow(start.since, start.look_back, start.warm_up)
    mine = histograms_of(candidate[HISTOGRAM], "the candidate", window)
    if isinstance(mine, Missing):
        return _stable_alone(start, mine, stable, window)
    theirs = _stable_side(stable, mine, window) if start.metric.tolerance is not None else None
    other = theirs if isinstance(theirs, ArmHistograms) else None
    arms = {"the candidate": mine.scrapes, "stable": other.scrapes if other else None}
    gap = theirs if isinstance(theirs, Missing) else silent_arms.silent_arm(arms, start.end)
    edges = _edges(start, mine, other)
    if isinstance(edges, Missing):
        return edges
    counted = count_tails(start, edges, mine, other, window)
    nears = [edges.all[place] for place in edges.near]
    usual = slow_by_pod(other, nears, window) if other is not None and nears else None
    frontier = min(*(side.scrapes.frontier for side in (mine, other) if side is not None), start.end)
    noise = pod_noise(start, counted.ticks.edges, frontier, slow_by_pod(mine, (), window), usual)
    arriving = arrivals.nothing_arrives(start)
    if other is not None:
        own, bounds = counted.ticks.counts, counted.ticks.edges
        arriving = arrivals.arriving(start, bounds, own.candidate, own.stable, mine.scrapes, other.scrapes)
    in_cells = None
    if other is not None:
        in_cells = partial(tails_in_cells, start, counted, noise, (mine, other), window, frontier)
    return _HistogramJudge(start, counted, noise, arriving, in_cells).evidence(gap)


def _stable_alone(start: LookStart, mine: Missing, stable: Parts | Missing | None, window: SampleWindow) -> Missing:
    """Without any sample of the candidate: requests that reach stable show that it gets none."""
    if stable is None or isinstance(stable, Missing) or start.metric.tolerance is None:
        return mine
    theirs = histograms_of(stable[HISTOGRAM], "stable", window)
    if isinstance(theirs, Missing):
        return mine
    edges = start.course.edges(start.first, min(theirs.scrapes.frontier, start.end))
    _, total = counts_beyond(theirs, (), edges, window)
    return replace(mine, arrivals=arrivals.arriving(start, edges, 0 * total, total, theirs.scrapes).now)


def _stable_side(
    stable: Parts | Missing | None, mine: ArmHistograms, window: SampleWindow
) -> ArmHistograms | Missing | None:
    if stable is None or isinstance(stable, Missing):
        return stable
    theirs = histograms_of(stable[HISTOGRAM], "stable", window)
    if isinstance(theirs, ArmHistograms) and not set(mine.edges) & set(theirs.edges):
        return Missing(Verdict.NO_DATA, "the buckets of candidate and stable have no edge in common", mistake=True)
    return theirs


def _edges(start: LookStart, mine: ArmHistograms, theirs: ArmHistograms | None) -> Edges | Missing:
    """The compared edges: fixed at the first look of a rollout, because the bets are on them."""
    kept, nears = start.ledger.get("edges"), start.ledger.get("nears")
    tolerance = start.metric.tolerance
    if kept is not None and nears is not None and kept.size:
        edges = tuple(kept.tolist())
        found = bucket_edges.pair_edges(edges, nears.astype(int).tolist(), tolerance)
        compared = {edges[place] for place in found.near}
        has_own = mine.is_native or set(edges) <= set(mine.edges)
        if has_own and (theirs is None or theirs.is_native or compared <= set(theirs.edges)):
            return found
        why = "the buckets changed in the middle of the rollout: edges that were compared are gone"
        return Missing(Verdict.NO_DATA, why, mistake=True)
    shared = sorted(set(mine.edges) & set(theirs.edges)) if theirs else list(mine.edges)
    limit = start.metric.max.value if start.metric.max is not None else None
    return bucket_edges.choose_edges(shared, mine.edges, tolerance, limit, start.prior.buckets)


class _HistogramJudge:
    """Turns the counted tails of a look into evidence. `in_cells`: bets on cells; None where nothing is compared."""

    def __init__(
        self,
        start: LookStart,
        counted: CountedTails,
        noise: PodNoise,
        arriving: Arriving,
        in_cells: Callable[[Floats], HitCells] | None,
    ) -> None:
        self._start, self._counted, self._noise, self._is_compared = start, counted, noise, in_cells is not None
        self._arriving, self._in_cells = arriving, in_cells
        self._keep_cells: Keep = keep_nothing
        metric, ledger = start.metric, start.ledger
        self._q = metric.quantile_share
        self._unit = bucket_edges.unit_of_edges(metric)
        count = len(counted.ticks)
        self._totals = request_shares.totals_after(counted.ticks, count, ledger)
        self._mine = _tail("mine", counted.mine, counted.ticks, count, ledger)
        self._theirs = _tail("theirs", counted.theirs, counted.ticks, count, ledger)
        self._mine_at = quantile(counted.edges.all, self._mine, self._totals.candidate, self._q)
        self._stable_at = quantile(counted.edges.all, self._theirs, self._totals.stable, self._q)
        self._known: Floats | None = None
        self._rule_out: RuleOut | None = None
        self._wealths: list[Wealths] = []

    def evidence(self, gap: Missing | None) -> Evidence:
        counted, metric, totals = self._counted, self._start.metric, self._totals
        tracks: list[Track] = []
        unseen: list[str] = []
        if self._is_compared and metric.tolerance is not None and counted.edges.far:
            unseen += bucket_edges.what_edges_hide(
                counted.edges, metric.tolerance, self._stable_at, totals.stable, self._q, self._unit
            )
            tracks.append(self._tolerance(metric.tolerance))
        if metric.max is not None:
            limit = self._limit(metric.max.value, metric.max)
            tracks += [limit] if isinstance(limit, Track) else []
            unseen += [limit] if isinstance(limit, str) else []
        return Evidence(
            unit="requests",
            what=f"p{100 * self._q:g} ",
            candidate=_shown(self._mine_at, counted.edges.all, totals.candidate, self._unit),
            stable=_shown(self._stable_at, counted.edges.all, totals.stable, self._unit) if self._is_compared else None,
            samples=totals.candidate,
            stable_samples=totals.stable if self._is_compared else None,
            tracks=tuple(tracks),
            ticks=counted.ticks.settled,
            keep=self._keep,
            seconds=totals.seconds,
            interval=self._interval(),
            notes=(*self._where(), *self._noise.notes) if self._is_compared else (),
            unseen=tuple(unseen),
            gap=gap or self._blank(),
            arrivals=self._arriving.now,
        )

    def _blank(self) -> Missing | None:
        """Why the buckets cannot answer the metric's question, so that it may not pass."""
        edges, metric, name = self._counted.edges.all, self._start.metric, f"p{100 * self._q:g}"
        if self._is_compared and edges and self._totals.stable > 0 and self._stable_at == math.inf:
            last = wording.text(edges[-1], self._unit)
            return Missing(
                Verdict.NO_DATA, f"stable's {name} is beyond the last bucket edge, {last}, so it shows nothing"
            )
        if self._is_compared and not self._counted.edges.far:
            last = wording.text(edges[-1], self._unit)
            why = f"from every bucket edge the tolerance reaches beyond the last, {last}, so nothing can be compared"
            return Missing(Verdict.NO_DATA, f"{why}: give the histogram more edges, or narrow the tolerance")
        if metric.max is None or self._totals.candidate <= 0 or self._mine_at <= metric.max.value:
            return None
        found = bucket_edges.first_edge_beyond(edges, metric.max.value)
        if not found:
            return Missing(Verdict.NO_DATA, f"no bucket edge reaches max {metric.max}, and {name} is beyond the last")
        place = edges.index(found[0])
        if self._mine[place] > (1 - self._q) * self._totals.candidate * (1 + bucket_edges.ROUNDING):
            return None
        upper = wording.text(found[0], self._unit)
        between = f"between {wording.text(edges[place - 1], self._unit)} and {upper}" if place else f"below {upper}"
        why = f"the buckets do not tell whether max {metric.max} is kept: {name} lies {between}"
        return Missing(Verdict.NO_DATA, why)

    def _tolerance(self, tolerance: Tolerance) -> Track:
        counted, start = self._counted, self._start
        ticks, noise = counted.ticks, self._noise
        slower = allowing_for_pods(counted, noise, start.prior.reaches)
        self._known = distributions.known_before(
            _history(start, counted.edges), counted.theirs, ticks.counts.stable, decay(start.course.tick)
        )
        known = _on_fewer_edges(self._known, counted.edges.near)
        harm, shares = self._all_bets(distributions.slower(slower, known[:-1]) / noise.harm[:, None], known[:-1])
        rule_out = self._rule_out = choose_tails(start.metric, counted, self._known, self._q)
        good = rule_out.better() / noise.good[:, None]
        wealths = bet(
            "tolerance",
            harm,
            shares,
            good,
            GOOD_TAIL_WEIGHTS,
            restarts=ticks.restarts,
            beginnings=ticks.beginnings,
            ledger=start.ledger,
        )
        self._wealths.append(wealths)
        limit, far = slack(self._stable_at, tolerance), slack(self._stable_at, excluded(start.metric))
        words = Words(
            f"≤ {wording.text(limit, self._unit)}" if limit < math.inf else "what is tolerated",
            f"≥ {wording.text(far, self._unit)}" if far < math.inf else "much more",
        )
        harm_by, good_by = noise.discounts
        drifts = (_drift(slower, known) / harm_by, rule_out.drift() / good_by)
        is_kept = self._mine_at <= limit * (1 + bucket_edges.ROUNDING) < math.inf
        return request_shares.track(wealths, words, is_kept=is_kept, drifts=drifts, share=start.prior.share_kept)

    def _all_bets(self, harm: Floats, known: Floats) -> tuple[Floats, Floats]:
        """ln of the factors of all bets on harm and ln of their shares: on cells as well, where noise is unknown."""
        shares = distributions.log_weights(len(self._counted.edges.far))
        if self._in_cells is None or self._start.prior.mode is not Mode.ASSUMED:
            return harm, shares
        found = self._in_cells(known)
        self._keep_cells = found.keep
        return request_shares.half_on_cells(harm, shares, found.log_e)

    def _limit(self, limit: float, written: str) -> Track | str:
        """`max` as a limit on a share: at most 1 − q of the requests may lie beyond the first edge at or above max."""
        counted, totals = self._counted, self._totals
        found = bucket_edges.first_edge_beyond(counted.edges.all, limit)
        if not found:
            return f"no bucket edge reaches max {written}, so breaking it cannot be seen"
        place = counted.edges.all.index(found[0])
        allowed = 1 - self._q
        wealths = request_shares.hold_to_limit(
            "max",
            counted.ticks,
            counted.mine[:, place],
            counted.ticks.counts.candidate,
            allowed,
            self._noise,
            self._start.ledger,
        )
        self._wealths.append(wealths)
        beyond_it = wording.share(request_shares.unacceptable_limit(allowed))
        words = Words(f"≤ {written}", f"≥ {beyond_it} of its requests slower than {wording.text(found[0], self._unit)}")
        drifts = request_shares.limit_drifts(float(self._mine[place]), totals.candidate, allowed, self._noise.discounts)
        is_kept, share = totals.candidate > 0 and self._mine_at <= limit, self._start.prior.share_of_limits
        return request_shares.track(wealths, words, is_kept=is_kept, drifts=drifts, share=share)

    def _keep(self, count: int) -> Ledger:
        counted, ledger = self._counted, self._start.ledger
        kept: dict[str, Floats] = {
            "edges": np.array(counted.edges.all),
            "nears": np.array(counted.edges.near, dtype=np.float64),
            "mine": _tail("mine", counted.mine, counted.ticks, count, ledger),
            "theirs": _tail("theirs", counted.theirs, counted.ticks, count, ledger),
        }
        kept |= request_shares.totals_in_ledger(request_shares.totals_after(counted.ticks, count, ledger))
        known = ledger.get("known") if self._known is None else self._known[count]
        if known is not None:
            kept["known"] = known
        if self._rule_out is not None:
            kept |= request_shares.ratios_after(ledger, self._rule_out.alike.first(count))
        elif (ratios := ledger.get("ratios")) is not None:
            kept["ratios"] = ratios
        if counted.keep_shifts is not None:
            kept |= counted.keep_shifts(count)
        kept |= self._noise.keep(count)
        kept |= self._keep_cells(count)
        kept |= self._arriving.keep(count)
        for one in self._wealths:
            kept |= one.ledger(count)
        return {**carry_over(ledger, counted.ticks.beginnings, count), **kept}

    def _interval(self) -> str | None:
        if self._rule_out is None:
            return None
        times = request_shares.times_stable(self._start.ledger, self._rule_out.alike, request_shares.INTERVAL_ALPHA)
        return f"its share of slow requests is {times}" if times else None

    def _where(self) -> list[str]:
        """A note on the edges where the candidate's tail exceeds stable's most, if it does so clearly."""
        edges, totals = self._counted.edges, self._totals
        if not edges.far or min(totals.candidate, totals.stable) <= 0:
            return []
        mine = self._mine[list(edges.far)] / totals.candidate
        theirs = self._theirs[list(edges.near)] / totals.stable
        noise = np.sqrt((mine + theirs) / totals.candidate + 1e-12)
        worst = int(np.argmax((mine - theirs) / noise))
        if mine[worst] - theirs[worst] < 3 * noise[worst]:
            return []
        far, near = edges.all[edges.far[worst]], edges.all[edges.near[worst]]
        return [
            f"{wording.share(mine[worst])} took longer than {wording.text(far, self._unit)}, "
            f"of stable {wording.share(theirs[worst])} longer than {wording.text(near, self._unit)}"
        ]


def _tail(name: str, grown: Floats, ticks: Ticks, count: int, ledger: Ledger) -> Floats:
    """Counts beyond edges since the current step began."""
    begun = [at for at in ticks.beginnings if at <= count]
    kept = ledger.get(name)
    known = np.zeros(grown.shape[1]) if begun or kept is None or kept.size != grown.shape[1] else kept
    return np.asarray(known + grown[begun[-1] if begun else 0 : count].sum(axis=0), dtype=np.float64)


def _history(start: LookStart, edges: Edges) -> Floats:
    """Stable's requests by bucket before the first new tick: from the ledger, else from its history, else 0."""
    kept, buckets = start.ledger.get("known"), start.prior.buckets
    if kept is not None and kept.size == len(edges.all) + 1:
        return kept
    if buckets is None or start.prior.rate is None or (total := buckets.get(math.inf, 0.0)) <= 0:
        return np.zeros(len(edges.all) + 1)
    within = np.array([0.0, *(buckets.get(edge, 0.0) for edge in edges.all), total])
    lasting = HALF_LIFE / math.log(2) * start.prior.rate / total
    return np.diff(np.maximum.accumulate(within)) * min(lasting, 1.0)


def _on_fewer_edges(known: Floats, nears: tuple[int, ...]) -> Floats:
    """Rows of requests by bucket, merged to fewer edges."""
    sums = np.concatenate((np.zeros((len(known), 1)), known.cumsum(axis=1)), axis=1)
    return np.diff(sums[:, [0, *(place + 1 for place in nears), known.shape[1]]], axis=1)


def _drift(slower: Slower, known: Floats) -> float:
    """The expected growth of ln of the best bet with each further request of the candidate."""
    mine, theirs = float(slower.candidate.sum()), float(slower.stable.sum())
    if mine <= 0 or theirs <= 0:
        return 0.0
    one = Slower(
        slower.beyond_candidate.sum(axis=0, keepdims=True) / mine,
        np.ones(1),
        slower.beyond_stable.sum(axis=0, keepdims=True) / mine,
        np.array([theirs / mine]),
    )
    return max(float(distributions.slower(one, known[-1:]).max()), 0.0)


def _shown(value: float, edges: tuple[float, ...], total: float, unit: wording.Unit) -> str:
    if total <= 0:
        return "nothing"
    if value < math.inf:
        return wording.text(value, unit)
    return f"> {wording.text(edges[-1], unit)}" if edges else "unknown"


def _parts(metric: Metric) -> list[Part]:
    return [Part(HISTOGRAM, metric.histogram, HISTOGRAM)] if metric.histogram is not None else []


def _over_time(metric: Metric, parts: SeriesOfArm, edges: Floats, window: SampleWindow) -> list[float]:
    return quantiles(metric.quantile_share, parts.get(HISTOGRAM, ()), edges, window)


def _visible_words(metric: Metric, usual: float, share: float) -> str:
    return f"{wording.share(share)} or more as slow as the slowest {wording.share(usual)} were"


KIND = MetricKind(
    form=Form.HISTOGRAM,
    parts=_parts,
    evidence=histogram_evidence,
    over_time=_over_time,
    unit=bucket_edges.unit_of_edges,
    prior=histogram_prior,
    # Of requests as slow as stable's slowest beyond the quantile: the tolerance is on time, not on a share.
    sensitivity=Sensitivity(
        bound=lambda metric: Bound(1.0),
        usual=lambda metric, share: "",
        visible=_visible_words,
        is_exact=False,
        seconds_to_pass=time_to_pass.of_histogram,
    ),
)
