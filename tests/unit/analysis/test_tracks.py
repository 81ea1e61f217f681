"""One bound's two wealths over new ticks, and what is kept of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.tracks import Track, Wealths, Words, bet, merge_harm
from modelrollout.sequential.wealth import weights

TICKS, BETS = 60, 3
RANDOM = np.random.default_rng(7)
HARM, GOOD = RANDOM.normal(-0.05, 0.6, (TICKS, BETS)), RANDOM.normal(0.02, 0.4, (TICKS, BETS))
RESTARTS = np.full(TICKS, 0.4 / TICKS)
RESTARTS[0] += 0.5
EVEN = weights(np.ones(BETS))
STEP = 25


def of(first: int, end: int, ledger: Ledger, step: int | None = STEP) -> Wealths:
    """The ticks from one to another; a step began with one of them, or before them."""
    begins = [step - first] if step is not None and first <= step <= end else []
    part = slice(first, end)
    return bet("t", HARM[part], EVEN, GOOD[part], EVEN, restarts=RESTARTS[part], beginnings=begins, ledger=ledger)


@pytest.mark.parametrize("cuts", [[], [1], [24], [25], [26], [7, 25, 26, 40], list(range(1, TICKS))])
def test_a_walk_in_pieces_ends_where_one_in_one_piece_does(cuts: list[int]) -> None:
    whole, ledger = of(0, TICKS, {}), {}
    highest = -math.inf
    for first, end in zip([0, *cuts], [*cuts, TICKS], strict=True):
        two = of(first, end, ledger)
        highest = max(highest, float(two.harm.log.max(initial=-math.inf)))
        ledger = two.ledger(end - first)
    assert two.harm.last == pytest.approx(whole.harm.last, abs=1e-12)
    assert highest == pytest.approx(float(whole.harm.log.max()), abs=1e-12)
    assert two.good == pytest.approx(whole.good, abs=1e-12)
    expected = whole.ledger(TICKS)
    assert all(np.allclose(ledger[name], expected[name], atol=1e-12) for name in expected)


@pytest.mark.parametrize("at", range(0, TICKS + 1, 5))
def test_what_is_kept_after_some_ticks_is_what_those_ticks_alone_would_leave(at: int) -> None:
    kept, alone = of(0, TICKS, {}).ledger(at), of(0, at, {}).ledger(at)
    assert all(np.allclose(kept[name], alone[name], atol=1e-12) for name in alone)


def test_harm_is_carried_on_over_a_step_and_good_begins_anew() -> None:
    with_step, without = of(0, TICKS, {}), of(0, TICKS, {}, step=None)
    assert with_step.harm.last == without.harm.last
    ledger = {**without.ledger(TICKS), "t.good": np.array([3.0, 3.0, 3.0, 9.0])}
    nothing = np.zeros((0, BETS))
    begun = bet("t", nothing, EVEN, nothing, EVEN, restarts=np.empty(0), beginnings=[0], ledger=ledger)
    assert (begun.good, begun.harm.last) == (0.0, pytest.approx(without.harm.last))
    going_on = bet("t", nothing, EVEN, nothing, EVEN, restarts=np.empty(0), beginnings=[], ledger=ledger)
    assert going_on.good == 9.0


@pytest.mark.parametrize("size", [0, 1, BETS, BETS + 2])
def test_a_state_for_other_bets_is_no_state(size: int) -> None:
    odd = {"t.harm": np.ones(size), "t.good": np.ones(size)}
    assert of(0, TICKS, odd).harm.last == of(0, TICKS, {}).harm.last


def test_the_most_that_good_has_been_is_not_forgotten() -> None:
    good = np.array([[4.0], [-4.0], [-4.0]])
    one = weights(np.ones(1))
    two = bet("t", good, one, good, one, restarts=np.array([1.0, 0, 0]), beginnings=[], ledger={})
    assert two.good == pytest.approx(4.0)
    assert two.ledger(3)["t.good"].tolist() == pytest.approx([-4.0, 4.0])


def track(before: float, *harm: float) -> Track:
    return Track("t", Words("", ""), np.array(harm), before, good=0.0, is_kept=True)


HALF = math.log(0.5)


def test_wealths_are_merged_tick_by_tick_and_one_that_ends_stays_where_it_is() -> None:
    found = np.exp(merge_harm([(4, track(0.0, math.log(3), math.log(5))), (4, track(math.log(7)))], [HALF, HALF]))
    assert found == pytest.approx([4, 5, 6])


def test_a_wealth_is_not_added_to_what_another_was_before_it() -> None:
    was_high = track(0.0, math.log(90), math.log(2), math.log(3))
    found = np.exp(merge_harm([(2, was_high), (4, track(math.log(90), math.log(80)))], [HALF, HALF]))
    assert found == pytest.approx([46, 41.5])
    long_ago = track(math.log(4), math.log(5))
    assert np.exp(merge_harm([(2, long_ago), (9, track(math.log(7)))], [HALF, HALF])) == pytest.approx([6])
