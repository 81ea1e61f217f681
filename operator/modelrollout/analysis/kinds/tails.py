"""Tails of histograms: both arms' counts beyond bucket edges, and the tail that rules out an unacceptable one. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence import shifts
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Keep
from modelrollout.analysis.kinds.edges import Edges
from modelrollout.analysis.kinds.margins import unacceptable
from modelrollout.analysis.kinds.pod_noise import PodNoise
from modelrollout.analysis.kinds.request_shares import Ticks
from modelrollout.analysis.samples.buckets import ArmHistograms, counts_beyond
from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.sequential.distributions import Slower
from modelrollout.sequential.levels import widening
from modelrollout.sequential.proportions import Bound, Counts, better, rate
from modelrollout.sequential.wealth import weights

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int_]

KNOWN_REQUESTS = 100.0
"""Fewest requests of stable from which an edge can be chosen."""
TWICE_AS_SLOW = 1.0
COARSE_BOUND = Bound(3.0)
"""Where no bucket edge lies at the unacceptable value, a tail three times as heavy is ruled out instead."""
SURE_JUMP_OF_MANY = 9.0
"""Squared standard deviations beyond which a change in any of many tails is a jump, not chance."""
GOOD_SHARES: Floats = np.array([0.02, 0.1, 0.3, 0.6])
"""Bets on the candidate's tail beyond the farther edge, as parts of stable's tail beyond the nearer one."""
GOOD_TAIL_WEIGHTS = weights(np.ones(GOOD_SHARES.size))


@dataclass(frozen=True, slots=True)
class CountedTails:
    """Both arms' counts beyond each edge (ticks × edges) and in all (`ticks.counts`)."""

    ticks: Ticks
    edges: Edges
    mine: Floats
    theirs: Floats
    keep_shifts: Keep | None

    @property
    def slower(self) -> Slower:
        """The compared tails, discounted."""
        far, near, discount = list(self.edges.far), list(self.edges.near), self.ticks.discount[:, None]
        counts = self.ticks.weighed
        return Slower(self.mine[:, far] / discount, counts.candidate, self.theirs[:, near] / discount, counts.stable)


def count_tails(
    start: LookStart, edges: Edges, mine: ArmHistograms, theirs: ArmHistograms | None, window: SampleWindow
) -> CountedTails:
    """Both arms' counts beyond the edges in the new ticks."""
    course, sides = start.course, [side for side in (mine, theirs) if side is not None]
    bounds = course.edges(start.first, min(*(side.scrapes.frontier for side in sides), start.end))
    newest = min(max(side.scrapes.newest for side in sides), start.end)
    all_bounds = np.append(bounds, max(newest, bounds[-1]))  # the last row is of the time after the ticks
    slow, total = counts_beyond(mine, edges.all, all_bounds, window, in_doubt="fewer")
    usual, everybody = np.zeros_like(slow), np.zeros_like(total)
    jumps = None
    if theirs is not None:
        usual, everybody = counts_beyond(theirs, edges.all, all_bounds, window)
        events = slow[:, list(edges.far)] + usual[:, list(edges.near)]
        spacing = max(mine.scrapes.spacing, theirs.scrapes.spacing)
        jumps = _jumps(start, events, total, everybody, bounds, spacing) if edges.far else None
    count = len(bounds) - 1
    counts = Counts(np.zeros(count), total[:count], np.zeros(count), everybody[:count])
    discount, settled = (jumps.factors, jumps.settled) if jumps else (np.ones(count), count)
    ticks = Ticks(bounds, counts, course.beginnings(bounds), start.restarts(bounds), discount, settled)
    return CountedTails(ticks, edges, slow[:count], usual[:count], jumps.keep if jumps else None)


def _jumps(
    start: LookStart, events: Floats, candidate: Floats, stable: Floats, bounds: Floats, spacing: float
) -> shifts.Discount:
    """The discount for jumps in any of the compared tails of both arms together."""
    requests = candidate + stable
    weight = np.divide(candidate, requests, out=np.zeros_like(candidate), where=requests > 0)
    return shifts.discount_jumps(
        start, events, requests, weight[:-1], spacing=spacing, edges=bounds, surely=SURE_JUMP_OF_MANY
    )


