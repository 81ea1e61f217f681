"""Answers of both versions to the same requests: how often only one of the two was wrong. Pure.

Both counters come from whoever compares the answers, so there is one stream for both arms. What a pair has in common
(an easy request, an hour of odd traffic) cancels, which makes it two to three times as fast as comparing two shares.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import absence, shares, wording
from modelrollout.analysis.counts import Reading, arm_of, clean, total_growth
from modelrollout.analysis.evidence import Before, Evidence, Missing, Parts
from modelrollout.analysis.ledger import Ledger
from modelrollout.analysis.queries import CANDIDATE_WRONG, STABLE_WRONG
from modelrollout.analysis.sequential import pairs as tests
from modelrollout.analysis.sequential.counts import Counts
from modelrollout.analysis.sequential.wealth import weights
from modelrollout.analysis.shares import Ticks
from modelrollout.analysis.tracks import Words, followed
from modelrollout.api.spec import Metric
from modelrollout.api.status import Verdict

Floats = npt.NDArray[np.float64]

HARM_WEIGHTS = weights(np.ones(tests.ODDS.size))
GOOD_WEIGHTS = weights(np.ones(tests.GOOD_ODDS.size))


def pair_evidence(before: Before, counted: Parts) -> Evidence | Missing:
    """The evidence of pairs."""
    reading = Reading(before.since, before.look_back, before.warm_up)
    mine, theirs = clean(counted[CANDIDATE_WRONG]), clean(counted[STABLE_WRONG])
    arm = arm_of((mine, theirs), reading)
    if arm is None:
        return Missing(Verdict.NO_DATA, "neither counter has samples")
    course, ledger = before.course, before.ledger
    edges = course.edges(before.first, min(arm.frontier, before.end))
    wrong, other = (total_growth(part, edges, arm, reading) for part in (mine, theirs))
    both = wrong + other
    ticks = Ticks(edges, Counts(wrong, both, other, both), course.beginnings(edges), before.restarts(edges),
                  np.ones(len(both)), len(both))  # fmt: skip
    tolerated, unacceptable = odds_of(before.metric)
    two = followed(
        "tolerance", tests.worse(wrong, other, tolerated), HARM_WEIGHTS,
        tests.better(wrong, other, unacceptable), GOOD_WEIGHTS,
        restarts=ticks.restarts, beginnings=ticks.beginnings, ledger=ledger,
    )  # fmt: skip
    totals = shares.totals_after(ticks, len(ticks), ledger)
    one = np.array([(totals.bad_candidate + 0.5) / (totals.candidate + 1)])
    drifts = (
        max(float(tests.worse(one, 1 - one, tolerated).max()), 0.0),
        max(float(tests.better(one, 1 - one, unacceptable).max()), 0.0),
    )
    words = Words(f"≤ {tolerated:.3g} times as often wrong alone", f"≥ {unacceptable:.3g} times as often wrong alone")
    is_kept = totals.bad_candidate <= tolerated * totals.bad_stable

    def keep(count: int) -> Ledger:
        return shares.as_ledger(shares.totals_after(ticks, count, ledger)) | two.ledger(count)

    return Evidence(
        unit="answers",
        what="wrong alone ",
        candidate=wording.number(totals.bad_candidate),
        stable=wording.number(totals.bad_stable),
        samples=totals.candidate,
        stable_samples=totals.candidate,
        tracks=(shares.track(two, words, is_kept=is_kept and totals.candidate > 0, drifts=drifts),),
        ticks=len(ticks),
        keep=keep,
        seconds=totals.seconds,
        notes=() if mine and theirs else ("one of the two counters has no series, taken as 0",),
        gap=absence.unseen({"the pairs": arm}, before.end),
    )


def odds_of(metric: Metric) -> tuple[float, float]:
    """How many times as often the candidate may be the wrong one, and how many times has to be ruled out."""
    tolerated = 1 + (metric.tolerance.relative.value if metric.tolerance else 0.0)
    if metric.exclude is not None:
        return tolerated, 1 + metric.exclude.relative.value
    return tolerated, 2 * tolerated
