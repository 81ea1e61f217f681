"""Shares of requests against their bounds: the common part of ratios and tails of histograms. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.tracks import Track, Wealths, Words, bet
from modelrollout.analysis.kinds.pod_noise import PodNoise
from modelrollout.sequential import cells
from modelrollout.sequential import proportions as tests
from modelrollout.sequential.intervals import RATIOS, interval, likelihoods
from modelrollout.sequential.proportions import Baseline, Bound, Counts
from modelrollout.sequential.wealth import EFFECT_WEIGHTS, weights

Floats = npt.NDArray[np.float64]

BEYOND_LIMIT = 1.5
"""Ruling out this many times a limit is enough, so a candidate exactly at the limit does not hold the step forever."""
NEGLIGIBLE_SHARE = 0.002
"""The smallest unacceptable share, 0.2 %: where stable has no bad requests, a multiple of its share could not be ruled
out."""
INTERVAL_ALPHA = 0.01
"""Error rate of the interval in messages; no verdict depends on it."""
ROUNDING = 1e-12  # two equal shares may differ in their last digit
HARM_WEIGHTS = weights(EFFECT_WEIGHTS)
RARE_WEIGHTS = weights(tests.RARE_EFFECT_WEIGHTS)
GOOD_WEIGHTS = weights(tests.GOOD_WEIGHTS)
FEWEST_FOR_GOAL = 100.0
"""Requests of stable before its rate is known well enough to bet on a few per cent."""
GOAL_WEIGHTS = weights(tests.GOAL_EFFECT_WEIGHTS)
LIMIT_GOOD_WEIGHTS = weights(np.ones(4))


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of the current step: events and requests of candidate and stable, and its length in seconds."""

    bad_candidate: float = 0.0
    candidate: float = 0.0
    bad_stable: float = 0.0
    stable: float = 0.0
    seconds: float = 0.0

    @property
    def share(self) -> float:
        return self.bad_candidate / self.candidate if self.candidate > 0 else 0.0

    @property
    def stable_share(self) -> float:
        return self.bad_stable / self.stable if self.stable > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Ticks:
    """New ticks: their bounds, their counts, and the places at which a later step begins."""

    edges: Floats
    counts: Counts
    beginnings: Sequence[int]
    restarts: Floats
    discount: Floats  # factor by which events are discounted where arms are compared, 1 or more
    settled: int  # ticks whose discount is final: later ones may still see a jump

    @property
    def weighed(self) -> Counts:
        """The discounted counts, by which the arms are compared."""
        return Counts(*(part / self.discount for part in self.counts.parts))

    def __len__(self) -> int:
        return len(self.counts.candidate)


def totals_after(ticks: Ticks, count: int, ledger: Ledger) -> Totals:
    """The totals after so many ticks, of the step that the next tick belongs to."""
    begun = [at for at in ticks.beginnings if at <= count]
    kept = ledger.get("totals")
    known = np.zeros(5) if begun or kept is None or kept.size != 5 else kept
    first = begun[-1] if begun else 0
    seen = ticks.counts
    grown = [part[first:count].sum() for part in (seen.bad_candidate, seen.candidate, seen.bad_stable, seen.stable)]
    return Totals(*(known + np.array([*grown, ticks.edges[count] - ticks.edges[first]])).tolist())


def totals_in_ledger(totals: Totals) -> dict[str, Floats]:
    return {
        "totals": np.array([totals.bad_candidate, totals.candidate, totals.bad_stable, totals.stable, totals.seconds])
    }


def baseline(ledger: Ledger, share: float | None, rate: float | None) -> Baseline:
    """Stable's rate so far: from the ledger, else from its history, decayed."""
    kept = ledger.get("baseline")
    if kept is not None and kept.size == 2:
        return Baseline(*kept.tolist())
    if share is None or rate is None:
        return Baseline()
    lasting = tests.HALF_LIFE / math.log(2)
    return Baseline(share * rate * lasting, rate * lasting)


