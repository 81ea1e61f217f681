"""Histograms against their bounds: shares of requests beyond bucket edges, which buckets know exactly. Pure.

A tolerance says how much slower every request may be: `latency of candidate ≤ (1 + relative) · latency of stable +
absolute` in distribution. Then the share of the candidate slower than an edge b′ is at most the share of stable slower
than any edge b with b·(1 + relative) + absolute ≤ b′. So edge by edge the candidate's tail beyond b′ is compared with
stable's beyond b, without any interpolation, and all of them in one test: the whole distribution is compared. The
quantile is for the limit, for people, and for what has to be ruled out before a step ends.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import shares, wording
from modelrollout.analysis.counts import Reading
from modelrollout.analysis.evidence import Before, Evidence, Missing, Parts
from modelrollout.analysis.histograms import Side, beyond, quantile, side_of
from modelrollout.analysis.ledger import Ledger
from modelrollout.analysis.queries import HISTOGRAM
from modelrollout.analysis.sequential import distributions
from modelrollout.analysis.sequential.counts import Bound, Counts, better, decay, rate
from modelrollout.analysis.sequential.distributions import Slower
from modelrollout.analysis.sequential.noise import INFLATION, Mode
from modelrollout.analysis.sequential.wealth import weights
from modelrollout.analysis.shares import Ticks
from modelrollout.analysis.tracks import Track, Two, Words, followed
from modelrollout.api.spec import Metric, Tolerance
from modelrollout.api.status import Verdict

Floats = npt.NDArray[np.float64]

DEFAULT_QUANTILE = "0.99"
ROUNDING = 1e-9  # edges are decimal: 0.1 × 1.1 is not quite 0.11
MOST_EDGES = 24
"""Edges that are compared at most: more of them hardly see more, and every one costs time and room in the status."""
TAILS: tuple[float, ...] = (0.95, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.004, 0.001, 1e-4, 1e-6)
"""Of more edges those are kept beyond which stable had about these shares of its requests; statistics: 2.3."""
TWICE_AS_SLOW = 1.0
COARSE = Bound(3.0)
"""What is ruled out where no bucket edge lies at twice the quantile: a tail three times as heavy."""
GOOD_SHARES: Floats = np.array([0.02, 0.1, 0.3, 0.6])
"""Candidate's tail beyond the farther edge as parts of stable's beyond the nearer one."""
GOOD_WEIGHTS = weights(np.ones(GOOD_SHARES.size))


@dataclass(frozen=True, slots=True)
class Seen:
    """What was counted in the new ticks: beyond the edges that are compared, and beyond all edges of the candidate."""

    pairs: tuple[tuple[float, float], ...]  # edges of stable and of the candidate
    slower: Slower
    own_edges: tuple[float, ...]
    own: Floats  # ticks × own_edges


def histogram_evidence(before: Before, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a histogram. Stable None: it is not compared; Missing: it should be, and cannot."""
    reading = Reading(before.since, before.look_back, before.warm_up)
    mine = side_of(candidate[HISTOGRAM], "the candidate", reading)
    if isinstance(mine, Missing):
        return mine
    theirs: Side | Missing | None = stable if stable is None or isinstance(stable, Missing) else side_of(
        stable[HISTOGRAM], "stable", reading
    )  # fmt: skip
    if isinstance(theirs, Side) and not set(mine.edges) & set(theirs.edges):
        theirs = Missing(Verdict.NO_DATA, "the buckets of candidate and stable have no edge in common", mistake=True)
    other = theirs if isinstance(theirs, Side) and before.metric.tolerance is not None else None
    frontier = min(mine.arm.frontier, other.arm.frontier if other else mine.arm.frontier, before.end)
    edges = before.course.edges(before.first, frontier)
    chosen = _chosen(before, mine, other)
    if isinstance(chosen, Missing):
        return chosen
    pairs = tuple(zip(*chosen, strict=True))
    own_edges = tuple(sorted({far for _, far in pairs} | set(_near_limit(before.metric, mine.edges))))
    own, total = beyond(mine, own_edges, edges, reading)
    slow = own[:, [own_edges.index(far) for _, far in pairs]]
    if other is not None:
        usual, everybody = beyond(other, [near for near, _ in pairs], edges, reading)
    else:
        usual, everybody = np.zeros_like(slow), np.zeros_like(total)
    seen = Seen(pairs, Slower(slow, total, usual, everybody), own_edges, own)
    gap = theirs if isinstance(theirs, Missing) and before.metric.tolerance is not None else None
    return _concluded(before, edges, chosen, seen, is_compared=other is not None, gap=gap)


