"""Ratios of two counters: what share of requests went wrong (or right) in each arm, against every bound. Pure.

A share of what is good is tested as the share of what is not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence import shifts
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing, Parts
from modelrollout.analysis.evidence.tracks import Keep, Track, Wealths, Words, carry_over
from modelrollout.analysis.kinds import groups, rankings, request_shares
from modelrollout.analysis.kinds.request_shares import NEGLIGIBLE, Ticks, Totals
from modelrollout.analysis.queries import BAD, GOOD, TOTAL
from modelrollout.analysis.samples import silent_arms
from modelrollout.analysis.samples.counters import ArmCounters, Reading, clean, scrapes_of, total_growth
from modelrollout.api.metric import Metric
from modelrollout.api.status import Verdict
from modelrollout.sequential.noise import Mode
from modelrollout.sequential.proportions import Bound, Counts, decay, rate

Floats = npt.NDArray[np.float64]

TWICE_AS_BAD = 1.0
"""What has to be ruled out before a step ends, where the user names nothing: twice as bad as stable."""
EVERYTHING = 1 - 1e-9
"""Of requests, to go wrong: a bound beyond it is one that only a candidate which gets nothing right can break."""
MOSTLY_BAD = 0.5
"""Share of stable's that goes wrong above which a few per cent fewer that go right are a regression: conversions."""