def compare(
    name: str,
    ticks: Ticks,
    base: Floats,
    tolerated: Bound,
    unacceptable: Bound,
    noise: PodNoise,
    ledger: Ledger,
    *,
    is_rare: bool = False,
    known: Floats | None = None,
    in_cells: Floats | None = None,
) -> Wealths:
    """Candidate against stable. `base`: stable's rate before each tick. `is_rare`: few requests go right.

    `known`: where `unacceptable` is a goal, that a few per cent decide about: the requests that `base` is known from.
    `in_cells`: ln e of more bets on harm.
    """
    weights_of_harm = RARE_WEIGHTS if is_rare else HARM_WEIGHTS
    harm, good = _factors(ticks.weighed, base, tolerated, unacceptable, noise, is_rare=is_rare)
    if known is not None:
        good = np.where(known[:, None] < FEWEST_FOR_GOAL, 0.0, tests.shown(ticks.weighed, base, unacceptable))
    harm /= noise.harm[:, None]
    if in_cells is not None:
        harm, weights_of_harm = half_on_cells(harm, weights_of_harm, in_cells)
    return bet(
        name,
        harm,
        weights_of_harm,
        good / noise.good[:, None],
        GOOD_WEIGHTS if known is None else GOAL_WEIGHTS,
        restarts=ticks.restarts,
        beginnings=ticks.beginnings,
        ledger=ledger,
    )