Chosen = tuple[tuple[float, ...], tuple[float, ...]]
"""Edges of stable, and the candidate's that each is compared with."""


def _chosen(before: Before, mine: Side, theirs: Side | None) -> Chosen | Missing:
    """The edges that are compared: fixed at the first look of a rollout, for the bets are on them."""
    shared = sorted(set(mine.edges) & set(theirs.edges)) if theirs else list(mine.edges)
    kept = before.ledger.get("edges")
    if kept is not None and kept.size and kept.size % 2 == 0:
        if mine.is_native or set(kept.tolist()) <= set(mine.edges):
            half = kept.size // 2
            return tuple(kept[:half].tolist()), tuple(kept[half:].tolist())
        why = "the buckets changed in the middle of the rollout: edges that were compared are gone"
        return Missing(Verdict.NO_DATA, why, mistake=True)
    pairs = edge_pairs(shared, before.metric.tolerance or Tolerance())
    thinned = _thinned([near for near, _ in pairs], before.usual.buckets)
    fars = dict(pairs)
    return thinned, tuple(fars[near] for near in thinned)


def _thinned(edges: Sequence[float], usual: Mapping[float, float] | None) -> tuple[float, ...]:
    """At most MOST_EDGES of them: by stable's tails where its history is known, else evenly."""
    if len(edges) <= MOST_EDGES:
        return tuple(edges)
    within = usual or {}
    total = within.get(math.inf, 0.0)
    if total <= 0 or any(edge not in within for edge in edges):
        places = np.unique(np.linspace(0, len(edges) - 1, MOST_EDGES).round().astype(int))
        return tuple(edges[place] for place in places)
    tails = np.array([1 - within[edge] / total for edge in edges])
    distance = np.abs(np.log(np.maximum(tails, 1e-9))[None, :] - np.log(np.array(TAILS))[:, None])
    return tuple(edges[place] for place in sorted(set(distance.argmin(axis=1).tolist())))


