"""Groups by themselves, beside the whole: is one of them served worse, and does a gap between groups grow? Pure.

There are two tests for each group. The first holds the group's own requests of both arms against the metric's
tolerance: a regression in a small group is hidden in the whole. The second is the difference of differences: how much
the candidate widens the group's gap to the first group, compared with stable (statistics: 2.5). Groups share one part
of the error rate evenly. A group with too little traffic for a test is named in the verdict and holds the step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Keep, Tested, Track, Words, bet, keep_all
from modelrollout.analysis.kinds import request_shares
from modelrollout.analysis.kinds.pod_noise import PodNoise
from modelrollout.analysis.kinds.request_shares import Ticks
from modelrollout.analysis.parts import BAD
from modelrollout.analysis.samples.counters import ArmCounters, Samples, SampleWindow, total_growth
from modelrollout.api.metric import Groups
from modelrollout.sequential import strata as tests
from modelrollout.sequential.proportions import Bound, Counts, decay, rate
from modelrollout.sequential.wealth import weights

Floats = npt.NDArray[np.float64]

DROP_WEIGHTS = weights(np.ones(tests.DROPS.size))
NO_MIRROR = weights(np.ones(1))
PRIOR_COUNT = 0.5
LONGEST_WAIT = 30 * 86_400.0
"""Seconds. A group that needs longer than this cannot be tested at its traffic."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both arms' counters over the new ticks of a metric, and the bounds between the arms."""

    start: LookStart
    ticks: Ticks
    mine: ArmCounters
    theirs: ArmCounters
    window: SampleWindow
    tolerated: Bound
    unacceptable: Bound
    noise: PodNoise


def judge_groups(comparison: Comparison, groups: Groups) -> Tested:
    """Each group by itself, and the gaps of all others to the first."""
    counts = {value: _counts(comparison, groups.label, value) for value in groups.values}
    reference, *others = groups.values
    tested = [_judge_group(comparison, value, counts[value]) for value in groups.values]
    tested += [_judge_gap(comparison, groups, value, counts[value], counts[reference]) for value in others]
    return Tested(
        tuple(track for one in tested for track in one.tracks),
        keep_all([one.keep for one in tested]),
        tuple(unseen for one in tested for unseen in one.unseen),
    )


def _counts(comparison: Comparison, label: str, value: str) -> Counts:
    edges, window = comparison.ticks.edges, comparison.window
    columns: list[Floats] = []
    for side in (comparison.mine, comparison.theirs):
        total = total_growth(_of(side.total, label, value), edges, side.scrapes, window)
        events = np.minimum(total_growth(_of(side.events, label, value), edges, side.scrapes, window), total)
        columns += [events if side.part == BAD else total - events, total]
    return Counts(*columns)


def _of(samples: Sequence[Samples], label: str, value: str) -> list[Samples]:
    return [one for one in samples if one.labels.get(label) == value]


def _judge_group(comparison: Comparison, value: str, counts: Counts) -> Tested:
    """A group's own requests against the metric's tolerance."""
    start, noise, unacceptable = comparison.start, comparison.noise, comparison.unacceptable
    own = replace(comparison.ticks, counts=counts)
    kept = _own_ledger(start.ledger, value)
    totals = request_shares.totals_after(own, len(own), kept)
    events, requests, _ = request_shares.baseline(kept, None, None).before_each(
        counts.bad_stable, counts.stable, decay(start.course.tick)
    )
    wealths = request_shares.compare(
        f"group {value}", own, rate(events, requests), comparison.tolerated, unacceptable, noise, start.ledger
    )
    tolerated = noise.allowed(comparison.tolerated)
    words = request_shares.words(
        tolerated, unacceptable, totals, is_bad=comparison.mine.part == BAD, where=f" in group {value}"
    )
    limit = float(tolerated.at(totals.stable_share))
    is_kept = totals.candidate > 0 and totals.stable > 0 and totals.share <= limit + request_shares.ROUNDING
    drifts = request_shares.comparison_drifts(totals, tolerated, unacceptable, noise.discounts)
    track = request_shares.track(wealths, words, is_kept=is_kept, drifts=drifts, share=start.prior.share_kept)
    unseen = (f"group {value} cannot be tested at this traffic",) if _is_out_of_reach(track, totals) else ()
    return Tested((track,), keep_all([wealths.ledger, _group_keeper(start, value, own)]), unseen)


