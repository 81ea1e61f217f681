"""Answers of both versions to the same requests: how often only one of the two was wrong. Pure.

Both counters come from the process that compares the answers, so there is one stream for both arms. Whatever a pair
has in common (an easy request, an hour of odd traffic) cancels, so this is two to three times as fast as comparing two
shares.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing, Parts
from modelrollout.analysis.evidence.tracks import Keep, Track, Wealths, Words, bet
from modelrollout.analysis.kinds import request_shares
from modelrollout.analysis.kinds.margins import margins
from modelrollout.analysis.kinds.metric_kind import Form, MetricKind, Part
from modelrollout.analysis.kinds.request_shares import Ticks, Totals
from modelrollout.analysis.parts import CANDIDATE_WRONG, STABLE_WRONG, TOTAL
from modelrollout.analysis.samples import silent_arms
from modelrollout.analysis.samples.counters import SampleWindow, clean, scrapes_of, total_growth
from modelrollout.analysis.samples.over_time import SeriesOfArm, quotients
from modelrollout.api.metric import Metric
from modelrollout.api.status import Verdict
from modelrollout.sequential import paired as tests
from modelrollout.sequential.proportions import Counts, below_limit
from modelrollout.sequential.wealth import weights

Floats = npt.NDArray[np.float64]

ODDS_WEIGHTS = weights(np.ones(tests.ODDS.size))
GOOD_ODDS_WEIGHTS = weights(np.ones(tests.GOOD_ODDS.size + 4))
FEWEST_ANSWERS = 20
NEGLIGIBLE_DIFFERENCE = 0.005
"""Share of all answers. Models that differ in fewer than this need no further comparison."""


def pair_evidence(start: LookStart, counted: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of pairs. `counted` is of both arms, so stable is not asked for by itself."""
    window = SampleWindow(start.since, start.look_back, start.warm_up)
    mine, theirs = clean(counted[CANDIDATE_WRONG]), clean(counted[STABLE_WRONG])
    compared = clean(counted.get(TOTAL, ()))
    scrapes = scrapes_of((mine, theirs, compared), window)
    if scrapes is None:
        return Missing(Verdict.NO_DATA, "none of the counters has samples")
    edges = start.course.edges(start.first, min(scrapes.frontier, start.end))
    wrong, other = (total_growth(part, edges, scrapes, window) for part in (mine, theirs))
    answers = np.maximum(total_growth(compared, edges, scrapes, window), wrong + other)
    ticks = Ticks(
        edges,
        Counts(wrong, answers, other, answers),
        start.course.beginnings(edges),
        start.restarts(edges),
        np.ones(len(answers)),
        len(answers),
    )
    totals = request_shares.totals_after(ticks, len(ticks), start.ledger)
    wealths = _wealths(start, ticks)
    return Evidence(
        unit="answers",
        what="wrong alone ",
        candidate=wording.number(totals.bad_candidate),
        stable=wording.number(totals.bad_stable),
        samples=totals.candidate,
        stable_samples=totals.candidate,
        tracks=(_track(start.metric, wealths, totals),),
        ticks=len(ticks),
        keep=_keeper(start, ticks, wealths),
        seconds=totals.seconds,
        notes=() if mine and theirs else ("one of the two counters has no series, taken as 0",),
        gap=silent_arms.silent_arm({"the pairs": scrapes}, start.end),
    )


def _wealths(start: LookStart, ticks: Ticks) -> Wealths:
    tolerated, unacceptable = odds_of(start.metric)
    wrong, answers, other, _ = ticks.counts.parts
    return bet(
        "tolerance",
        tests.worse(wrong, other, tolerated),
        ODDS_WEIGHTS,
        _ruled_out(wrong, other, answers, unacceptable),
        GOOD_ODDS_WEIGHTS,
        restarts=ticks.restarts,
        beginnings=ticks.beginnings,
        ledger=start.ledger,
    )


def _track(metric: Metric, wealths: Wealths, totals: Totals) -> Track:
    tolerated, unacceptable = odds_of(metric)
    words = Words(f"≤ {tolerated:.3g} times as often wrong alone", f"≥ {unacceptable:.3g} times as often wrong alone")
    is_kept = totals.candidate > 0 and totals.bad_candidate <= tolerated * totals.bad_stable
    return request_shares.track(wealths, words, is_kept=is_kept, drifts=_drifts(totals, tolerated, unacceptable))


def _drifts(totals: Totals, tolerated: float, unacceptable: float) -> tuple[float, float]:
    """The expected growth of ln harm and ln good with each further answer, as things are."""
    differing = totals.bad_candidate + totals.bad_stable
    one = np.array([(totals.bad_candidate + 0.5) / (differing + 1)])
    each = min((differing + 0.5) / (totals.candidate + 1), 1.0)
    wrong, other = one * each, (1 - one) * each
    harm = tests.worse(wrong, other, tolerated).max()
    good = _ruled_out(wrong, other, np.ones(1), unacceptable).max()
    return max(float(harm), 0.0), max(float(good), 0.0)


def _keeper(start: LookStart, ticks: Ticks, wealths: Wealths) -> Keep:
    def keep(count: int) -> Ledger:
        totals = request_shares.totals_after(ticks, count, start.ledger)
        return request_shares.totals_in_ledger(totals) | wealths.ledger(count)

    return keep


def _ruled_out(wrong: Floats, other: Floats, answers: Floats, unacceptable: float) -> Floats:
    """ln e against `the candidate is wrong alone this many times as often, and not in a negligible share of answers`.

    To refute one half refutes the whole, so bets against both halves share one wealth.
    """
    rare = below_limit(wrong, np.maximum(answers, wrong), NEGLIGIBLE_DIFFERENCE)
    return np.concatenate((tests.better(wrong, other, unacceptable), rare), axis=1)


def odds_of(metric: Metric) -> tuple[float, float]:
    """How many times as often the candidate may be the wrong one, and how many times has to be ruled out."""
    return margins(metric, lambda tolerance: 1 + tolerance.relative.value, lambda odds: 2 * odds)


def _parts(metric: Metric) -> list[Part]:
    pairs = metric.pairs
    if pairs is None:
        return []
    wrong = [
        Part(CANDIDATE_WRONG, pairs.candidate_wrong, "pairs.candidateWrong"),
        Part(STABLE_WRONG, pairs.stable_wrong, "pairs.stableWrong"),
    ]
    return [*wrong, Part(TOTAL, pairs.total, "pairs.total")] if pairs.total is not None else wrong


def _over_time(metric: Metric, parts: SeriesOfArm, edges: Floats, window: SampleWindow) -> list[float]:
    """The part of the differing answers that only the candidate got wrong."""
    either = (*parts.get(CANDIDATE_WRONG, ()), *parts.get(STABLE_WRONG, ()))
    return quotients(parts.get(CANDIDATE_WRONG, ()), either, edges, window)


KIND = MetricKind(
    form=Form.COUNTERS,
    parts=_parts,
    evidence=pair_evidence,
    over_time=_over_time,
    unit=wording.unit_of_bounds,
    default_samples=FEWEST_ANSWERS,
    asks_stable=False,
)
