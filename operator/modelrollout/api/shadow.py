"""Copies of users' requests for a candidate whose answers nobody gets: stages of the kind ``shadow``. Pure."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.compare import Compare
from modelrollout.api.matches import HAS_PATH_CHARACTERS, IS_ABSOLUTE, IS_NORMAL, Method
from modelrollout.api.rules import Rule
from modelrollout.api.scalars import Duration, FinePercent
from modelrollout.api.smoke import Smoked

ALL_METHODS: frozenset[str] = frozenset(get_args(Method))
SAFE_METHODS: tuple[Method, ...] = ("GET", "HEAD", "OPTIONS")
"""Those that change nothing (RFC 9110, 9.2.1), so a second time does no harm. No model answers TRACE."""

_ONCE = "each may stand here once: remove the second one"
_PREFIX = Annotated[str, Field(min_length=1, max_length=256), IS_ABSOLUTE, IS_NORMAL, HAS_PATH_CHARACTERS]


class Copies(Model):
    """Requests of which the candidate gets a copy. Users get stable's answer, and nobody waits for the candidate's."""

    percent: Annotated[
        FinePercent,
        Rule(lambda percent: percent != 0, "a share of nothing copies nothing: write 1 or more", None),
        Field(description='Percent of these requests: a whole number, or a text such as "0.5%". Default: 100.'),
    ] = 100
    methods: Annotated[
        tuple[Method, ...],
        Field(
            min_length=1,
            max_length=9,
            description="Methods of requests that are copied. A copy is carried out, so only those that change nothing "
            "are copied unless it is said here; prediction is mostly a POST. Default: GET, HEAD, OPTIONS.",
        ),
        Rule(lambda methods: len({*methods}) == len(methods), _ONCE, "self.all(m, self.exists_one(o, o == m))"),
    ] = SAFE_METHODS
    paths: Annotated[
        tuple[_PREFIX, ...],
        Field(max_length=8, description="How their paths begin, in whole parts between slashes; all when left out."),
        Rule(lambda paths: len({*paths}) == len(paths), _ONCE, "self.all(p, self.exists_one(o, o == p))"),
    ] = ()
    compare: Annotated[
        Compare | None,
        Field(description="Send the copies to a comparer, which asks both versions; else to the candidate alone."),
    ] = None


class Shadow(Smoked, Copies):
    """The candidate gets copies of users' requests and is judged by how it answers them; stable serves everybody."""

    hold: Annotated[Duration, Field(description="Shortest time with copies.")] = Duration("10m")

    @property
    def copies(self) -> Copies:
        return self

    @property
    def holds(self) -> tuple[Duration, ...]:
        return (self.hold,)
