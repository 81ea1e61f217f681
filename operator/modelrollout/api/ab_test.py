"""Two versions beside each other until a goal is shown: stages of the kind ``abTest``. Pure."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool

from modelrollout.api.base import Model
from modelrollout.api.blue_green import PreviewHeader
from modelrollout.api.metric import Tolerance
from modelrollout.api.names import HeaderName
from modelrollout.api.rules import Rule, exactly_one_of
from modelrollout.api.scalars import Duration

DEFAULT_PERCENT, DEFAULT_COUNT = 50, 100
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


class Sticky(Model):
    """How users stay with the version that they met first."""

    bucket_header: Buckets


class Goal(Model):
    """What must be shown before the candidate goes on. All other metrics guard: they roll back as in any stage."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("superiority", "nonInferiority"),
            message="a goal is either superiority: true, or nonInferiority with the loss that is acceptable",
        ),
    )

    metric: Annotated[
        str, Field(min_length=1, max_length=63, description="A ratio of spec.analysis with a tolerance, by its name.")
    ]
    superiority: Annotated[
        StrictBool | None,
        Field(description="The candidate must be shown to be better."),
        Rule(lambda wanted: wanted is not False, "false asks for nothing: leave superiority out", None),
    ] = None
    non_inferiority: Annotated[
        Tolerance | None, Field(description="The candidate must be shown to be worse by less than this.")
    ] = None


def _are_whole_buckets(stage: AbTest) -> bool:
    return stage.sticky is None or stage.sticky.bucket_header.count * stage.percent % 100 == 0


def _fit_into_a_rule(stage: AbTest) -> bool:
    if stage.sticky is None:
        return True
    return 1 <= len(stage.sticky.bucket_header.first(stage.percent)) <= MOST_BUCKETS_OF_CANDIDATE


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
            f"!has(self.sticky) || {_CEL_BUCKETS} % 100 == 0",
        ),
        Rule(
            _fit_into_a_rule,
            f"the candidate's buckets must be 1 to {MOST_BUCKETS_OF_CANDIDATE}, the matches that a rule of a route may "
            "have: use fewer, larger buckets, such as count: 20",
            f"!has(self.sticky) || {_CEL_BUCKETS} / 100 >= 1 && {_CEL_BUCKETS} / 100 <= {MOST_BUCKETS_OF_CANDIDATE}",
        ),
        Rule(
            lambda stage: stage.min_duration.timedelta <= stage.max_duration.timedelta,
            "minDuration is longer than maxDuration: make one of them another",
            None,
        ),
    )

    percent: Annotated[
        int, Field(strict=True, ge=1, le=99, description="Percent of all users who meet the candidate, with sticky.")
    ] = DEFAULT_PERCENT
    sticky: Sticky | None = None
    audience: Annotated[
        tuple[PreviewHeader, ...] | None,
        Field(
            min_length=1,
            max_length=16,
            description="Headers of those who meet the candidate. They are no random part of all users, so what "
            "differs between people counts as if the versions did.",
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
