"""The picture of tolerance and exclude: what is fine, what is not, and what lies between."""

from __future__ import annotations

import numpy as np

from benchmarks.pictures.courses import RPS, USUAL
from benchmarks.pictures.drawing import FAR, Axis, Panel, axis, picture
from benchmarks.pictures.lab import ERRORS, Release, analysis, evenly
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds.ratio_bounds import bounds_of
from modelrollout.analysis.kinds.request_shares import INTERVAL_ALPHA
from modelrollout.api.status import MetricVerdict, Verdict
from modelrollout.sequential.intervals import interval, likelihoods
from modelrollout.sequential.noise import Mode
from modelrollout.sequential.proportions import Counts

WEIGHT = 0.1
KINDS = {Verdict.PASS: "good", Verdict.INCONCLUSIVE: "warn", Verdict.FAIL: "bad"}
CASES = ((0.0095, 400.0), (0.01, 60.0), (0.018, 600.0), (0.026, 300.0))
"""The candidate's share of errors, and the seconds for which it was watched."""


def told(share: float, seconds: float) -> MetricVerdict:
    """The verdict on errors that come evenly."""
    store = evenly(RPS, share, WEIGHT, seconds, usual=USUAL)
    return Release(analysis(ERRORS), store, usual=Prior(mode=Mode.PLAIN, share=USUAL, rate=RPS)).look(seconds)[0]


def _between(share: float, seconds: float) -> tuple[float, float]:
    """The interval of `difference`, as shares of errors."""
    mine, theirs = RPS * WEIGHT * seconds, RPS * (1 - WEIGHT) * seconds
    counts = Counts(*(np.array([part]) for part in (share * mine, mine, USUAL * theirs, theirs)))
    found = interval(likelihoods(counts), INTERVAL_ALPHA)
    return USUAL * found.low, USUAL * found.high


def zones() -> str:
    """Four candidates beside stable's 1 %, each with what is sure of it."""
    (metric,) = analysis(ERRORS).metrics
    tolerated, unacceptable = (float(bound.at(USUAL)) for bound in bounds_of(metric))
    shares = axis(0, 4, (0, 1, 2, 3, 4), " %")
    panel = Panel(66, 264, shares, Axis(0, len(CASES), ()), FAR)
    limits = [100 * limit for limit in (tolerated, unacceptable)]
    edges = [0.0, *limits, 4.0]
    shapes = panel.frame("the candidate's share of errors, while stable has 1 %", "share of errors")
    for left, right, kind in zip(edges, edges[1:], KINDS.values(), strict=False):
        shapes.append(panel.zone(left, right, kind))
    for at, text in zip(edges, ("fine", "grey", "must be ruled out before a step ends"), strict=False):
        shapes.append(panel.above(at, text))
    shapes.append(panel.upright(100 * USUAL, "stable dashed"))
    shapes += [panel.upright(limit, kind) for limit, kind in zip(limits, ("good", "bad"), strict=True)]
    for number, (share, seconds) in enumerate(CASES):
        verdict = told(share, seconds)
        low, high = _between(share, seconds)
        kind, row = KINDS[verdict.verdict], len(CASES) - 0.62 - number
        shapes += [panel.line([(100 * low, row), (min(100 * high, 4.0), row)], kind), panel.dot(100 * share, row, kind)]
        text = f"{verdict.verdict.value}: {verdict.candidate} over {verdict.samples:,} requests"
        shapes.append(panel.note(max(100 * low, 0.05), row, text, kind, dy=-10))
    return picture("Tolerance and exclude divide what a candidate may be into three zones", 384, shapes)