def ratio_evidence(start: LookStart, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a ratio. Stable None: it is not compared; Missing: it should be, and cannot."""
    part = BAD if BAD in candidate else GOOD
    reading = Reading(start.since, start.look_back, start.warm_up)
    mine = _side(part, candidate, "the candidate", reading)
    if isinstance(mine, Missing):
        return mine
    theirs = stable if stable is None or isinstance(stable, Missing) else _side(part, stable, "stable", reading)
    other = theirs if isinstance(theirs, ArmCounters) else None
    frontier = min(mine.arm.frontier, other.arm.frontier if other else mine.arm.frontier, start.end)
    counted = _ticks(start, mine, other, frontier, reading)
    if isinstance(counted, Missing):
        return counted
    ticks, keep = counted
    gap = theirs if isinstance(theirs, Missing) else None
    evidence = _evidence(start, ticks, keep, part, mine, other, gap, frontier, reading)
    unseen = silent_arms.silent_arm({"the candidate": mine.arm, "stable": other.arm if other else None}, start.end)
    return replace(evidence, gap=evidence.gap or unseen)


def _side(part: str, parts: Parts, who: str, reading: Reading) -> ArmCounters | Missing:
    events, total = clean(parts[part]), clean(parts[TOTAL])
    arm = scrapes_of((total, events), reading)
    if arm is None or not total:
        but = f", though {part} has some" if events else ""
        return Missing(Verdict.NO_DATA, f"total has no samples of {who}{but}")
    if not events and part == GOOD:
        # A wrong selector looks just like this, and would read as "everything went wrong".
        return Missing(Verdict.NO_DATA, f"good has no samples of {who}, though total has some")
    return ArmCounters(part, events, total, arm)


def _ticks(
    start: LookStart, mine: ArmCounters, theirs: ArmCounters | None, frontier: float, reading: Reading
) -> tuple[Ticks, Keep] | Missing:
    course = start.course
    edges = course.edges(start.first, frontier)
    newest = min(max(side.arm.newest for side in (mine, theirs) if side is not None), start.end)
    all_edges = np.append(edges, max(newest, edges[-1]))
    columns: list[Floats] = []
    for side in (mine, theirs):
        if side is None:
            columns += [np.zeros(len(edges))] * 2
            continue
        total = total_growth(side.total, all_edges, side.arm, reading)
        events = total_growth(side.events, all_edges, side.arm, reading)
        if float(events.sum()) > float(total.sum()) * (1 + 1e-9) + 1e-9:
            why = (
                f"{side.part} grew by {wording.number(events.sum())} and total by {wording.number(total.sum())} only; "
            )
            return Missing(Verdict.NO_DATA, f"{why}{side.part} has to be a part of total", mistake=True)
        events = np.minimum(events, total)
        columns += [events if side.part == BAD else total - events, total]
    counts = Counts(*columns)
    shift = _shifts(start, counts, edges, mine, theirs)
    fewer, settled = (shift.factors, shift.settled) if shift else (np.ones(len(edges) - 1), len(edges) - 1)
    ticks = Ticks(edges, counts.first(len(edges) - 1), course.beginnings(edges), start.restarts(edges), fewer, settled)
    return ticks, shift.keep if shift else _keep_nothing


def _shifts(
    start: LookStart, counts: Counts, edges: Floats, mine: ArmCounters, theirs: ArmCounters | None
) -> shifts.Discount | None:
    """What the last row, of the time after the ticks, and the ticks' neighbours say of jumps."""
    if theirs is None:
        return None
    requests = counts.candidate + counts.stable
    weight = np.divide(counts.candidate, requests, out=np.zeros_like(requests), where=requests > 0)
    return shifts.discount_jumps(
        start, (counts.bad_candidate + counts.bad_stable)[:, None], requests, weight[:-1],
        spacing=max(mine.arm.spacing, theirs.arm.spacing), edges=edges, surely=shifts.SURE_JUMP,
    )  # fmt: skip


def _keep_nothing(count: int) -> Ledger:
    return {}


def _evidence(
    start: LookStart, ticks: Ticks, keep_shifts: Keep, part: str, mine: ArmCounters, theirs: ArmCounters | None, gap: Missing | None,
    frontier: float, reading: Reading,
) -> Evidence:  # fmt: skip
    metric, ledger, usual = start.metric, start.ledger, start.prior
    totals = request_shares.totals_after(ticks, len(ticks), ledger)
    known = request_shares.baseline(ledger, usual.share, usual.rate)
    left = decay(start.course.tick)
    events, requests, _ = known.before_each(ticks.counts.bad_stable, ticks.counts.stable, left)
    dispersion = usual.inflation
    twos: list[Wealths] = []
    tracks: list[Track] = []
    keepers: list[Keep] = [keep_shifts]
    unseen: list[str] = []
    if metric.tolerance is not None and theirs is not None:
        tolerated, unacceptable = bounds_of(metric)
        two = request_shares.compare(
            "tolerance", ticks, rate(events, requests), tolerated, unacceptable, dispersion, ledger,
            is_rare=usual.share is not None and usual.share > MOSTLY_BAD,
        )  # fmt: skip
        twos.append(two)
        drifts = request_shares.comparison_drifts(totals, tolerated, unacceptable, dispersion)
        is_kept = totals.share <= tolerated.factor * totals.stable_share + tolerated.margin + request_shares.ROUNDING
        words = Words(
            request_shares.bound_words(tolerated, totals, is_bad=part == BAD),
            request_shares.bound_words(unacceptable, totals, is_bad=part == BAD, is_beyond=True),
        )
        track = request_shares.track(
            two, words, is_kept=is_kept and totals.stable > 0, drifts=drifts, threshold=start.threshold
        )
        if usual.mode in (Mode.RANKED, Mode.STRICT):
            ranks = rankings.rank_blocks(start, ticks.edges, frontier, mine, theirs, reading)
            track = rankings.with_ranks(track, ranks, usual.mode)
            keepers.append(ranks.keep)
        else:
            track = replace(track, share=usual.share_kept)
        tracks.append(track)
        named = metric.ratio.groups if metric.ratio else None
        if named is not None:
            found = groups.judge_groups(start, named, ticks, mine, theirs, reading, tolerated, unacceptable)
            tracks += found.tracks
            unseen += found.unseen
            keepers.append(found.keep)
    for name, limit, is_high in (("max", metric.max, True), ("min", metric.min, False)):
        if limit is None:
            continue
        hits, of, most = _limit(part, is_high, limit.value, ticks.counts, totals)
        two = request_shares.hold_to_limit(name, ticks, hits, ticks.counts.candidate, most, dispersion, ledger)
        twos.append(two)
        is_kept = of <= most * totals.candidate + request_shares.ROUNDING * max(totals.candidate, 1)
        drifts = request_shares.limit_drifts(of, totals.candidate, most, dispersion)
        words = _limit_words(limit, is_high, most)
        tracks.append(request_shares.track(two, words, is_kept=is_kept and totals.candidate > 0, drifts=drifts))

    def keep(count: int) -> Ledger:
        seen = replace(ticks, counts=ticks.counts.first(count))
        _, _, after = known.before_each(seen.counts.bad_stable, seen.counts.stable, left)
        kept = request_shares.totals_in_ledger(request_shares.totals_after(ticks, count, ledger))
        kept |= request_shares.ratios_after(ledger, ticks.weighed.first(count))
        kept["baseline"] = np.array([after.events, after.requests])
        kept = {**carry_over(ledger, ticks.beginnings, count), **kept}
        for one in twos:
            kept |= one.ledger(count)
        for more in keepers:
            kept |= more(count)
        return kept

    is_compared = theirs is not None and metric.tolerance is not None
    return Evidence(
        unit="requests",
        what="",
        candidate=_shown(part, totals.share, totals.candidate),
        stable=_shown(part, totals.stable_share, totals.stable) if is_compared else None,
        samples=totals.candidate,
        stable_samples=totals.stable if is_compared else None,
        tracks=tuple(tracks),
        ticks=ticks.settled,
        keep=keep,
        seconds=totals.seconds,
        interval=_interval(part, ledger, ticks.weighed) if is_compared else None,
        notes=_uncounted(mine, theirs),
        unseen=tuple(unseen),
        gap=gap if metric.tolerance is not None else None,
    )


def bounds_of(metric: Metric) -> tuple[Bound, Bound]:
    """What is tolerated, and what has to be ruled out, as bounds on the share of what is bad."""
    part = BAD if metric.ratio is None or metric.ratio.bad is not None else GOOD
    relative = metric.tolerance.relative.value if metric.tolerance else 0.0
    absolute = metric.tolerance.absolute.value if metric.tolerance else 0.0
    if part == BAD:
        tolerated = _bound(1 + relative, absolute)
    else:
        relative = min(relative, 1.0)
        tolerated = _bound(1 - relative, relative + absolute)
    if metric.exclude is None:
        return tolerated, _twice(tolerated)
    relative, absolute = metric.exclude.relative.value, metric.exclude.absolute.value
    if part == BAD:
        return tolerated, _bound(1 + relative, absolute)
    relative = min(relative, 1.0)
    return tolerated, _bound(1 - relative, relative + absolute)


def _bound(factor: float, margin: float) -> Bound:
    return Bound(factor, margin) if margin < EVERYTHING else Bound(0.0, EVERYTHING)


def _twice(tolerated: Bound) -> Bound:
    """Twice as bad, and twice what is tolerated; where that were more than everything, half of what is left to it."""
    if 2 * tolerated.margin > (1 + tolerated.margin) / 2:
        return Bound(tolerated.factor / 2, (1 + tolerated.margin) / 2)
    factor = max(1 + TWICE_AS_BAD, 2 * tolerated.factor - 1)
    return Bound(factor, max(2 * tolerated.margin, NEGLIGIBLE))


def _limit(part: str, is_high: bool, limit: float, counts: Counts, totals: Totals) -> tuple[Floats, float, float]:
    """What counts against a limit in each tick and in all, and the share of it that the limit allows."""
    bad_counts = (part == BAD) == is_high
    if bad_counts:
        return counts.bad_candidate, totals.bad_candidate, limit if is_high else 1 - limit
    rest = counts.candidate - counts.bad_candidate
    return rest, totals.candidate - totals.bad_candidate, limit if is_high else 1 - limit


def _limit_words(limit: str, is_high: bool, most: float) -> Words:
    beyond = request_shares.unacceptable_limit(min(max(most, 1e-12), 1 - 1e-9))
    unacceptable = f"≥ {wording.share(beyond)}" if is_high else f"≤ {wording.share(1 - beyond)}"
    return Words(f"{'≤' if is_high else '≥'} {limit}", unacceptable)


def _shown(part: str, bad: float, total: float) -> str:
    return wording.share(bad if part == BAD else 1 - bad) if total > 0 else "nothing"


def _interval(part: str, ledger: Ledger, counts: Counts) -> str | None:
    told = request_shares.times_stable(ledger, counts, request_shares.INTERVAL_ALPHA)
    if told is None:
        return None
    return f"its share of errors is {told}" if part == BAD else f"its share of wrong ones is {told}"


def _uncounted(candidate: ArmCounters, stable: ArmCounters | None) -> tuple[str, ...]:
    """What a counter that nobody shows was taken for: right until the first event, or a selector that is wrong."""
    arms = {"the candidate": candidate, "stable": stable}
    silent = [who for who, side in arms.items() if side is not None and not side.events]
    return (f"no series counts {candidate.part} of {' or '.join(silent)}, taken as 0",) if silent else ()
