"""Who meets the candidate: one value instead of a weight here and a flag there. Pure.

Exposures are ordered by who is exposed, so every rule about traffic is one comparison: "never rises again" is
`new <= old`, "has traffic" is `NOBODY < live`, and what two limits both allow is `a & b`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """A header by which a request asks for the candidate, whatever the weight: a preview, or an audience."""

    header: str  # in lower case: HTTP does not tell the cases apart
    value: str

    def __post_init__(self) -> None:
        if not (self.header and self.value.isprintable()):
            raise ValueError(f"{self.header!r}: {self.value!r} is not a header and its value, in one line")
        object.__setattr__(self, "header", self.header.lower())

    def __str__(self) -> str:
        return f"{self.header}: {self.value}"

    @classmethod
    def parse(cls, text: str) -> Match:
        """The inverse of `str`. Raises ValueError."""
        header, colon, value = text.partition(": ")
        if not colon:
            raise ValueError(f"{text!r} is not a header and its value, such as 'x-preview: 1'")
        return cls(header, value)


COOKIE, STICKY = "cookie", "sticky cookie"
"""Of a Match, in place of a header: a cookie as name=value, and the name of one by which users stay with the candidate.
With the latter the weight is a part of users and not of requests; it has a space, as no header has."""

BY_SERVICE = Match("service", "preview")
"""Who comes through the Service that leads to the candidate alone: plain Services do not look into requests."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Who meets the candidate. `a <= b`: a exposes nobody whom b does not; `a & b`: what both allow.

    Copies and those who ask add nothing to everybody: with a weight of 100 there are neither.
    """

    weight: int = 0  # percent of users' requests that it answers
    mirror: int | Fraction = 0  # percent of users' requests of which it gets a copy; nobody waits for its answer
    asked: frozenset[Match] = frozenset()  # requests that ask for it, beside the weight

    def __post_init__(self) -> None:
        if not (0 <= self.weight <= 100 and 0 <= self.mirror <= 100):
            raise ValueError(f"weight and mirror are percent, not {self.weight} and {self.mirror}")
        if self.weight == 100:
            object.__setattr__(self, "mirror", 0)
            object.__setattr__(self, "asked", frozenset())

    def __le__(self, other: Exposure) -> bool:
        if other.weight == 100:
            return True
        return self.weight <= other.weight and self.mirror <= other.mirror and self.asked <= other.asked

    def __lt__(self, other: Exposure) -> bool:
        return self <= other and self != other

    def __and__(self, other: Exposure) -> Exposure:
        if self.weight == 100:
            return other
        if other.weight == 100:
            return self
        return Exposure(min(self.weight, other.weight), min(self.mirror, other.mirror), self.asked & other.asked)

    def __or__(self, other: Exposure) -> Exposure:
        """The least that exposes all whom either exposes."""
        return Exposure(max(self.weight, other.weight), max(self.mirror, other.mirror), self.asked | other.asked)

    @property
    def is_kept(self) -> bool:
        """Whether users stay where the weight has put them."""
        return self.asking != self.asked

    @property
    def asking(self) -> frozenset[Match]:
        """Those who ask by themselves, without those whom a cookie of the route's keeps."""
        return frozenset(match for match in self.asked if match.header != STICKY)

    @property
    def share(self) -> float:
        """The part of users' requests that the candidate sees, answered or copied; from 0 to 1."""
        return float(self.percent / 100)

    @property
    def percent(self) -> Fraction:
        """The same in percent, exactly."""
        return Fraction(max(self.weight, self.mirror))

    def __str__(self) -> str:
        copies = [f"a copy of {float(self.mirror):g} %"] if self.mirror else []
        asked = [
            *_grouped(self.asking),
            *(f"whom the cookie {match.value} keeps" for match in self.asked - self.asking),
        ]
        weight = [f"{self.weight} %"] if self.weight or not (copies or asked) else []
        return " and ".join([*weight, *copies, *asked])


MOST_NAMED = 3
"""Values of one header; more of them, such as an experiment's buckets, are counted."""


def _grouped(asked: Iterable[Match]) -> Iterator[str]:
    for header, matches in groupby(sorted(asked), key=lambda match: match.header):
        values = [*matches]
        named = [f"{header}: one of {len(values)} values"] if len(values) > MOST_NAMED else map(str, values)
        yield from (f"who asks with {one}" for one in named)


NOBODY, EVERYBODY = Exposure(), Exposure(weight=100)
