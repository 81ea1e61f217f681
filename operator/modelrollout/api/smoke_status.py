"""What the candidate answered to smoke requests, as the status keeps it. Pure."""

from __future__ import annotations

from operator import not_
from typing import Annotated

from pydantic import Field

from modelrollout.api.base import Record
from modelrollout.api.scalars import Time


class SmokeTrouble(Record):
    """A smoke request whose last answer was not as expected."""

    request: Annotated[str, Field(description="Its name.")]
    message: Annotated[str, Field(description="What was expected, and what came.")]
    times: Annotated[int, Field(ge=1, description="Rounds in a row that did not pass.")]
    at: Annotated[Time, Field(description="When the last of them was.")]
    since: Annotated[
        Time | None,
        Field(description="When the first wrong answer came; absent while the candidate cannot be asked."),
    ] = None


class SmokeStatus(Record):
    """What the candidate answered to the smoke requests of a stage."""

    passed: Annotated[
        dict[str, str],
        Field(
            exclude_if=not_,
            max_length=10,
            description="By name, a digest of the revision and of the request, whose answer was as expected.",
        ),
    ] = Field(default_factory=dict)
    trouble: SmokeTrouble | None = None
