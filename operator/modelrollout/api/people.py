"""What people asked for by hand, as the status keeps it. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.base import Record
from modelrollout.api.scalars import Time

_At = Annotated[Time, Field(description="When it was taken up.")]


class Author(Record):
    """Who asked."""

    name: Annotated[str, Field(description="A user's name, or that of the program which wrote the annotation.")]
    known_from: Annotated[
        Literal["Admission", "FieldManager"],
        Field(
            description="Admission: the API server let nobody write another name than his own. FieldManager: nobody "
            "checked, and this is the program that owns the annotation."
        ),
    ]

    def __str__(self) -> str:
        """In words, after "by"."""
        return self.name if self.known_from == "Admission" else f"somebody with {self.name}"


_By = Annotated[Author | None, Field(description="Who asked, as far as that is known.")]


class LastAction(Record):
    """What a person asked for, and what became of it."""

    action: Annotated[str, Field(description="The annotation modelrollout.dev/action, as it was handled.")]
    at: Annotated[Time, Field(description="When it happened.")]
    by: _By = None
    reason: Annotated[str, Field(description="Why, in a word for programs.")]
    message: Annotated[str, Field(description="Why, in a sentence.")]


class Pause(Record):
    """While it is there, no further step begins and no deadline runs."""

    at: _At
    by: _By = None


class Waiver(Record):
    """A person decided that less is waited for."""

    verb: Annotated[
        Literal["approve", "promote", "skip", "promote-full"],
        Field(description="What was asked for."),
    ]
    at: _At
    by: _By = None


def by(author: Author | None) -> str:
    """Who asked, to be appended to what was done; empty where nobody knows."""
    return f" by {author}" if author is not None else ""