def half_on_cells(harm: Floats, log_shares: Floats, in_cells: Floats) -> tuple[Floats, Floats]:
    """ln of the factors of all bets on harm, and ln of their shares: half of the stakes are on cells."""
    on_cells = weights(np.tile(cells.EFFECT_WEIGHTS, in_cells.shape[1] // cells.EFFECT_WEIGHTS.size))
    return np.concatenate((harm, in_cells), axis=1), np.concatenate((log_shares, on_cells)) - math.log(2)


def _factors(
    counts: Counts, base: Floats, tolerated: Bound, unacceptable: Bound, noise: PodNoise, *, is_rare: bool
) -> tuple[Floats, Floats]:
    """ln e of harm and of good: for all ticks at once, but where what pods may differ by has changed."""
    widths = set(noise.width.tolist())
    if len(widths) <= 1:
        return tests.both(counts, base, noise.allowed(tolerated), unacceptable, is_rare=is_rare)
    bets = (tests.RARE_EFFECTS if is_rare else EFFECT_WEIGHTS).size
    harm, good = np.empty((base.size, bets)), np.empty((base.size, tests.GOOD_WEIGHTS.size))
    for width in widths:
        there = noise.width == width
        bound = tolerated.widened(width)
        harm[there], good[there] = tests.both(counts.only(there), base[there], bound, unacceptable, is_rare=is_rare)
    return harm, good


def hold_to_limit(
    name: str, ticks: Ticks, events: Floats, requests: Floats, limit: float, noise: PodNoise, ledger: Ledger
) -> Wealths:
    """The candidate alone against a limit on the share of `events`."""
    limit = min(max(limit, tests.TINY), 1 - 1e-9)
    harm = tests.beyond_limit(events, requests, limit) / noise.harm[:, None]
    good = tests.below_limit(events, requests, unacceptable_limit(limit)) / noise.good[:, None]
    return bet(
        name,
        harm,
        HARM_WEIGHTS,
        good,
        LIMIT_GOOD_WEIGHTS,
        restarts=ticks.restarts,
        beginnings=ticks.beginnings,
        ledger=ledger,
    )


def unacceptable_limit(limit: float) -> float:
    """The share of events that has to be ruled out for a limit."""
    return min(max(BEYOND_LIMIT * limit, NEGLIGIBLE_SHARE), (limit + 1) / 2)


def comparison_drifts(
    totals: Totals, tolerated: Bound, unacceptable: Bound, discounts: tuple[float, float], *, is_goal: bool = False
) -> tuple[float, float]:
    """The expected growth of ln harm and ln good with each further request of the candidate.

    It assumes each arm's estimated share, and the present proportion of the arms' traffic. A candidate with few
    requests is assumed to be like stable.
    """
    if totals.candidate <= 0 or totals.stable <= 0:
        return 0.0, 0.0
    usual = (totals.bad_stable + 0.5) / (totals.stable + 1)
    share = (totals.bad_candidate + usual) / (totals.candidate + 1)
    parts = (share, 1.0, usual * totals.stable / totals.candidate, totals.stable / totals.candidate)
    one = Counts(*(np.array([part]) for part in parts))
    base = np.array([usual])
    rule_out = tests.shown if is_goal else tests.better
    harm, good = tests.worse(one, base, tolerated).max(), rule_out(one, base, unacceptable).max()
    return max(float(harm) / discounts[0], 0.0), max(float(good) / discounts[1], 0.0)


def limit_drifts(events: float, requests: float, limit: float, discounts: tuple[float, float]) -> tuple[float, float]:
    """The same for a limit."""
    if requests <= 0:
        return 0.0, 0.0
    limit = min(max(limit, tests.TINY), 1 - 1e-9)
    share, one = np.array([(events + 0.5) / (requests + 1)]), np.array([1.0])
    harm = tests.beyond_limit(share, one, limit).max()
    good = tests.below_limit(share, one, unacceptable_limit(limit)).max()
    return max(float(harm) / discounts[0], 0.0), max(float(good) / discounts[1], 0.0)


def track(
    wealths: Wealths,
    words: Words,
    *,
    is_kept: bool,
    drifts: tuple[float, float],
    share: float = 1.0,
    threshold: float | None = None,
) -> Track:
    return Track(
        name=wealths.name,
        words=words,
        harm=wealths.harm.log,
        before=wealths.harm.before.log,
        good=wealths.good,
        is_kept=is_kept,
        share=share,
        threshold=threshold,
        harm_drift=drifts[0],
        good_drift=drifts[1],
    )


def words(tolerated: Bound, unacceptable: Bound, totals: Totals, *, is_bad: bool, where: str = "") -> Words:
    """Both bounds of a comparison, for people."""
    return Words(
        f"{bound_words(tolerated, totals, is_bad=is_bad)}{where}",
        f"{bound_words(unacceptable, totals, is_bad=is_bad, is_beyond=True)}{where}",
    )


def bound_words(bound: Bound, totals: Totals, *, is_bad: bool, is_beyond: bool = False) -> str:
    """A bound at stable's share, in the metric's own direction: ≤ for bad requests, ≥ for good ones."""
    if totals.stable <= 0:
        return "what is tolerated" if not is_beyond else "what is unacceptable"
    at = min(bound.factor * totals.stable_share + bound.margin, 1.0)
    relation = "≤" if is_bad != is_beyond else "≥"
    return f"{relation} {wording.share(at if is_bad else 1 - at)}"


def times_stable(ledger: Ledger, counts: Counts, alpha: float) -> str | None:
    """The interval of the candidate's share as a multiple of stable's, in words; None while it is unknown."""
    known = _kept_ratios(ledger) + likelihoods(counts)
    between = interval(known, alpha)
    if between.low == 0 and between.high == math.inf:
        return None
    sure = f"at {100 * (1 - alpha):g} %, at any time"
    if between.high == math.inf:
        return f"at least {between.low:.2g} times stable's ({sure})"
    if between.low == 0:
        return f"at most {between.high:.2g} times stable's ({sure})"
    return f"{between.low:.2g} to {between.high:.2g} times stable's ({sure})"


def ratios_after(ledger: Ledger, counts: Counts) -> dict[str, Floats]:
    return {"ratios": _kept_ratios(ledger) + likelihoods(counts)}


def _kept_ratios(ledger: Ledger) -> Floats:
    kept = ledger.get("ratios")
    return kept if kept is not None and kept.size == RATIOS.size else np.zeros(RATIOS.size)
