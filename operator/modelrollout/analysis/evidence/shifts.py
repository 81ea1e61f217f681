"""Jumps of the share of errors between two scrapes: events in such ticks are discounted. Pure.

Each pod is scraped at its own moment, and its increments are spread evenly over the time between two scrapes. That is
right while both arms' share of errors is steady. Where it jumps (a burst in both arms, a dependency that fails), the
errors of an arm of few pods seem to come earlier or later than those of the other arm, by up to half a scrape. With
much traffic that is hundreds of errors more than chance allows for, and equal candidates were rolled back for it.

Under the null the candidate has its part π of any jump Δ in both arms' events. About a quarter of that may be in the
wrong tick at each end of the jump, on top of the √(π·B) of chance. So the variance grows by a factor of about
φ = 1 + κ·π·Δ²/B, and events are discounted by it. φ depends only on the events of both arms together, which say nothing
about the candidate under the null. So the tests stay valid: E[e^(1/φ)] ≤ E[e]^(1/φ).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.ticks import LONGEST_DELAY
from modelrollout.analysis.evidence.tracks import Keep

Floats = npt.NDArray[np.float64]

JUMP_WEIGHT = 0.5
"""κ for ticks as long as a scrape: a jump in mid-scrape adds at most 0.06 nats for each end of a tick."""
SURE_JUMP = 4.0
"""Squared standard deviations beyond which a change is a jump, not chance."""
FARTHEST_TICKS = 8
"""The most ticks that are looked at on either side."""


@dataclass(frozen=True, slots=True)
class BothArms:
    """Counts of both arms together in the new ticks (events: ticks × kinds of events; requests: ticks).

    `before`: rows of the ticks before them. `after`: one row of the time after them, without requests if unknown.
    """

    events: Floats
    requests: Floats
    before: Floats  # any number of rows: events of each kind, then requests
    after: Floats  # one such row


def reach_of(spacing: float, tick: float) -> int:
    """The distance in ticks over which a jump moves events: the ticks that a scrape spans."""
    return min(max(math.ceil(spacing / tick - 0.1), 1), FARTHEST_TICKS) if spacing < math.inf else 1


def discounts(both: BothArms, weight: Floats, reach: int, surely: float) -> Floats:
    """The factor, at least 1, by which the events of each tick are discounted.

    `weight`: the candidate's part of the requests. `surely`: squared standard deviations beyond which a change is a
    jump.
    """
    ticks = len(both.requests)
    own = np.column_stack((both.events, both.requests))
    rows = np.concatenate((both.before, own, both.after))
    at = len(both.before) + np.arange(ticks)
    most = np.zeros(ticks)
    for step in (*range(-reach, 0), *range(1, reach + 1)):
        place = np.minimum(at + step, len(rows) - 1)
        there = (place >= 0) & (place != at)
        other = rows[np.maximum(place, 0)]
        there &= (other[:, -1] > 0) & (both.requests > 0)
        scale = np.where(there, both.requests / np.where(there, other[:, -1], 1.0), 0.0)[:, None]
        expected = other[:, :-1] * scale
        excess = np.square(expected - both.events) - surely * (expected * np.maximum(scale, 1.0) + both.events)
        jump = np.maximum(excess, 0.0) / np.maximum(both.events, 1.0)
        most = np.maximum(most, np.where(there, jump.max(axis=1, initial=0.0), 0.0))
    return np.asarray(1 + JUMP_WEIGHT * reach**2 * weight * most, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Discount:
    """`factors`: of each new tick. `settled`: how many of them are final. `keep`: the state after so many ticks."""

    factors: Floats
    settled: int
    keep: Keep


def discount_jumps(
    start: LookStart, events: Floats, requests: Floats, weight: Floats, *, spacing: float, edges: Floats, surely: float
) -> Discount:
    """The discount from both arms' events (ticks × kinds) and requests.

    The last row is of the time after the ticks between `edges`. `spacing`: seconds from scrape to scrape. Nothing here
    may depend on when anybody looked. So the reach of a jump is fixed at the first look, and a tick is settled once no
    sample of its neighbours can still arrive.
    """
    ticks, kinds, course = len(edges) - 1, events.shape[1], start.course
    kept = start.ledger.get("reach")
    is_kept = kept is not None and kept.size == 1 and 1 <= kept[0] <= FARTHEST_TICKS
    reach = int(kept[0]) if kept is not None and is_kept else reach_of(spacing, course.tick)
    after = np.column_stack((events[ticks:], requests[ticks:]))
    both = BothArms(events[:ticks], requests[:ticks], read_rows(start.ledger, "together", kinds), after)
    is_cut = ticks > 0 and edges[-1] - edges[-2] < course.tick * (1 - 1e-6)
    sure = course.ticks(start.end - LONGEST_DELAY.total_seconds()) - start.first

    def keep(count: int) -> Ledger:
        return {"together": last_rows(both, count, reach), "reach": np.array([float(reach)])}

    return Discount(discounts(both, weight, reach, surely), max(min(ticks - is_cut, sure) - reach, 0), keep)


def last_rows(both: BothArms, count: int, reach: int) -> Floats:
    """The last `reach` rows after so many ticks, flattened for the ledger."""
    own = np.column_stack((both.events, both.requests))[:count]
    return np.concatenate((both.before, own))[-reach:].ravel()


def read_rows(ledger: Ledger, name: str, kinds: int) -> Floats:
    """The rows that `last_rows` kept: the ticks before the new ones."""
    kept = ledger.get(name)
    if kept is None or kept.size % (kinds + 1):
        return np.empty((0, kinds + 1))
    return kept.reshape(-1, kinds + 1)
