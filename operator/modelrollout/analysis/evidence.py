"""What the answers on one metric amount to, whatever kind of metric it is: the material of a verdict. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from modelrollout.analysis.queries import Series
from modelrollout.api.status import Verdict

Parts = Mapping[str, tuple[Series, ...]]
"""What Prometheus knows of one arm, for each part of a metric."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why an arm cannot be judged. `mistake`: the user's metric is to blame, and waiting does not mend it."""

    verdict: Literal[Verdict.NO_DATA, Verdict.UNAVAILABLE]
    why: str
    mistake: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound that the candidate is held against.

    `p_value(f)` is the most likely that a candidate within the bound shows evidence as bad as this with f times the
    samples, the values staying what they are: p_value(1) is what the samples say now.
    """

    text: str
    is_kept: bool  # by what is estimated now
    p_value: Callable[[float], float]
    detail: str = ""  # where it is broken, when the value alone does not show it


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both arms' values, how many samples they rest on, and the bounds they were held against."""

    unit: Literal["requests", "readings"]
    what: str  # before the value, such as "p99 "
    candidate: str
    stable: str | None
    samples: float
    stable_samples: float | None
    bounds: tuple[Bound, ...]  # that of stable first
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # what may hide behind a verdict that is no Fail
    gap: Missing | None = None  # why stable, though it should be compared, is not among the bounds
