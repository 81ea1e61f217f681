"""Answers of both versions to the same requests: how often only one of the two was wrong. Pure.

Both counters come from whoever compares the answers, so there is one stream for both arms. What a pair has in common
(an easy request, an hour of odd traffic) cancels, which makes it two to three times as fast as comparing two shares.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing, Parts
from modelrollout.analysis.evidence.tracks import Words, bet
from modelrollout.analysis.kinds import request_shares
from modelrollout.analysis.kinds.request_shares import Ticks
from modelrollout.analysis.queries import CANDIDATE_WRONG, STABLE_WRONG, TOTAL
from modelrollout.analysis.samples import silent_arms
from modelrollout.analysis.samples.counters import Reading, clean, scrapes_of, total_growth
from modelrollout.api.metric import Metric
from modelrollout.api.status import Verdict
from modelrollout.sequential import paired as tests
from modelrollout.sequential.proportions import Counts, below_limit
from modelrollout.sequential.wealth import weights

Floats = npt.NDArray[np.float64]

HARM_WEIGHTS = weights(np.ones(tests.ODDS.size))
GOOD_WEIGHTS = weights(np.ones(tests.GOOD_ODDS.size + 4))
NEGLIGIBLE = 0.005
"""Of all answers: models that hardly ever differ need not be compared any further."""


def pair_evidence(start: LookStart, counted: Parts) -> Evidence | Missing:
    """The evidence of pairs."""
    reading = Reading(start.since, start.look_back, start.warm_up)
    mine, theirs = clean(counted[CANDIDATE_WRONG]), clean(counted[STABLE_WRONG])
    compared = clean(counted.get(TOTAL, ()))
    arm = scrapes_of((mine, theirs, compared), reading)
    if arm is None:
        return Missing(Verdict.NO_DATA, "none of the counters has samples")
    course, ledger = start.course, start.ledger
    edges = course.edges(start.first, min(arm.frontier, start.end))
    wrong, other = (total_growth(part, edges, arm, reading) for part in (mine, theirs))
    answers = np.maximum(total_growth(compared, edges, arm, reading), wrong + other)
    ticks = Ticks(edges, Counts(wrong, answers, other, answers), course.beginnings(edges), start.restarts(edges),
                  np.ones(len(answers)), len(answers))  # fmt: skip
    tolerated, unacceptable = odds_of(start.metric)
    two = bet(
        "tolerance", tests.worse(wrong, other, tolerated), HARM_WEIGHTS,
        _ruled_out(wrong, other, answers, unacceptable), GOOD_WEIGHTS,
        restarts=ticks.restarts, beginnings=ticks.beginnings, ledger=ledger,
    )  # fmt: skip
    totals = request_shares.totals_after(ticks, len(ticks), ledger)
    differing = totals.bad_candidate + totals.bad_stable
    one = np.array([(totals.bad_candidate + 0.5) / (differing + 1)])
    each = min((differing + 0.5) / (totals.candidate + 1), 1.0)
    drifts = (
        max(float(tests.worse(one * each, (1 - one) * each, tolerated).max()), 0.0),
        max(float(_ruled_out(one * each, (1 - one) * each, np.ones(1), unacceptable).max()), 0.0),
    )
    words = Words(f"≤ {tolerated:.3g} times as often wrong alone", f"≥ {unacceptable:.3g} times as often wrong alone")
    is_kept = totals.bad_candidate <= tolerated * totals.bad_stable

    def keep(count: int) -> Ledger:
        return request_shares.totals_in_ledger(request_shares.totals_after(ticks, count, ledger)) | two.ledger(count)

    return Evidence(
        unit="answers",
        what="wrong alone ",
        candidate=wording.number(totals.bad_candidate),
        stable=wording.number(totals.bad_stable),
        samples=totals.candidate,
        stable_samples=totals.candidate,
        tracks=(request_shares.track(two, words, is_kept=is_kept and totals.candidate > 0, drifts=drifts),),
        ticks=len(ticks),
        keep=keep,
        seconds=totals.seconds,
        notes=() if mine and theirs else ("one of the two counters has no series, taken as 0",),
        gap=silent_arms.silent_arm({"the pairs": arm}, start.end),
    )


def _ruled_out(wrong: Floats, other: Floats, answers: Floats, unacceptable: float) -> Floats:
    """ln e against `the candidate is as much more often wrong alone, and in more than NEGLIGIBLE of all answers`.

    Either is ruled out by what rules out one of them, so bets on both share one wealth.
    """
    rare = below_limit(wrong, np.maximum(answers, wrong), NEGLIGIBLE)
    return np.concatenate((tests.better(wrong, other, unacceptable), rare), axis=1)


def odds_of(metric: Metric) -> tuple[float, float]:
    """How many times as often the candidate may be the wrong one, and how many times has to be ruled out."""
    tolerated = 1 + (metric.tolerance.relative.value if metric.tolerance else 0.0)
    if metric.exclude is not None:
        return tolerated, 1 + metric.exclude.relative.value
    return tolerated, 2 * tolerated
