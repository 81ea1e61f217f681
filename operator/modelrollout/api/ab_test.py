"""Two versions beside each other until a goal is shown: stages of the kind ``abTest``. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool

from modelrollout.api.base import Model
from modelrollout.api.blue_green import HeaderValue
from modelrollout.api.metric import Tolerance
from modelrollout.api.names import CookieName, ExactHostname, HeaderName
from modelrollout.api.rules import Rule, exactly_one_of
from modelrollout.api.scalars import Duration

DEFAULT_PERCENT, DEFAULT_COUNT = 50, 100
_KEPT_FOR = timedelta(days=90)
_COOKIE_VALUE = r"^[!#-+\x2d-:<-\[\]-~]+$"
MOST_BUCKETS_OF_CANDIDATE = 64
"""Matches that one rule of a route may have."""


class Buckets(Model):
    """A header that puts every user into one of some buckets: <prefix>00 to <prefix>99 where there are 100."""

    name: Annotated[HeaderName, Field(description="The header, set before the gateway: the same for all of a user.")]
    prefix: Annotated[
        str,
        Field(max_length=64),
        Rule.matching(r"^[!-~]*$", "a prefix of buckets is made of ASCII characters without spaces"),
        Field(description="How the values begin; the number follows, with as many digits as the last one has."),
    ] = ""
    count: Annotated[int, Field(strict=True, ge=2, le=1000, description="How many buckets there are.")] = DEFAULT_COUNT

    def first(self, percent: int) -> tuple[str, ...]:
        """The values that hold so many percent of all users. A higher share has all those of a lower one."""
        digits = len(str(self.count - 1))
        return tuple(f"{self.prefix}{number:0{digits}d}" for number in range(self.count * percent // 100))


class StickyCookie(Model):
    """A cookie that the route itself sets: it draws users by weights, and sends them back to where they were drawn."""

    name: Annotated[CookieName, Field(description="Its name; no other rollout of the same hosts may have it.")]
    max_age: Annotated[
        Duration | None,
        Field(
            description="How long browsers keep it, from the first answer on; left out, 90 days or maxDuration, "
            "whichever is longer. Without it a user is drawn anew."
        ),
    ] = None
    path: Annotated[
        str,
        Field(max_length=256, description="For which paths browsers send it."),
        Rule.matching(
            r"^/[A-Za-z0-9/._~+=:@-]*$", "a cookie's path begins with / and is made of letters, digits and /._~+=:@-"
        ),
    ] = "/"
    domain: Annotated[
        ExactHostname | None,
        Field(description="To which hosts browsers send it; the one that was asked when left out."),
    ] = None
    secure: Annotated[StrictBool, Field(description="Whether it is sent by HTTPS only.")] = False
    cross_site: Annotated[
        StrictBool,
        Field(
            description="Whether pages of other sites send it along, too, as where a model answers a page in a frame."
        ),
    ] = False

    def attributes(self, test: timedelta) -> str:
        """As they stand in Set-Cookie, for a test that may take so long. Scripts of a page never see it."""
        age = max(_KEPT_FOR, test) if self.max_age is None else self.max_age.timedelta
        domain = f"; Domain={self.domain}" if self.domain else ""
        # Browsers take SameSite=None by HTTPS only.
        sites = "SameSite=None; Secure" if self.cross_site else f"SameSite=Lax{'; Secure' if self.secure else ''}"
        return f"Path={self.path}; Max-Age={round(age.total_seconds())}{domain}; {sites}; HttpOnly"


class Sticky(Model):
    """How users stay with the version that they met first."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("bucketHeader", "cookie"),
            message="users are kept either by cookie, which the route sets, or by bucketHeader, which is there before",
        ),
    )

    bucket_header: Buckets | None = None
    cookie: StickyCookie | None = None