def allowing_for_pods(counted: CountedTails, noise: PodNoise, reaches: Mapping[float, float] | None) -> Slower:
    """The compared tails, the candidate's without what may be its pods': so much of each counts as faster.

    To count a part of a request as faster keeps the test valid (Jensen). No tail may end up larger than the one before.
    """
    slower = counted.slower
    if not reaches or not slower.beyond_candidate.size:
        return slower
    known = np.array(sorted(reaches))
    near = np.array([counted.edges.all[place] for place in counted.edges.near])
    of_each = np.array([reaches[float(edge)] for edge in known])[
        np.minimum(np.searchsorted(known, near), known.size - 1)
    ]
    width = widening(np.maximum.accumulate(of_each)[None, :], noise.apart[:, None])
    return replace(slower, beyond_candidate=slower.beyond_candidate / width)


@dataclass(frozen=True, slots=True)
class RuleOut:
    """The tails whose comparison rules out an unacceptable candidate, chosen before each tick.

    The candidate's tail beyond the farther edge is compared with stable's beyond the nearer one: if every request were
    slower by the unacceptable margin, both would be equal. `events`, `requests`: of stable, known before each tick.
    `alike`: both arms' tails beyond the nearer edge, for people.
    """

    counts: Counts
    alike: Counts
    events: Floats
    requests: Floats
    bound: Bound

    def better(self) -> Floats:
        return better(self.counts, rate(self.events, self.requests), self.bound, self._effects)

    def drift(self) -> float:
        """The expected growth of ln good with each further request of the candidate."""
        mine = float(self.counts.candidate.sum())
        if mine <= 0 or float(self.counts.stable.sum()) <= 0:
            return 0.0
        each = Counts(*(np.array([part.sum() / mine]) for part in self.counts.parts))
        base = rate(self.events[-1:], self.requests[-1:])
        return max(float(better(each, base, self.bound, self._effects).max()), 0.0)

    @property
    def _effects(self) -> Floats:
        """GOOD_SHARES are parts of the unacceptable tail, which may be a multiple of stable's."""
        return GOOD_SHARES * max(0.6 * self.bound.factor, 1.0)


def choose_tails(metric: Metric, seen: CountedTails, known: Floats, q: float) -> RuleOut:
    """Takes the edge beyond which stable is known to have about 1 − q of its requests."""
    places, far, bound = pairs_to_rule_out(metric, seen.edges)
    tails, totals = known[:-1, ::-1].cumsum(axis=1)[:, -2::-1], known[:-1].sum(axis=1)
    beyond_each = (tails[:, places] + 1e-3) / (totals + 1)[:, None]
    choice = np.abs(np.log(np.maximum(beyond_each, 1e-12)) - math.log(1 - q)).argmin(axis=1)
    rows, near = np.arange(len(choice)), places[choice]
    counts, discount = seen.ticks.weighed, seen.ticks.discount
    is_known = totals >= KNOWN_REQUESTS  # with fewer the right edge is unknown
    counts = Counts(counts.bad_candidate, counts.candidate * is_known, counts.bad_stable, counts.stable * is_known)
    discount = np.where(is_known, discount, np.inf)
    theirs = seen.theirs[rows, near] / discount
    compared = Counts(seen.mine[rows, far[choice]] / discount, counts.candidate, theirs, counts.stable)
    alike = Counts(seen.mine[rows, near] / discount, *compared.parts[1:])
    return RuleOut(compared, alike, tails[rows, near], totals, bound)


def pairs_to_rule_out(metric: Metric, edges: Edges) -> tuple[Places, Places, Bound]:
    """Nearer edges and their farther ones, by place, and the bound on the tails beyond them."""
    reach = edges.reach(excluded(metric))
    near = list(reach) or list(range(len(edges.all)))
    far = [reach.get(place, place) for place in near]
    return np.array(near, dtype=int), np.array(far, dtype=int), Bound(1.0) if reach else COARSE_BOUND


def excluded(metric: Metric) -> Tolerance:
    """The margin by which slower is unacceptable: `exclude`, else twice as slow and twice the tolerance."""
    return unacceptable(metric, _twice_as_slow)


def _twice_as_slow(tolerance: Tolerance) -> Tolerance:
    relative = max(TWICE_AS_SLOW, 2 * tolerance.relative.value)
    absolute = 2 * tolerance.absolute.value
    return Tolerance.model_validate({"relative": f"{relative:.6f}", "absolute": f"{absolute:.9f}"})
