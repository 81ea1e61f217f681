"""Ticks in which the share of errors moves faster than pods are scraped: what was counted there counts for less. Pure.

Each pod is scraped at a moment of its own, and what it counted since the scrape before is spread evenly over that time.
While both arms' share of errors is steady that is right. Where it jumps (a burst that all share, a dependency that
fails) an arm of few pods seems to have its errors earlier or later than the other, by up to half a scrape: with much
traffic that is hundreds of errors more than chance allows for, and equal candidates were taken back for it.

Under the null the candidate has its part π of any jump Δ in both arms' events, of which about a quarter may be in the
wrong tick at each of its ends, beside the √(π·B) of chance. So variance grows by some factor 1 + κ·π·Δ²/B, and by as
much fewer events count. Given how many events both arms had together, which says nothing of the candidate under the
null, the factor is known; and the tests stay what they are, as E[e^(1/φ)] ≤ E[e]^(1/φ).
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
"""κ for ticks as long as a scrape: a jump in mid-scrape adds 0.06 nats at most for each end of a tick."""
SURE_JUMP = 4.0
"""Squared standard deviations from which on a change is a jump and no chance."""
FARTHEST_TICKS = 8
"""Ticks at most that are looked at on either side."""


@dataclass(frozen=True, slots=True)
class BothArms:
    """What both arms counted in the new ticks and beside them (events: ticks × kinds of them; requests: ticks).

    `before`: the ticks before them. `after`: what is known of the time after them; a row without requests is nothing.
    """

    events: Floats
    requests: Floats
    before: Floats  # any number of rows: events of each kind, then requests
    after: Floats  # one such row


def reach_of(spacing: float, tick: float) -> int:
    """How many ticks away a jump still moves events: those that a scrape spans."""
    return min(max(math.ceil(spacing / tick - 0.1), 1), FARTHEST_TICKS) if spacing < math.inf else 1


def discounts(seen: BothArms, weight: Floats, reach: int, surely: float) -> Floats:
    """By how many times fewer what was counted in each tick counts, 1 or more.

    `weight`: the candidate's part of the requests. `surely`: squared standard deviations beyond which it is a jump.
    """
    ticks = len(seen.requests)
    own = np.column_stack((seen.events, seen.requests))
    rows = np.concatenate((seen.before, own, seen.after))
    at = len(seen.before) + np.arange(ticks)
    most = np.zeros(ticks)
    for step in (*range(-reach, 0), *range(1, reach + 1)):
        place = np.minimum(at + step, len(rows) - 1)
        there = (place >= 0) & (place != at)
        other = rows[np.maximum(place, 0)]
        there &= (other[:, -1] > 0) & (seen.requests > 0)
        scale = np.where(there, seen.requests / np.where(there, other[:, -1], 1.0), 0.0)[:, None]
        expected = other[:, :-1] * scale
        excess = np.square(expected - seen.events) - surely * (expected * np.maximum(scale, 1.0) + seen.events)
        jump = np.maximum(excess, 0.0) / np.maximum(seen.events, 1.0)
        most = np.maximum(most, np.where(there, jump.max(axis=1, initial=0.0), 0.0))
    return np.asarray(1 + JUMP_WEIGHT * reach**2 * weight * most, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Discount:
    """`factors`: of each new tick. `settled`: the ticks of which that is certain. `keep`: the state after so many."""

    factors: Floats
    settled: int
    keep: Keep


def discount_jumps(
    start: LookStart, events: Floats, requests: Floats, weight: Floats, *, spacing: float, edges: Floats, surely: float
) -> Discount:
    """Of both arms' events (ticks × kinds) and requests; the last row is of the time after the ticks between `edges`.

    `spacing`: seconds from scrape to scrape. How far a jump reaches is fixed at the first look: it must not depend on
    when anybody looked. So must not what is kept: a tick is settled once no sample of its neighbours can be on its way.
    """
    ticks, kinds, course = len(edges) - 1, events.shape[1], start.course
    kept = start.ledger.get("reach")
    is_kept = kept is not None and kept.size == 1 and 1 <= kept[0] <= FARTHEST_TICKS
    reach = int(kept[0]) if kept is not None and is_kept else reach_of(spacing, course.tick)
    after = np.column_stack((events[ticks:], requests[ticks:]))
    seen = BothArms(events[:ticks], requests[:ticks], read_rows(start.ledger, "together", kinds), after)
    is_cut = ticks > 0 and edges[-1] - edges[-2] < course.tick * (1 - 1e-6)
    sure = course.ticks(start.end - LONGEST_DELAY.total_seconds()) - start.first

    def keep(count: int) -> Ledger:
        return {"together": last_rows(seen, count, reach), "reach": np.array([float(reach)])}

    return Discount(discounts(seen, weight, reach, surely), max(min(ticks - is_cut, sure) - reach, 0), keep)


def last_rows(seen: BothArms, count: int, reach: int) -> Floats:
    """What has to be kept of the last ticks, after so many of them, in one piece."""
    own = np.column_stack((seen.events, seen.requests))[:count]
    return np.concatenate((seen.before, own))[-reach:].ravel()


def read_rows(ledger: Ledger, name: str, kinds: int) -> Floats:
    """The ticks before the new ones, as they were kept."""
    kept = ledger.get(name)
    if kept is None or kept.size % (kinds + 1):
        return np.empty((0, kinds + 1))
    return kept.reshape(-1, kinds + 1)
