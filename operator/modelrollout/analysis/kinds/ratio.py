"""Ratios of two counters: the share of requests that went wrong (or right) in each arm, against every bound. Pure.

A share of good requests is tested as the share of all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence import shifts
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import NO_BETTER, Evidence, LookStart, Missing, Parts
from modelrollout.analysis.evidence.tracks import Keep, Tested, Words, carry_over, keep_all
from modelrollout.analysis.kinds import arrivals, groups, rankings, request_shares, time_to_pass
from modelrollout.analysis.kinds.arrivals import Arriving
from modelrollout.analysis.kinds.groups import Comparison
from modelrollout.analysis.kinds.metric_kind import Form, MetricKind, Part, Sensitivity
from modelrollout.analysis.kinds.pod_cells import CellBets, HitCells, hit_cells
from modelrollout.analysis.kinds.pod_noise import PodNoise, by_pod, keep_nothing, pod_noise
from modelrollout.analysis.kinds.ratio_bounds import bounds_of, counts_good, goal_bound
from modelrollout.analysis.kinds.ratio_history import ratio_prior
from modelrollout.analysis.kinds.request_shares import Ticks, Totals
from modelrollout.analysis.parts import BAD, GOOD, TOTAL
from modelrollout.analysis.samples import silent_arms
from modelrollout.analysis.samples.counters import ArmCounters, SampleWindow, clean, scrapes_of, total_growth
from modelrollout.analysis.samples.over_time import SeriesOfArm, quotients
from modelrollout.api.metric import Metric
from modelrollout.api.scalars import Limit
from modelrollout.api.status import Verdict
from modelrollout.sequential.noise import Mode
from modelrollout.sequential.proportions import Baseline, Counts, decay, rate

Floats = npt.NDArray[np.float64]

MOSTLY_BAD = 0.5
"""Above this share of bad requests (as in conversions) a few per cent fewer good ones are a regression."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """Both arms' counts in the new ticks. `keep_shifts`: the state of the discount for jumps."""

    start: LookStart
    mine: ArmCounters
    theirs: ArmCounters | None
    window: SampleWindow
    frontier: float
    ticks: Ticks
    keep_shifts: Keep
    noise: PodNoise
    arriving: Arriving

    @property
    def is_bad(self) -> bool:
        return self.mine.part == BAD

    @property
    def totals(self) -> Totals:
        return request_shares.totals_after(self.ticks, len(self.ticks), self.start.ledger)

    @property
    def baseline(self) -> Baseline:
        """Stable's rate as known before the first of the ticks."""
        prior = self.start.prior
        return request_shares.baseline(self.start.ledger, prior.share, prior.rate)


