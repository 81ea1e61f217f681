"""Users drawn by a cookie that the route itself sets, and kept by it. Pure.

Each user has a number from 0 to 100, and a cookie that says between which two it lies. The candidate has those below
its share. Whoever has no cookie is drawn by weights; whoever's number may be on either side of a new share is drawn
once more, within what the cookie says. So a higher share moves nobody out of the candidate, a lower one moves no more
than have to go, and the part of all users is exact. The operator keeps nothing about anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelrollout.traffic.exposure import COOKIE, STICKY, Match

MOST_SHARES = 5
"""So many shares are remembered; whoever's cookie is of an older one is drawn like a new user."""
MOST_PARTS = 11
"""Rules that this makes of one at most: the shares but for the present one may bound eight parts to be drawn again."""

_BEFORE, _AFTER = "^(.*; *)?", "(;.*)?$"
_NUMBER = "[0-9]+"
EVERY_NUMBER = (0, 100)
"""Between these lies the number of any user."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One drawing of users for one try of a candidate."""

    cookie: str  # its name
    token: str  # of this try; cookies of another mean nothing
    attributes: str = "Path=/"  # as they stand in Set-Cookie
    shares: tuple[int, ...] = ()  # percentages of which users may have cookies, oldest first


@dataclass(frozen=True, slots=True)
class Part:
    """Some users, and how they are shared; with the cookie that each version's answer sets."""

    candidate: int  # weights, of any sum
    stable: int
    holders: str | None = None  # a regular expression for the header `cookie`; None: everybody else
    candidates_cookie: str | None = None
    stables_cookie: str | None = None

    @property
    def header(self) -> dict[str, str]:
        """The match of a Gateway API route."""
        return _by_cookie(self.holders or "")


def plain(share: int) -> Part:
    """Everybody, drawn anew with each request."""
    return Part(share, 100 - share)


def parts(draw: Draw, share: int) -> Iterator[Part]:
    """All users, the last part being those without a cookie of this drawing."""
    yield Part(100, 0, _holding(draw, f"{_NUMBER}-({_at_most(share)})"))
    yield Part(0, 100, _holding(draw, f"({_at_least(share)})-{_NUMBER}"))
    below = sorted({0, *(one for one in draw.shares if one < share)})
    above = sorted({100, *(one for one in draw.shares if one > share)})
    for low, high in ((low, high) for low in below for high in above):
        if (low, high) != EVERY_NUMBER:
            yield _drawn(draw, low, high, share, _holding(draw, f"{low}-{high}"))
    yield _drawn(draw, *EVERY_NUMBER, share)


def remembered(shares: Sequence[int], share: int) -> tuple[int, ...]:
    """The shares of which users have cookies once this one is in force, the newest last."""
    return (*(one for one in shares if one != share), share)[-MOST_SHARES:]


def header_of(match: Match) -> dict[str, str]:
    """The match of a Gateway API route for requests that ask; for those whom a cookie keeps, that of any share."""
    if match.header == STICKY:
        return _by_cookie(f"{_BEFORE}{_literally(match.value)}={_AFTER}")
    if match.header == COOKIE:
        name, _, value = match.value.partition("=")
        return _by_cookie(f"{_BEFORE}{_literally(name)}={_literally(value)}{_AFTER}")
    return {"type": "Exact", "name": match.header, "value": match.value}


def keeps(match: Match, header: Mapping[str, str]) -> bool:
    """Whether a header match of a route is for those whom a cookie keeps with the candidate, whatever the share."""
    return _found(match, header, rf"{re.escape(_NUMBER)}-\([][0-9|-]+\)") is not None


def between(match: Match, header: Mapping[str, str]) -> tuple[int, int] | None:
    """Between which two the numbers lie of those whom a header match of a route is for, if it is for users who are
    drawn once more; the weights of its rule then are a part of these users."""
    found = _found(match, header, "([0-9]{1,2})-([0-9]{1,3})")
    return (int(found[1]), int(found[2])) if found else None


def _found(match: Match, header: Mapping[str, str], numbers: str) -> re.Match[str] | None:
    if match.header != STICKY or (header.get("type"), header["name"].lower()) != ("RegularExpression", COOKIE):
        return None
    cookie = rf"{re.escape(_literally(match.value))}=[0-9a-z]+\\\.{numbers}"
    return re.fullmatch(f"{re.escape(_BEFORE)}{cookie}{re.escape(_AFTER)}", header["value"])


def _drawn(draw: Draw, low: int, high: int, share: int, holders: str | None = None) -> Part:
    def cookie(low: int, high: int) -> str:
        return f"{draw.cookie}={draw.token}.{low}-{high}; {draw.attributes}"

    return Part(share - low, high - share, holders, cookie(low, share), cookie(share, high))


def _by_cookie(expression: str) -> dict[str, str]:
    return {"type": "RegularExpression", "name": COOKIE, "value": expression}


def _holding(draw: Draw, numbers: str) -> str:
    return rf"{_BEFORE}{_literally(draw.cookie)}={draw.token}\.{numbers}{_AFTER}"


def _literally(text: str) -> str:
    """As every engine reads it: `re.escape` would put a backslash before characters that need none."""
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)


def _at_most(number: int) -> str:
    """Of whole numbers without leading zeros; up to 99."""
    tens, ones = divmod(number, 10)
    if not tens:
        return f"[0-{ones}]"
    return "|".join(["[0-9]", *([f"[1-{tens - 1}][0-9]"] if tens > 1 else ()), f"{tens}[0-{ones}]"])


def _at_least(number: int) -> str:
    """Up to 99."""
    tens, ones = divmod(number, 10)
    if not tens:
        return f"[{ones}-9]|[1-9][0-9]"
    return "|".join([f"{tens}[{ones}-9]", *([f"[{tens + 1}-9][0-9]"] if tens < 9 else ())])