def _concluded(
    before: Before, edges: Floats, chosen: Chosen, seen: Seen, *, is_compared: bool, gap: Missing | None
) -> Evidence:
    metric, ledger, usual = before.metric, before.ledger, before.usual
    q = float(metric.quantile or DEFAULT_QUANTILE)
    unit = wording.unit_of(metric)
    course = before.course
    slower = seen.slower
    left = decay(course.tick)
    dispersion = INFLATION * usual.dispersion if usual.mode in (Mode.RANKED, Mode.DISPERSED, Mode.STRICT) else 1.0
    # Requests by bucket, of both arms, at this step: for people.
    none = np.zeros(len(edges) - 1)
    ticks = Ticks(edges, Counts(none, slower.candidate, none, slower.stable), course.beginnings(edges),
                  course.onsets.restarts(edges, course.steps))  # fmt: skip
    totals = shares.totals_after(ticks, len(ticks), ledger)
    own_tail = _kept_sum("own", seen.own, ticks, len(ticks), ledger)
    stable_tail = _kept_sum("usual", slower.beyond_stable, ticks, len(ticks), ledger)
    near_edges = [near for near, _ in seen.pairs]
    mine_q = quantile(seen.own_edges, own_tail, totals.candidate, q)
    stable_q = quantile(near_edges, stable_tail, totals.stable, q) if is_compared else math.inf
    twos: list[Two] = []
    tracks: list[Track] = []
    unseen: list[str] = []
    known = None
    comparison: Counts | None = None
    if is_compared and metric.tolerance is not None and seen.pairs:
        known = distributions.known_before(_known(before, seen), slower.beyond_stable, slower.stable, left)
        harm = distributions.slower(slower, known[:-1].copy()) / dispersion
        comparison, events, requests, bound = _to_rule_out(metric, seen, known, q)
        good = better(comparison, rate(events, requests), bound, GOOD_SHARES / _ratio(bound)) / dispersion
        two = followed("tolerance", harm, weights(np.ones(harm.shape[1])), good, GOOD_WEIGHTS,
                       restarts=ticks.restarts, beginnings=ticks.beginnings, ledger=ledger)  # fmt: skip
        twos.append(two)
        limit = slack(stable_q, metric.tolerance)
        far = slack(stable_q, excluded(metric))
        words = Words(
            f"≤ {wording.text(limit, unit)}" if limit < math.inf else "unknown",
            f"≥ {wording.text(far, unit)}" if far < math.inf else "much more",
        )
        drifts = _drifts(slower, known, comparison, events, requests, bound, dispersion)
        is_kept = mine_q <= limit * (1 + ROUNDING) < math.inf
        share = 0.5 if usual.mode in (Mode.RANKED, Mode.DISPERSED, Mode.STRICT) else 1.0
        tracks.append(shares.track(two, words, is_kept=is_kept, drifts=drifts, share=share))
        unseen += _blind(metric.tolerance, near_edges, stable_q, totals.stable, q, unit)
    if metric.max is not None:
        above = next((edge for edge in seen.own_edges if edge >= metric.max.value * (1 - ROUNDING)), None)
        if above is None:
            unseen.append(f"no bucket edge reaches max {metric.max}, so breaking it cannot be seen")
        else:
            events_beyond = seen.own[:, seen.own_edges.index(above)]
            slow = float(own_tail[seen.own_edges.index(above)])
            two = shares.limited("max", ticks, events_beyond, slower.candidate, 1 - q, dispersion, ledger)
            twos.append(two)
            is_kept = totals.candidate > 0 and mine_q <= metric.max.value
            drifts = shares.limited_drifts(slow, totals.candidate, 1 - q, dispersion)
            beyond_it = wording.share(shares.unacceptable_limit(1 - q))
            words = Words(f"≤ {metric.max}", f"≥ {beyond_it} of its requests slower than {wording.text(above, unit)}")
            tracks.append(shares.track(two, words, is_kept=is_kept, drifts=drifts))

    def keep(count: int) -> Ledger:
        kept: dict[str, Floats] = {"edges": np.array([*chosen[0], *chosen[1]])}
        kept |= shares.as_ledger(shares.totals_after(ticks, count, ledger))
        kept["own"] = _kept_sum("own", seen.own, ticks, count, ledger)
        kept["usual"] = _kept_sum("usual", slower.beyond_stable, ticks, count, ledger)
        if known is not None:
            kept["known"] = known[count]
        if comparison is not None:
            first = Counts(*(part[:count] for part in (comparison.bad_candidate, comparison.candidate,
                                                       comparison.bad_stable, comparison.stable)))  # fmt: skip
            kept |= shares.ratios_after(ledger, first)
        for one in twos:
            kept |= one.ledger(count)
        return kept

    return Evidence(
        unit="requests",
        what=f"p{100 * q:g} ",
        candidate=_shown(mine_q, seen.own_edges, totals.candidate, unit),
        stable=_shown(stable_q, near_edges, totals.stable, unit) if is_compared else None,
        samples=totals.candidate,
        stable_samples=totals.stable if is_compared else None,
        tracks=tuple(tracks),
        ticks=len(ticks),
        keep=keep,
        seconds=totals.seconds,
        interval=_interval(ledger, comparison),
        notes=tuple(_where(seen, own_tail, stable_tail, totals, unit)) if is_compared else (),
        unseen=tuple(unseen),
        gap=gap,
    )


def _kept_sum(name: str, grown: Floats, ticks: Ticks, count: int, ledger: Ledger) -> Floats:
    """Counts beyond edges since the present step began."""
    begun = [at for at in ticks.beginnings if at <= count]
    kept = ledger.get(name)
    known = np.zeros(grown.shape[1]) if begun or kept is None or kept.size != grown.shape[1] else kept
    return np.asarray(known + grown[begun[-1] if begun else 0 : count].sum(axis=0), dtype=np.float64)


