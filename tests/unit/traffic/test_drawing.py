"""Users drawn by a cookie: whoever comes when, the share is exact, and nobody moves without need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise, permutations, product

import pytest

from modelrollout.traffic.drawing import (
    MOST_PARTS,
    MOST_SHARES,
    Draw,
    Part,
    between,
    header_of,
    keeps,
    parts,
    remembered,
)
from modelrollout.traffic.exposure import COOKIE, STICKY, Exposure, Match

KEPT = Match(STICKY, "fraud.arm")
Odds = dict[tuple[str, bool], Fraction]
"""Of one user: by the cookie header, and whether the candidate served them last."""


def draw(*shares: int) -> Draw:
    return Draw("fraud.arm", "b41c7d9f03", shares=shares)


def met(part: Part, header: str) -> Iterator[tuple[str, bool, Fraction]]:
    """Which versions a user may meet, the header that they send afterwards, and the odds."""
    total = part.candidate + part.stable
    arms = ((part.candidate, part.candidates_cookie, True), (part.stable, part.stables_cookie, False))
    for weight, cookie, is_candidate in arms:
        if weight:
            yield cookie.split(";")[0] if cookie else header, is_candidate, Fraction(weight, total)


def asked(odds: Odds, share: int, known: Draw) -> Odds:
    """The odds after a user has asked once, as the first rule that fits answers."""
    after: Odds = {}
    *kept, others = parts(known, share)
    for (header, _), chance in odds.items():
        part = next((one for one in kept if re.fullmatch(one.holders or "", header)), others)
        for new, is_candidate, part_of in met(part, header):
            after[new, is_candidate] = after.get((new, is_candidate), Fraction()) + chance * part_of
    return after


def on_candidate(odds: Odds) -> Fraction:
    return sum((chance for (_, is_candidate), chance in odds.items() if is_candidate), Fraction())


@pytest.mark.parametrize("shares", [row for count in (1, 2, 3, 4) for row in permutations((5, 20, 50, 99), count)])
def test_the_share_is_exact_for_whoever_comes_whenever(shares: tuple[int, ...]) -> None:
    for comes in product((True, False), repeat=len(shares)):
        odds: Odds = {("theme=dark", False): Fraction(1)}
        known: tuple[int, ...] = ()
        for share, is_there in zip(shares, comes, strict=True):
            known = remembered(known, share)
            if is_there:
                odds = asked(odds, share, draw(*known))
                assert on_candidate(odds) == Fraction(share, 100)


def test_a_rising_share_keeps_everybody_whom_the_candidate_has_and_a_falling_one_takes_nobody_in() -> None:
    for low, high in pairwise((1, 5, 25, 50, 99)):
        up, down = draw(low, high), draw(high, low)
        of_low = {header for (header, is_candidate) in asked({("", False): Fraction(1)}, low, up) if is_candidate}
        assert all(on_candidate(asked({(header, True): Fraction(1)}, high, up)) == 1 for header in of_low)
        of_high = {
            header for (header, is_candidate) in asked({("", False): Fraction(1)}, high, down) if not is_candidate
        }
        assert all(on_candidate(asked({(header, False): Fraction(1)}, low, down)) == 0 for header in of_high)


@pytest.mark.parametrize("share", range(1, 100))
def test_every_number_is_on_one_side_of_a_share_or_on_both(share: int) -> None:
    candidates, stables, *_ = parts(draw(), share)
    for low, high in product(range(100), range(1, 101)):
        if low < high:
            header = f"a=1; fraud.arm=b41c7d9f03.{low}-{high};b=2"
            sides = [re.fullmatch(one.holders or "", header) is not None for one in (candidates, stables)]
            assert sides == [high <= share, low >= share]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "fraud.arm=b41c7d9f03",
        "fraud.arm=ffffffffff.0-5",  # of another try
        "fraudxarm=b41c7d9f03.0-5",
        "my-fraud.arm=b41c7d9f03.0-5",
        "a=fraud.arm=b41c7d9f03.0-5",
        "fraud.arm=b41c7d9f03.0-5x",
        "fraud.arm=b41c7d9f03.0-500",
        "Fraud.arm=b41c7d9f03.0-5",
    ],
)
def test_no_other_cookie_is_taken_for_one_of_this_drawing(header: str) -> None:
    *kept, _ = parts(draw(5, 25, 50), 25)
    assert not any(re.fullmatch(one.holders or "", header) for one in kept)


def test_a_draw_again_is_for_those_alone_whose_number_may_be_on_either_side() -> None:
    again = [part for part in parts(draw(5, 25, 50), 50) if part.candidates_cookie]
    assert [(part.candidate, part.stable, part.stables_cookie) for part in again] == [
        (45, 50, "fraud.arm=b41c7d9f03.50-100; Path=/"),
        (25, 50, "fraud.arm=b41c7d9f03.50-100; Path=/"),
        (50, 50, "fraud.arm=b41c7d9f03.50-100; Path=/"),
    ]
    assert again[0].candidates_cookie == "fraud.arm=b41c7d9f03.5-50; Path=/"


def test_however_often_a_share_is_edited_the_rules_are_few() -> None:
    for shares in permutations((5, 20, 50, 80, 99)):
        assert len([*parts(draw(*shares), shares[-1])]) <= MOST_PARTS
    assert remembered((1, 2, 3, 4, 5), 6) == (2, 3, 4, 5, 6)
    assert len(remembered(range(50), 7)) == MOST_SHARES
    assert remembered((5, 25), 5) == (25, 5)


def test_a_route_is_read_by_the_form_of_its_expressions_alone() -> None:
    for share in range(1, 100):
        candidates, stables, *again, _ = (part.header for part in parts(draw(5, 50), share))
        assert keeps(KEPT, candidates)
        assert not any(keeps(KEPT, one) for one in (stables, *again))
        assert all(between(KEPT, one) for one in again)
        assert between(KEPT, candidates) is between(KEPT, stables) is None
    everything = {**candidates, "value": ".*"}
    assert not keeps(KEPT, everything)
    assert not keeps(KEPT, {**candidates, "type": "Exact"})
    assert not keeps(KEPT, {**candidates, "name": "x-cookie"})
    assert not keeps(Match(STICKY, "fraudxarm"), candidates)


def test_a_cookie_is_one_of_the_cookies_and_all_of_its_value() -> None:
    header = header_of(Match(COOKIE, "plan=a.b+c"))
    assert (header["type"], header["name"]) == ("RegularExpression", "cookie")
    for cookies, is_meant in {
        "plan=a.b+c": True,
        "x=1; plan=a.b+c; y=2": True,
        "x=1;plan=a.b+c": True,
        "plan=axb+c": False,
        "plan=a.b+cd": False,
        "myplan=a.b+c": False,
        "x=plan=a.b+c": False,
    }.items():
        assert (re.fullmatch(header["value"], cookies) is not None) is is_meant


def test_exposure_tells_whom_a_cookie_keeps() -> None:
    exposure = Exposure(25, asked=frozenset({KEPT, Match("x-preview", "1")}))
    assert str(exposure) == "25 % and who asks with x-preview: 1 and whom the cookie fraud.arm keeps"
    assert (exposure.is_kept, exposure.asking) == (True, frozenset({Match("x-preview", "1")}))
    assert Match.parse(str(KEPT)) == KEPT