def ratio_evidence(start: LookStart, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a ratio. Stable None: it is not compared; Missing: it should be, and cannot."""
    part = BAD if BAD in candidate else GOOD
    window = SampleWindow(start.since, start.look_back, start.warm_up)
    mine = _counters(part, candidate, "the candidate", window)
    if isinstance(mine, Missing):
        return arrivals.alone(start, mine, clean(stable[TOTAL]), window) if isinstance(stable, Mapping) else mine
    theirs = stable if stable is None or isinstance(stable, Missing) else _counters(part, stable, "stable", window)
    other = theirs if isinstance(theirs, ArmCounters) else None
    counted = _count(start, mine, other, window)
    if isinstance(counted, Missing):
        return counted
    gap = theirs if isinstance(theirs, Missing) and start.metric.tolerance is not None else None
    arms = {"the candidate": mine.scrapes, "stable": other.scrapes if other else None}
    return _evidence(counted, gap or silent_arms.silent_arm(arms, start.end))


def _counters(part: str, parts: Parts, who: str, window: SampleWindow) -> ArmCounters | Missing:
    events, total = clean(parts[part]), clean(parts[TOTAL])
    scrapes = scrapes_of((total, events), window)
    if scrapes is None or not total:
        but = f", though {part} has some" if events else ""
        return Missing(Verdict.NO_DATA, f"total has no samples of {who}{but}")
    if not events and part == GOOD:
        # A wrong selector looks just like this, and would read as "everything is bad".
        return Missing(Verdict.NO_DATA, f"good has no samples of {who}, though total has some")
    return ArmCounters(part, events, total, scrapes)


def _count(start: LookStart, mine: ArmCounters, theirs: ArmCounters | None, window: SampleWindow) -> _Counted | Missing:
    sides = [side for side in (mine, theirs) if side is not None]
    frontier = min(*(side.scrapes.frontier for side in sides), start.end)
    edges = start.course.edges(start.first, frontier)
    newest = min(max(side.scrapes.newest for side in sides), start.end)
    all_edges = np.append(edges, max(newest, edges[-1]))  # the last row is of the time after the ticks
    columns: list[Floats] = []
    for side in sides:
        grown = _bad_and_total(side, all_edges, window)
        if isinstance(grown, Missing):
            return grown
        columns += grown
    if theirs is None:
        columns += [np.zeros(len(edges))] * 2
    counts = Counts(*columns)
    count = len(edges) - 1
    jumps = _jumps(start, counts, edges, mine, theirs)
    discount, settled = (jumps.factors, jumps.settled) if jumps else (np.ones(count), count)
    beginnings, restarts = start.course.beginnings(edges), start.restarts(edges)
    ticks = Ticks(edges, counts.first(count), beginnings, restarts, discount, settled)
    usual = by_pod(theirs, window) if theirs is not None else None
    noise = pod_noise(start, edges, frontier, by_pod(mine, window), usual)
    arriving = arrivals.nothing_arrives(start)
    if theirs is not None:
        own = counts.first(count)
        arriving = arrivals.arriving(start, edges, own.candidate, own.stable, mine.scrapes, theirs.scrapes)
    keep = jumps.keep if jumps else keep_nothing
    return _Counted(start, mine, theirs, window, frontier, ticks, keep, noise, arriving)


def _bad_and_total(side: ArmCounters, edges: Floats, window: SampleWindow) -> tuple[Floats, Floats] | Missing:
    total = total_growth(side.total, edges, side.scrapes, window)
    events = total_growth(side.events, edges, side.scrapes, window)
    if float(events.sum()) > float(total.sum()) * (1 + 1e-9) + 1e-9:
        why = f"{side.part} grew by {wording.number(events.sum())} and total by {wording.number(total.sum())} only; "
        return Missing(Verdict.NO_DATA, f"{why}{side.part} has to be a part of total", mistake=True)
    events = np.minimum(events, total)
    return events if side.part == BAD else total - events, total


def _jumps(
    start: LookStart, counts: Counts, edges: Floats, mine: ArmCounters, theirs: ArmCounters | None
) -> shifts.Discount | None:
    """The discount for jumps in both arms' share of errors; None where nothing is compared."""
    if theirs is None:
        return None
    requests = counts.candidate + counts.stable
    weight = np.divide(counts.candidate, requests, out=np.zeros_like(requests), where=requests > 0)
    return shifts.discount_jumps(
        start,
        (counts.bad_candidate + counts.bad_stable)[:, None],
        requests,
        weight[:-1],
        spacing=max(mine.scrapes.spacing, theirs.scrapes.spacing),
        edges=edges,
        surely=shifts.SURE_JUMP,
    )


def _evidence(counted: _Counted, gap: Missing | None) -> Evidence:
    start, ticks, totals, is_bad = counted.start, counted.ticks, counted.totals, counted.is_bad
    is_compared = counted.theirs is not None and start.metric.tolerance is not None
    tested = _limits(counted)
    if counted.theirs is not None and start.metric.tolerance is not None:
        tested = [*_comparisons(counted, counted.theirs), *tested]
    return Evidence(
        unit="requests",
        what="",
        candidate=_share_shown(totals.share, totals.candidate, is_bad=is_bad),
        stable=_share_shown(totals.stable_share, totals.stable, is_bad=is_bad) if is_compared else None,
        samples=totals.candidate,
        stable_samples=totals.stable if is_compared else None,
        tracks=tuple(track for one in tested for track in one.tracks),
        ticks=ticks.settled,
        keep=_keeper(counted, [one.keep for one in tested]),
        seconds=totals.seconds,
        interval=_interval(start.ledger, ticks.weighed, is_bad=is_bad) if is_compared else None,
        notes=(*_uncounted(counted.mine, counted.theirs), *(counted.noise.notes if is_compared else ())),
        unseen=tuple(unseen for one in tested for unseen in one.unseen),
        gap=gap,
        arrivals=counted.arriving.now,
    )


def _comparisons(counted: _Counted, theirs: ArmCounters) -> list[Tested]:
    """Candidate against stable, as a whole and by groups."""
    metric = counted.start.metric
    tolerated, unacceptable = bounds_of(metric)
    if (goal := counted.start.goal) is not None:
        unacceptable = goal_bound(metric, goal)
    comparison = Comparison(
        counted.start, counted.ticks, counted.mine, theirs, counted.window, tolerated, unacceptable, counted.noise
    )
    whole = _tolerance(counted, comparison)
    return [whole, groups.judge_groups(comparison, metric.groups)] if metric.groups is not None else [whole]


def _tolerance(counted: _Counted, comparison: Comparison) -> Tested:
    """All requests, by counted events, by the ranks of pods, or by both."""
    start, ticks, totals, prior = counted.start, counted.ticks, counted.totals, counted.start.prior
    noise, unacceptable = counted.noise, comparison.unacceptable
    usual, known = _stable_rate(counted)
    in_cells = _in_cells(counted, comparison, usual)
    wealths = request_shares.compare(
        "tolerance",
        ticks,
        usual,
        comparison.tolerated,
        unacceptable,
        noise,
        start.ledger_for_goal("tolerance.good"),
        is_rare=prior.share is not None and prior.share > MOSTLY_BAD,
        known=known if start.goal is not None else None,
        in_cells=in_cells.log_e if in_cells else None,
    )
    tolerated = noise.allowed(comparison.tolerated)
    words = request_shares.words(tolerated, unacceptable, totals, is_bad=counted.is_bad)
    if start.goal is not None and start.goal.margin is None:
        words = replace(words, unacceptable=NO_BETTER)
    limit = tolerated.factor * totals.stable_share + tolerated.margin
    is_kept = totals.stable > 0 and totals.share <= limit + request_shares.ROUNDING
    is_goal = start.goal is not None
    drifts = request_shares.comparison_drifts(totals, tolerated, unacceptable, noise.discounts, is_goal=is_goal)
    track = request_shares.track(wealths, words, is_kept=is_kept, drifts=drifts, threshold=start.threshold)
    if prior.mode not in (Mode.RANKED, Mode.STRICT):
        keep = keep_all([wealths.ledger, in_cells.keep]) if in_cells else wealths.ledger
        return Tested((replace(track, share=prior.share_kept),), keep)
    ranks = rankings.rank_blocks(
        start, ticks.edges, counted.frontier, counted.mine, comparison.theirs, counted.window, comparison.tolerated
    )
    return Tested((rankings.with_ranks(track, ranks, prior.mode),), keep_all([wealths.ledger, ranks.keep]))


def _in_cells(counted: _Counted, comparison: Comparison, usual: Floats) -> HitCells | None:
    """The bets on cells; None where pods' noise is known."""
    if counted.start.prior.mode is not Mode.ASSUMED:
        return None
    by_pods = by_pod(counted.mine, counted.window), by_pod(comparison.theirs, counted.window)
    bets = CellBets(usual[:, None], comparison.tolerated, counted.noise.width)
    return hit_cells(counted.start, counted.ticks, counted.frontier, by_pods, bets)


def _stable_rate(counted: _Counted) -> tuple[Floats, Floats]:
    """Stable's rate as known before each tick, and from how many requests."""
    counts = counted.ticks.counts
    left = decay(counted.start.course.tick)
    events, requests, _ = counted.baseline.before_each(counts.bad_stable, counts.stable, left)
    return rate(events, requests), requests


def _limits(counted: _Counted) -> list[Tested]:
    metric = counted.start.metric
    named = (("max", metric.max, True), ("min", metric.min, False))
    return [_limit(counted, name, limit, is_high=is_high) for name, limit, is_high in named if limit is not None]


def _limit(counted: _Counted, name: str, limit: Limit, *, is_high: bool) -> Tested:
    """The candidate alone against `max` or `min`."""
    start, ticks, totals = counted.start, counted.ticks, counted.totals
    hits, all_hits = _against_limit(counted, is_high=is_high)
    allowed = limit.value if is_high else 1 - limit.value
    noise = counted.noise
    wealths = request_shares.hold_to_limit(name, ticks, hits, ticks.counts.candidate, allowed, noise, start.ledger)
    is_kept = all_hits <= allowed * totals.candidate + request_shares.ROUNDING * max(totals.candidate, 1)
    drifts = request_shares.limit_drifts(all_hits, totals.candidate, allowed, noise.discounts)
    words = _limit_words(limit, allowed, is_high=is_high)
    is_kept = is_kept and totals.candidate > 0
    track = request_shares.track(wealths, words, is_kept=is_kept, drifts=drifts, share=start.prior.share_of_limits)
    return Tested((track,), wealths.ledger)


def _against_limit(counted: _Counted, *, is_high: bool) -> tuple[Floats, float]:
    """Requests that count against a limit, in each tick and in all: bad ones, or all the others."""
    counts, totals = counted.ticks.counts, counted.totals
    if counted.is_bad == is_high:
        return counts.bad_candidate, totals.bad_candidate
    return counts.candidate - counts.bad_candidate, totals.candidate - totals.bad_candidate


def _limit_words(limit: Limit, allowed: float, *, is_high: bool) -> Words:
    beyond = request_shares.unacceptable_limit(min(max(allowed, 1e-12), 1 - 1e-9))
    unacceptable = f"≥ {wording.share(beyond)}" if is_high else f"≤ {wording.share(1 - beyond)}"
    return Words(f"{'≤' if is_high else '≥'} {limit}", unacceptable)


def _keeper(counted: _Counted, keepers: list[Keep]) -> Keep:
    start, ticks = counted.start, counted.ticks
    keep_tests = keep_all([counted.keep_shifts, counted.noise.keep, counted.arriving.keep, *keepers])

    def keep(count: int) -> Ledger:
        seen = ticks.counts.first(count)
        _, _, after = counted.baseline.before_each(seen.bad_stable, seen.stable, decay(start.course.tick))
        return {
            **carry_over(start.ledger, ticks.beginnings, count),
            **request_shares.totals_in_ledger(request_shares.totals_after(ticks, count, start.ledger)),
            **request_shares.ratios_after(start.ledger, ticks.weighed.first(count)),
            "baseline": np.array([after.events, after.requests]),
            **start.goal_mark,
            **keep_tests(count),
        }

    return keep


def _share_shown(bad: float, total: float, *, is_bad: bool) -> str:
    return wording.share(bad if is_bad else 1 - bad) if total > 0 else "nothing"


def _interval(ledger: Ledger, counts: Counts, *, is_bad: bool) -> str | None:
    times = request_shares.times_stable(ledger, counts, request_shares.INTERVAL_ALPHA)
    if times is None:
        return None
    return f"its share of errors is {times}" if is_bad else f"its share of wrong ones is {times}"


def _uncounted(candidate: ArmCounters, stable: ArmCounters | None) -> tuple[str, ...]:
    """A note on a counter without series, taken as 0: right before the first event, wrong for a wrong selector."""
    arms = {"the candidate": candidate, "stable": stable}
    silent = [who for who, side in arms.items() if side is not None and not side.events]
    return (f"no series counts {candidate.part} of {' or '.join(silent)}, taken as 0",) if silent else ()


def _parts(metric: Metric) -> list[Part]:
    ratio = metric.ratio
    if ratio is None:
        return []
    named = ((BAD, ratio.bad), (GOOD, ratio.good), (TOTAL, ratio.total))
    return [Part(name, promql, f"ratio.{name}") for name, promql in named if promql is not None]


def _over_time(metric: Metric, parts: SeriesOfArm, edges: Floats, window: SampleWindow) -> list[float]:
    part = GOOD if counts_good(metric) else BAD
    return quotients(parts.get(part, ()), parts.get(TOTAL, ()), edges, window)


def _usual_words(metric: Metric, share: float) -> str:
    return f" and {wording.share(share)} {'wrong ones' if counts_good(metric) else 'errors'}"


def _visible_words(metric: Metric, usual: float, share: float) -> str:
    return f"{wording.share(1 - share)} right or less" if counts_good(metric) else f"{wording.share(share)} or more"


KIND = MetricKind(
    form=Form.COUNTERS,
    parts=_parts,
    evidence=ratio_evidence,
    over_time=_over_time,
    unit=lambda metric: "share",
    prior=ratio_prior,
    sensitivity=Sensitivity(
        bound=lambda metric: bounds_of(metric)[0],
        usual=_usual_words,
        visible=_visible_words,
        is_exact=True,
        seconds_to_pass=time_to_pass.of_ratio,
    ),
)