def _known(before: Before, seen: Seen) -> Floats:
    """Stable's requests by bucket before the first new tick: kept, else of its history, else nothing."""
    kept = before.ledger.get("known")
    if kept is not None and kept.size == len(seen.pairs) + 1:
        return kept
    usual = before.usual
    if usual.buckets is None or usual.rate is None or (total := usual.buckets.get(math.inf, 0.0)) <= 0:
        return np.zeros(len(seen.pairs) + 1)
    within = [0.0, *(usual.buckets.get(near, 0.0) for near, _ in seen.pairs), total]
    lasting = 600.0 / math.log(2) * usual.rate / total
    return np.diff(np.maximum.accumulate(np.array(within))) * min(lasting, 1.0)


def _to_rule_out(metric: Metric, seen: Seen, known: Floats, q: float) -> tuple[Counts, Floats, Floats, Bound]:
    """The tails whose comparison rules out what is unacceptable: near the quantile, chosen before each tick.

    The candidate's tail beyond the farther edge against stable's beyond the nearer one: were every request slower by
    as much as is unacceptable, they would be alike.
    """
    unacceptable = excluded(metric)
    reach = {near: slack(near, unacceptable) for near, _ in seen.pairs}
    fars = {near: next((edge for edge in seen.own_edges if edge >= least * (1 - ROUNDING)), None)
            for near, least in reach.items()}  # fmt: skip
    fars = {near: far for near, far in fars.items() if far is not None}
    nears = [near for near, _ in seen.pairs]
    usable = [index for index, near in enumerate(nears) if near in fars]
    is_coarse = not usable
    usable = usable or list(range(len(nears)))
    tails = known[:, ::-1].cumsum(axis=1)[:, -2::-1]
    totals = known.sum(axis=1)
    shares_beyond = (tails + 1e-3) / (totals + 1)[:, None]
    distance = np.abs(np.log(np.maximum(shares_beyond[:-1, usable], 1e-12)) - math.log(1 - q))
    places = np.array(usable)[distance.argmin(axis=1)]
    rows = np.arange(len(places))
    slower = seen.slower
    far_places = [seen.own_edges.index(fars[near]) if near in fars else seen.own_edges.index(far)
                  for near, far in seen.pairs]  # fmt: skip
    mine = seen.own[rows, np.array(far_places)[places]] if len(rows) else np.empty(0)
    theirs = slower.beyond_stable[rows, places]
    counts = Counts(mine, slower.candidate, theirs, slower.stable)
    return counts, tails[:-1][rows, places], totals[:-1], COARSE if is_coarse else Bound(1.0)


def _ratio(bound: Bound) -> float:
    """GOOD_SHARES are of the bound; for a coarse one they are of stable's own tail."""
    return 1.0 if bound.factor <= 1 else 0.75


def excluded(metric: Metric) -> Tolerance:
    """By how much slower than stable is unacceptable: as the user says, else twice, and twice what is tolerated."""
    if metric.exclude is not None:
        return metric.exclude
    tolerance = metric.tolerance
    relative = max(TWICE_AS_SLOW, 2 * tolerance.relative.value if tolerance else 0.0)
    absolute = 2 * tolerance.absolute.value if tolerance else 0.0
    return Tolerance.model_validate({"relative": f"{relative:.6f}", "absolute": f"{absolute:.9f}"})


def edge_pairs(edges: Sequence[float], tolerance: Tolerance) -> list[tuple[float, float]]:
    """For each edge of the candidate the largest one of stable that, with the tolerance, is not beyond it."""
    reach = list(accumulate((slack(edge, tolerance) for edge in edges), max))
    below = [bisect_right(reach, far + ROUNDING * abs(far)) for far in edges]
    pairs = [(edges[count - 1], far) for count, far in zip(below, edges, strict=True) if count]
    # Beyond one edge of stable the nearest of the candidate's says most.
    return list({near: (near, far) for near, far in reversed(pairs)}.values())[::-1]