class Asking(Model):
    """A header, or a cookie, of requests that meet the candidate."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(*("name", "cookie"), message="a request asks either by a header (name) or by a cookie"),
        Rule(
            lambda asking: asking.cookie is None or re.fullmatch(_COOKIE_VALUE, asking.value) is not None,
            "the value of a cookie has no spaces, quotes, commas, semicolons or backslashes",
            f"!has(self.cookie) || self.value.matches(r'{_COOKIE_VALUE}')",
        ),
    )

    name: Annotated[HeaderName | None, Field(description="Name of the header; upper and lower case are the same.")] = (
        None
    )
    cookie: Annotated[CookieName | None, Field(description="Name of the cookie; upper and lower case differ.")] = None
    value: HeaderValue


class Goal(Model):
    """What must be shown before the candidate goes on. All other metrics guard: they roll back as in any stage."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("superiority", "nonInferiority"),
            message="a goal is either superiority: true, or nonInferiority with the loss that is acceptable",
        ),
    )

    metric: Annotated[
        str,
        Field(
            min_length=1,
            max_length=63,
            description="A ratio or a mean of spec.analysis, by its name. It has a tolerance.",
        ),
    ]
    superiority: Annotated[
        StrictBool | None,
        Field(description="The candidate must be shown to be better."),
        Rule(lambda wanted: wanted is not False, "false asks for nothing: leave superiority out", None),
    ] = None
    non_inferiority: Annotated[
        Tolerance | None, Field(description="The candidate must be shown to be worse by less than this.")
    ] = None


def _buckets(stage: AbTest) -> Buckets | None:
    return stage.sticky.bucket_header if stage.sticky is not None else None


def _are_whole_buckets(stage: AbTest) -> bool:
    return (buckets := _buckets(stage)) is None or buckets.count * stage.percent % 100 == 0


def _fit_into_a_rule(stage: AbTest) -> bool:
    buckets = _buckets(stage)
    return buckets is None or 1 <= len(buckets.first(stage.percent)) <= MOST_BUCKETS_OF_CANDIDATE


def _outlives_the_test(stage: AbTest) -> bool:
    age = stage.sticky.cookie.max_age if stage.sticky is not None and stage.sticky.cookie is not None else None
    return age is None or age.timedelta >= stage.max_duration.timedelta


_NO_BUCKETS = "!has(self.sticky) || !has(self.sticky.bucketHeader)"
_COUNT = f"(has(self.sticky.bucketHeader.count) ? self.sticky.bucketHeader.count : {DEFAULT_COUNT})"
_CEL_BUCKETS = f"({_COUNT} * (has(self.percent) ? self.percent : {DEFAULT_PERCENT}))"


class AbTest(Model):
    """Users stay with one of two versions until a goal is shown or the time is over."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("sticky", "audience"),
            message="an A/B test needs either sticky, which keeps users with a version, or audience, which asks for it",
        ),
        Rule(
            _are_whole_buckets,
            "percent must be a whole number of buckets, such as 50 percent of 100 or 25 percent of 20",
            f"{_NO_BUCKETS} || {_CEL_BUCKETS} % 100 == 0",
        ),
        Rule(
            _fit_into_a_rule,
            f"the candidate's buckets must be 1 to {MOST_BUCKETS_OF_CANDIDATE}, the matches that a rule of a route may "
            "have: use fewer, larger buckets, such as count: 50 for an even percent, or 20 for 5, 10, ... 95",
            f"{_NO_BUCKETS} || {_CEL_BUCKETS} / 100 >= 1 && {_CEL_BUCKETS} / 100 <= {MOST_BUCKETS_OF_CANDIDATE}",
        ),
        Rule(
            lambda stage: stage.min_duration.timedelta <= stage.max_duration.timedelta,
            "minDuration is longer than maxDuration: make one of them another",
            None,
        ),
        Rule(  # of durations, as above
            _outlives_the_test,
            "sticky.cookie.maxAge is shorter than maxDuration, so users would be drawn anew before the test is over: "
            "make it longer, or leave it out",
            None,
        ),
    )

    percent: Annotated[
        int, Field(strict=True, ge=1, le=99, description="Percent of all users who meet the candidate, with sticky.")
    ] = DEFAULT_PERCENT
    sticky: Sticky | None = None
    audience: Annotated[
        tuple[Asking, ...] | None,
        Field(
            min_length=1,
            max_length=16,
            description="Headers or cookies of those who meet the candidate. They are no random part of all users, so "
            "what differs between people counts as if the versions did.",
        ),
    ] = None
    goal: Goal
    min_duration: Annotated[
        Duration, Field(description="Shortest time, such as a whole week, whatever is shown before.")
    ] = Duration("1d")
    max_duration: Annotated[Duration, Field(description="Longest time to wait for the goal.")] = Duration("14d")
    on_inconclusive: Annotated[
        Literal["hold", "promote", "rollback"],
        Field(
            description="After maxDuration without the goal shown. hold waits for a person. promote never applies "
            "while there is no data."
        ),
    ] = "hold"

    @property
    def copies(self) -> None:
        """Nobody gets any."""

    @property
    def holds(self) -> tuple[Duration, ...]:
        """None that analysis.stepDeadline bounds: maxDuration does."""
        return ()
