"""A question that a pass asks Prometheus before it goes on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelrollout.analysis.copies import Copying
from modelrollout.analysis.evidence.look import Intended
from modelrollout.analysis.queries import Reach
from modelrollout.api.status import StageStatus
from modelrollout.promql.query import Query


@dataclass(frozen=True, slots=True)
class Question:
    """A look at metrics: once at stable's past, and at a candidate on trial at each moment of a grid.

    `revision` and `step`: whom it speaks of. An answer that comes after the rollout has moved on is ignored.
    """

    revision: str
    history: tuple[Query, ...] = ()
    step: StageStatus | None = None
    at: datetime | None = None  # None: no look at the candidate is due
    asked: tuple[Query, ...] = ()
    reaches: Mapping[str, Reach] = field(default_factory=dict)  # by metric: what of it is read
    compares: bool = False  # stable serves beside the candidate, so it is asked about as well
    intended: Intended | None = None  # in what proportion the requests that answer it were to be split
    copying: Copying | None = None  # what is known of the copies that are compared
    until: datetime | None = None  # when the next look is due: this one cannot begin anything after it

    @property
    def queries(self) -> tuple[Query, ...]:
        return (*self.history, *self.asked, *(self.copying.queries if self.copying else ()))