def slack(value: float, tolerance: Tolerance) -> float:
    """The value, and what the tolerance allows above it."""
    return value + tolerance.relative.value * abs(value) + tolerance.absolute.value


def _near_limit(metric: Metric, edges: Sequence[float]) -> list[float]:
    """The edge that tells whether `max` is kept."""
    if metric.max is None:
        return []
    return [edge for edge in edges if edge >= metric.max.value * (1 - ROUNDING)][:1]


def _drifts(
    slower: Slower, known: Floats, comparison: Counts, events: Floats, requests: Floats, bound: Bound, dispersion: float
) -> tuple[float, float]:
    """By how much ln harm and ln good are expected to grow with each further request of the candidate."""
    mine, theirs = float(slower.candidate.sum()), float(slower.stable.sum())
    if mine <= 0 or theirs <= 0:
        return 0.0, 0.0
    one = Slower(
        slower.beyond_candidate.sum(axis=0, keepdims=True) / mine,
        np.ones(1),
        slower.beyond_stable.sum(axis=0, keepdims=True) / mine,
        np.array([theirs / mine]),
    )
    harm = float(distributions.slower(one, known[-1:].copy()).max())
    parts = (comparison.bad_candidate, comparison.candidate, comparison.bad_stable, comparison.stable)
    each = Counts(*(np.array([part.sum() / mine]) for part in parts))
    good = float(better(each, rate(events[-1:], requests[-1:]), bound, GOOD_SHARES / _ratio(bound)).max())
    return max(harm / dispersion, 0.0), max(good / dispersion, 0.0)


def _where(seen: Seen, own: Floats, usual: Floats, totals: shares.Totals, unit: wording.Unit) -> list[str]:
    """The edges beyond which the candidate's share exceeds stable's most, where that is by much."""
    if not seen.pairs or min(totals.candidate, totals.stable) <= 0:
        return []
    mine = np.array([own[seen.own_edges.index(far)] for _, far in seen.pairs]) / totals.candidate
    theirs = usual / totals.stable
    noise = np.sqrt((mine + theirs) / totals.candidate + 1e-12)
    worst = int(np.argmax((mine - theirs) / noise))
    if mine[worst] - theirs[worst] < 3 * noise[worst]:
        return []
    near, far = seen.pairs[worst]
    return [
        f"{wording.share(mine[worst])} took longer than {wording.text(far, unit)}, "
        f"of stable {wording.share(theirs[worst])} longer than {wording.text(near, unit)}"
    ]


def _blind(
    tolerance: Tolerance, edges: Sequence[float], usual: float, total: float, q: float, unit: wording.Unit
) -> list[str]:
    """What the buckets cannot show around the quantile, if that is more than the tolerance asks for."""
    if total <= 0 or not edges:
        return []
    last, name = edges[-1], f"p{100 * q:g}"
    if usual == math.inf:
        return [f"stable's {name} is beyond the last bucket edge, {wording.text(last, unit)}, so it shows nothing"]
    upper = next((edge for edge in edges if edge >= usual), math.inf)
    sure = next((far for near, far in edge_pairs(edges, tolerance) if near >= upper), math.inf)
    limit = slack(usual, tolerance)
    if sure <= limit + max(limit - usual, abs(usual) / 4):
        return []
    seen = (
        f"only beyond {wording.text(sure, unit)}"
        if sure < math.inf
        else f"not at all (edges end at {wording.text(last, unit)})"
    )
    return [f"the buckets are too coarse for this tolerance: a slower {name} is sure to be seen {seen}"]


def _interval(ledger: Ledger, comparison: Counts | None) -> str | None:
    if comparison is None:
        return None
    told = shares.times_stable(ledger, comparison, 0.01)
    return f"its share of slow requests is {told}" if told else None


def _shown(value: float, edges: Sequence[float], total: float, unit: wording.Unit) -> str:
    if total <= 0:
        return "nothing"
    if value < math.inf:
        return wording.text(value, unit)
    return f"> {wording.text(edges[-1], unit)}" if edges else "unknown"
