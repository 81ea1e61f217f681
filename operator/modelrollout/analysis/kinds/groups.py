"""Groups by themselves, beside the whole: is one of them served worse, and does a gap between groups grow? Pure.

Two tests for each group. Its own requests of both arms, held against the metric's tolerance: what is hidden in the
whole because the group is small. And the difference of differences: by how much the candidate widens the group's gap
to the first group, compared with stable (statistics: 2.5). Groups share one part of the error rate evenly. A group with
too little traffic to be tested is said to be so, and holds the step: it never passes silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Track, Wealths, Words, bet
from modelrollout.analysis.kinds import request_shares
from modelrollout.analysis.kinds.request_shares import Ticks
from modelrollout.analysis.queries import BAD
from modelrollout.analysis.samples.counters import ArmCounters, Reading, Samples, total_growth
from modelrollout.api.metric import Groups
from modelrollout.sequential import strata as tests
from modelrollout.sequential.proportions import Bound, Counts, decay, rate
from modelrollout.sequential.wealth import weights

Floats = npt.NDArray[np.float64]

DROP_WEIGHTS = weights(np.ones(tests.DROPS.size))
NO_MIRROR = weights(np.ones(1))
PRIOR_COUNT = 0.5
LONGEST_WAIT = 30 * 86_400.0
"""Seconds after which nobody calls it waiting any more: such a group cannot be tested at this traffic."""


@dataclass(frozen=True, slots=True)
class GroupTracks:
    """The tracks of all groups, what cannot be tested, and how to keep their state."""

    tracks: tuple[Track, ...]
    unseen: tuple[str, ...]
    keep: Callable[[int], Ledger]


def judge_groups(
    start: LookStart, groups: Groups, ticks: Ticks, mine: ArmCounters, theirs: ArmCounters, reading: Reading,
    tolerated: Bound, unacceptable: Bound,
) -> GroupTracks:  # fmt: skip
    """`ticks`: those of the whole metric."""
    found = {value: _counts(groups.label, value, ticks.edges, mine, theirs, reading) for value in groups.values}
    ledger = start.ledger
    tracks: list[Track] = []
    twos: list[Wealths] = []
    unseen: list[str] = []
    keepers: list[Callable[[int], Ledger]] = []
    for value, counts in found.items():
        own = replace(ticks, counts=counts)
        kept = {name.removeprefix(f"{value}/"): part for name, part in ledger.items() if name.startswith(f"{value}/")}
        totals = request_shares.totals_after(own, len(own), kept)
        known = request_shares.baseline(kept, None, None)
        left = decay(start.course.tick)
        events, requests, _ = known.before_each(counts.bad_stable, counts.stable, left)
        name = f"group {value}"
        two = request_shares.compare(
            name, own, rate(events, requests), tolerated, unacceptable, start.prior.inflation, ledger
        )
        twos.append(two)
        drifts = request_shares.comparison_drifts(totals, tolerated, unacceptable, start.prior.inflation)
        is_bad = mine.part == BAD
        words = Words(
            f"{request_shares.bound_words(tolerated, totals, is_bad=is_bad)} in group {value}",
            f"{request_shares.bound_words(unacceptable, totals, is_bad=is_bad, is_beyond=True)} in group {value}",
        )
        limit = float(tolerated.at(totals.stable_share))
        is_kept = totals.candidate > 0 and totals.stable > 0 and totals.share <= limit + request_shares.ROUNDING
        tracks.append(request_shares.track(two, words, is_kept=is_kept, drifts=drifts, share=start.prior.share_kept))
        if _is_out_of_reach(tracks[-1], totals):
            unseen.append(f"group {value} cannot be tested at this traffic")
        keepers.append(_keeper(value, own, kept, left))
    reference, *others = groups.values
    for value in others:
        two, words, is_kept = _gap(start, ticks, value, found[value], found[reference], groups, mine.part)
        twos.append(two)
        track = request_shares.track(two, words, is_kept=is_kept, drifts=(0.0, 0.0), share=start.prior.share_kept)
        tracks.append(replace(track, good=math.inf))
        keepers.append(_gap_keeper(f"gap {value}", found[value], found[reference], ledger))

    def keep(count: int) -> Ledger:
        kept: dict[str, Floats] = {}
        for one in twos:
            kept |= one.ledger(count)
        for more in keepers:
            kept |= more(count)
        return kept

    return GroupTracks(tuple(tracks), tuple(unseen), keep)


def _counts(label: str, value: str, edges: Floats, mine: ArmCounters, theirs: ArmCounters, reading: Reading) -> Counts:
    columns: list[Floats] = []
    for side in (mine, theirs):
        total = total_growth(_of(side.total, label, value), edges, side.arm, reading)
        events = np.minimum(total_growth(_of(side.events, label, value), edges, side.arm, reading), total)
        columns += [events if side.part == BAD else total - events, total]
    return Counts(*columns)


def _of(samples: Sequence[Samples], label: str, value: str) -> list[Samples]:
    return [one for one in samples if one.labels.get(label) == value]


def _is_out_of_reach(track: Track, totals: request_shares.Totals) -> bool:
    if totals.seconds < 60 or track.good >= math.log(1 / 0.05):
        return False
    each = totals.candidate / totals.seconds
    return each <= 0 or track.good_drift <= 0 or 3.0 / track.good_drift / each > LONGEST_WAIT


def _keeper(value: str, ticks: Ticks, ledger: Ledger, left: float) -> Callable[[int], Ledger]:
    def keep(count: int) -> Ledger:
        seen = ticks.counts.first(count)
        known = request_shares.baseline(ledger, None, None)
        _, _, after = known.before_each(seen.bad_stable, seen.stable, left)
        kept = request_shares.totals_in_ledger(request_shares.totals_after(ticks, count, ledger))
        kept["baseline"] = np.array([after.events, after.requests])
        return {f"{value}/{name}": part for name, part in kept.items()}

    return keep


def _gap(
    start: LookStart, ticks: Ticks, value: str, group: Counts, reference: Counts, groups: Groups, part: str
) -> tuple[Wealths, Words, bool]:
    """The difference of differences, of shares that went right."""
    name = f"gap {value}"
    right, total, usual = _streams(name, group, reference, start.ledger)
    allowed = groups.max_extra_gap.value
    harm = tests.worse(right, total, usual, tests.GAP_RULE, allowed) / start.prior.inflation
    two = bet(
        name, harm, DROP_WEIGHTS, np.zeros((len(ticks), 1)), NO_MIRROR,
        restarts=ticks.restarts, beginnings=ticks.beginnings, ledger=start.ledger,
    )  # fmt: skip
    sums = _kept(f"{name}.sums", start.ledger) + np.stack((right.sum(axis=0), total.sum(axis=0)))
    shown = np.divide(sums[0], sums[1], out=np.zeros(4), where=sums[1] > 0)
    widened = float(shown @ tests.GAP_RULE) if (sums[1] > 0).all() else 0.0
    words = Words(f"a gap of {value} to {groups.values[0]} wider by ≤ {wording.share(allowed)}", "a wider one")
    return two, words, widened <= allowed


def _streams(name: str, group: Counts, reference: Counts, ledger: Ledger) -> tuple[Floats, Floats, Floats]:
    """Right and total (ticks × 4) of candidate's group and reference and stable's, and each share known before."""
    bad = (group.bad_candidate, reference.bad_candidate, group.bad_stable, reference.bad_stable)
    all_ = (group.candidate, reference.candidate, group.stable, reference.stable)
    total = np.stack(all_, axis=1)
    right = total - np.stack(bad, axis=1)
    known = _kept(f"{name}.sums", ledger)
    right_before = known[0] + right.cumsum(axis=0) - right
    total_before = known[1] + total.cumsum(axis=0) - total
    usual = (right_before + PRIOR_COUNT) / (total_before + 2 * PRIOR_COUNT)
    usual[:, 0] = usual[:, 2]  # the candidate's group is betted to do worse than stable's, not than it did itself
    return right, total, usual


def _kept(name: str, ledger: Ledger) -> Floats:
    kept = ledger.get(name)
    return kept.reshape(2, 4) if kept is not None and kept.size == 8 else np.zeros((2, 4))


def _gap_keeper(name: str, group: Counts, reference: Counts, ledger: Mapping[str, Floats]) -> Callable[[int], Ledger]:
    def keep(count: int) -> Ledger:
        right, total, _ = _streams(name, group.first(count), reference.first(count), ledger)
        sums = _kept(f"{name}.sums", ledger) + np.stack((right.sum(axis=0), total.sum(axis=0)))
        return {f"{name}.sums": sums.ravel()}

    return keep