def _own_ledger(ledger: Ledger, value: str) -> Ledger:
    return {name.removeprefix(f"{value}/"): part for name, part in ledger.items() if name.startswith(f"{value}/")}


def _is_out_of_reach(track: Track, totals: request_shares.Totals) -> bool:
    if totals.seconds < 60 or track.good >= math.log(1 / 0.05):
        return False
    each = totals.candidate / totals.seconds
    return each <= 0 or track.good_drift <= 0 or 3.0 / track.good_drift / each > LONGEST_WAIT


def _group_keeper(start: LookStart, value: str, ticks: Ticks) -> Keep:
    ledger = _own_ledger(start.ledger, value)

    def keep(count: int) -> Ledger:
        seen = ticks.counts.first(count)
        known = request_shares.baseline(ledger, None, None)
        _, _, after = known.before_each(seen.bad_stable, seen.stable, decay(start.course.tick))
        kept = request_shares.totals_in_ledger(request_shares.totals_after(ticks, count, ledger))
        kept["baseline"] = np.array([after.events, after.requests])
        return {f"{value}/{name}": part for name, part in kept.items()}

    return keep


def _judge_gap(comparison: Comparison, groups: Groups, value: str, group: Counts, reference: Counts) -> Tested:
    """The difference of differences, of shares that went right."""
    start, ticks, noise, name = comparison.start, comparison.ticks, comparison.noise, f"gap {value}"
    right, total, usual = _streams(name, group, reference, start.ledger)
    allowed = groups.max_extra_gap.value
    harm = tests.worse(right, total, usual, tests.GAP_RULE, allowed) / noise.harm[:, None]
    wealths = bet(
        name,
        harm,
        DROP_WEIGHTS,
        np.zeros((len(ticks), 1)),
        NO_MIRROR,
        restarts=ticks.restarts,
        beginnings=ticks.beginnings,
        ledger=start.ledger,
    )
    words = Words(f"a gap of {value} to {groups.values[0]} wider by ≤ {wording.share(allowed)}", "a wider one")
    is_kept = _widening(_sums(name, right, total, start.ledger)) <= allowed
    track = request_shares.track(wealths, words, is_kept=is_kept, drifts=(0.0, 0.0), share=start.prior.share_kept)
    keeper = _gap_keeper(name, group, reference, start.ledger)
    return Tested((replace(track, good=math.inf),), keep_all([wealths.ledger, keeper]))


def _widening(sums: Floats) -> float:
    """How much wider the candidate's gap is than stable's; 0 while one of the four has no requests."""
    shown = np.divide(sums[0], sums[1], out=np.zeros(4), where=sums[1] > 0)
    return float(shown @ tests.GAP_RULE) if (sums[1] > 0).all() else 0.0


def _sums(name: str, right: Floats, total: Floats, ledger: Ledger) -> Floats:
    """Right answers and totals of the four streams, over the whole rollout."""
    return np.asarray(_kept_sums(name, ledger) + np.stack((right.sum(axis=0), total.sum(axis=0))), dtype=np.float64)


def _streams(name: str, group: Counts, reference: Counts, ledger: Ledger) -> tuple[Floats, Floats, Floats]:
    """Right answers, totals, and shares known before each tick: each ticks × 4.

    The streams are the candidate's group and reference group, and those of stable.
    """
    bad = (group.bad_candidate, reference.bad_candidate, group.bad_stable, reference.bad_stable)
    all_ = (group.candidate, reference.candidate, group.stable, reference.stable)
    total = np.stack(all_, axis=1)
    right = total - np.stack(bad, axis=1)
    known = _kept_sums(name, ledger)
    right_before = known[0] + right.cumsum(axis=0) - right
    total_before = known[1] + total.cumsum(axis=0) - total
    usual = (right_before + PRIOR_COUNT) / (total_before + 2 * PRIOR_COUNT)
    usual[:, 0] = usual[:, 2]  # the bets are that the candidate's group does worse than stable's, not worse than before
    return right, total, usual


def _kept_sums(name: str, ledger: Ledger) -> Floats:
    kept = ledger.get(f"{name}.sums")
    return kept.reshape(2, 4) if kept is not None and kept.size == 8 else np.zeros((2, 4))


def _gap_keeper(name: str, group: Counts, reference: Counts, ledger: Ledger) -> Keep:
    def keep(count: int) -> Ledger:
        right, total, _ = _streams(name, group.first(count), reference.first(count), ledger)
        return {f"{name}.sums": _sums(name, right, total, ledger).ravel()}

    return keep
