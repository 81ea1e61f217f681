"""Readings against a bound: how far each is beyond it, and the normal mixtures that bet on that. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.look import LookStart
from modelrollout.analysis.evidence.tracks import Track, Words
from modelrollout.analysis.kinds.margins import unacceptable
from modelrollout.analysis.kinds.request_shares import INTERVAL_ALPHA
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.api.scalars import Limit
from modelrollout.sequential.gauges import WARM_UP, Moments, half_width, log_wealth
from modelrollout.sequential.wealth import AT_STEPS

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-9  # 0.3 is not beyond 0.1 + 0.2; without any spread even that would count
SMALLEST_EFFECT = 0.05
"""Of the mean: the effect worth seeing where tolerance and exclude do not say (τ; statistics: 2.4)."""
NO_SPREAD = 1e-12
UNKNOWN_SPREAD = 2.0
"""Without a history, readings are assumed to vary by at least this many times the effect worth seeing. A gauge that is
refreshed every few minutes stands still in between: its readings are worth one, though their spread is 0."""


@dataclass(frozen=True, slots=True)
class Excess:
    """Each reading's distance beyond the tolerated and the unacceptable value; up is worse, NaN: no reading.

    `scale`: τ, the effect that the mixtures look for.
    """

    name: str
    tolerated: Floats
    unacceptable: Floats
    scale: float
    words: Words


def excesses(metric: Metric, own: Floats, other: Floats, ledger: Ledger, *, is_compared: bool) -> Iterator[Excess]:
    """For each bound of the metric, from the readings of the candidate (`own`) and of stable (`other`)."""
    if metric.tolerance is not None and is_compared:
        yield _excess_over_stable(metric, metric.tolerance, own, other, ledger)
    for name, limit, direction in (("max", metric.max, 1.0), ("min", metric.min, -1.0)):
        if limit is not None:
            yield _excess_over_limit(name, limit, direction, own)


def _excess_over_stable(metric: Metric, tolerance: Tolerance, own: Floats, other: Floats, ledger: Ledger) -> Excess:
    sign = 1.0 if metric.better_when == "lower" else -1.0
    worse = sign * (own - other)
    allowed, beyond = _allowed(tolerance, other), _allowed(excluded(metric), other)
    scale = _scale(ledger, "tolerance", beyond - allowed, other)
    compared = other[~np.isnan(own - other)]
    bound, limit = (_bound_words(metric, one, compared, sign) for one in (tolerance, excluded(metric)))
    within, outside = _relations(sign)
    words = Words(f"{within} {bound}", f"{outside} {limit}")
    return Excess("tolerance", worse - allowed, worse - beyond, scale, words)


def _bound_words(metric: Metric, tolerance: Tolerance, stable: Floats, sign: float) -> str:
    """The end of a tolerance around stable's mean."""
    if not stable.size:
        return "stable"
    usual = float(stable.mean())
    at = usual + sign * float(_allowed(tolerance, np.array([usual]))[0])
    return wording.text(at, wording.unit_of_bounds(metric))


def _excess_over_limit(name: str, limit: Limit, direction: float, own: Floats) -> Excess:
    room = max(abs(limit.value) * SMALLEST_EFFECT, 1e-9)
    excess = direction * (own - limit.value)
    within, outside = _relations(direction)
    words = Words(f"{within} {limit}", f"{outside} {limit.value + direction * room:.4g}")
    return Excess(name, excess, excess - room, room, words)


def _relations(sign: float) -> tuple[str, str]:
    return ("≤", "≥") if sign > 0 else ("≥", "≤")


def _allowed(tolerance: Tolerance, stable: Floats) -> Floats:
    return np.asarray(tolerance.relative.value * np.abs(stable) + tolerance.absolute.value, dtype=np.float64)


def excluded(metric: Metric) -> Tolerance:
    """The unacceptable margin: `exclude`, else twice the tolerance."""
    return unacceptable(metric, _twice)


def _twice(tolerance: Tolerance) -> Tolerance:
    relative, absolute = 2 * tolerance.relative.value, 2 * tolerance.absolute.value
    if relative == 0 and absolute == 0:
        relative = 2 * SMALLEST_EFFECT
    return Tolerance.model_validate({"relative": f"{relative:.9f}", "absolute": f"{absolute:.12f}"})


def _scale(ledger: Ledger, name: str, room: Floats, other: Floats) -> float:
    """τ, fixed with the first readings: the distance from the tolerated to the unacceptable value."""
    kept = ledger.get(f"{name}.scale")
    if kept is not None and kept.size == 1:
        return float(kept[0])
    there = room[~np.isnan(room)]
    return max(float(there[0]), 1e-12) if there.size else math.nan


class ExcessTest:
    """The two normal mixtures of one bound: harm over the excess beyond it, good over the distance to unacceptable.

    Good starts anew with every step. Harm is a weighted mean of a mixture over the whole rollout and of one over each
    later step; these find regressions that only show under load. AT_STEPS of the weight is kept for them in even
    shares, so that all together have one chance of a false rollback.

    Without a history nothing speaks against the tolerance. Readings that stood at one level for an hour may be at
    another in the next, and no test of a single release tells that from a regression.
    """

    def __init__(self, start: LookStart, excess: Excess, begins: Sequence[int]) -> None:
        self.name, self._words, self.scale, self._begins = excess.name, excess.words, excess.scale, begins
        self._excess, self._variance = excess, start.prior.variance
        self._course, self._first = start.course, start.first
        self._whole = _kept(start.ledger, f"{self.name}.whole")
        self._step = _kept(start.ledger, f"{self.name}.step")
        self._other = _kept(start.ledger, f"{self.name}.good")
        self._harm_before = self._harm(0)

    def _moments(self, kept: Moments, values: Floats, ticks: int, *, anew: bool) -> Moments:
        begun = [at for at in self._begins if at <= ticks] if anew else []
        first = begun[-1] if begun else 0
        some = values[first:ticks]
        return (Moments() if begun else kept).after(some[~np.isnan(some)])

    @property
    def everything(self) -> Moments:
        return self.whole(self._excess.tolerated.size)

    def whole(self, ticks: int) -> Moments:
        return self._moments(self._whole, self._excess.tolerated, ticks, anew=False)

    def _harm(self, ticks: int) -> float:
        if not self._is_harm_known:
            return 0.0
        whole = self._log(self.whole(ticks), 1.0)
        planned = self._course.later_steps
        if not planned:
            return whole
        begun = bisect_right(sorted(self._course.steps), self._course.time(self._first + ticks) + 1e-9)
        to_come = max(planned - begun, 0) / planned
        later = math.log(to_come) if to_come else -math.inf
        if 0 < begun <= planned:  # the weight of earlier steps is given up: less is always valid
            step = self._moments(self._step, self._excess.tolerated, ticks, anew=True)
            later = float(np.logaddexp(later, self._log(step, 1.0) - math.log(planned)))
        return float(np.logaddexp(math.log(1 - AT_STEPS) + whole, math.log(AT_STEPS) + later))

    @property
    def _is_harm_known(self) -> bool:
        return self.name != "tolerance" or self._variance is not None

    def _good(self, ticks: int) -> float:
        missing = self._moments(self._other, self._excess.unacceptable, ticks, anew=True)
        if missing.count >= WARM_UP and missing.squares == 0 == self.whole(ticks).squares:
            return missing.count  # 0 in both arms, with a relative tolerance: nothing can be worse
        return self._log(missing, -1.0)

    def _log(self, moments: Moments, sign: float) -> float:
        variance = self.variance(moments)
        if variance is None or moments.count < WARM_UP or math.isnan(self.scale):
            return 0.0
        # Where the readings move more than the history did, the effect to look for is theirs: a regression, or chance.
        is_new = self._variance is not None and moments.variance > max(self._variance, NO_SPREAD)
        scale = max(self.scale, math.sqrt(moments.variance)) if is_new else self.scale
        return float(log_wealth(np.array(sign * moments.total / variance), np.array(moments.count / variance), scale))

    def variance(self, moments: Moments) -> float | None:
        """The long-run variance of one reading: from stable's history, else from the readings; None while unknown.

        A history that stood still does not know what is rare: a single reading that moved would speak for a thousand.
        So the readings' own variance is the least.
        """
        own = moments.long_run_variance
        if own is None or math.isnan(self.scale):
            return None
        if self._variance is not None:
            return max(self._variance, moments.variance, NO_SPREAD)
        return max(own, (UNKNOWN_SPREAD * self.scale) ** 2)

    def track(self) -> Track:
        ticks = self._excess.tolerated.size
        whole = self.everything
        variance = self.variance(whole) or 0.0
        harm = np.array([self._harm(tick) for tick in range(1, ticks + 1)])
        good = self._good(ticks)
        missing = self._moments(self._other, self._excess.unacceptable, ticks, anew=True)
        return Track(
            name=self.name,
            words=self._words,
            harm=harm,
            before=self._harm_before,
            good=good,
            is_kept=whole.count > 0 and whole.mean <= ROUNDING * max(abs(whole.last), 1.0),
            joint=False,
            harm_drift=max(whole.mean, 0.0) ** 2 / (2 * variance) if variance > 0 and self._is_harm_known else 0.0,
            good_drift=max(-missing.mean, 0.0) ** 2 / (2 * variance) if variance > 0 and missing.count else 0.0,
        )

    def ledger(self, ticks: int) -> dict[str, Floats]:
        kept = {
            f"{self.name}.whole": _packed(self.whole(ticks)),
            f"{self.name}.step": _packed(self._moments(self._step, self._excess.tolerated, ticks, anew=True)),
            f"{self.name}.good": _packed(self._moments(self._other, self._excess.unacceptable, ticks, anew=True)),
        }
        return kept if math.isnan(self.scale) else {**kept, f"{self.name}.scale": np.array([self.scale])}


def _kept(ledger: Ledger, name: str) -> Moments:
    kept = ledger.get(name)
    return Moments(*kept.tolist()) if kept is not None and kept.size == 6 else Moments()


def _packed(one: Moments) -> Floats:
    return np.array([one.count, one.total, one.squares, one.neighbours, one.first, one.last])


def interval(tests: Sequence[ExcessTest], unit: wording.Unit) -> str | None:
    """The confidence interval of candidate minus bound, from the test of the tolerance."""
    test = next((one for one in tests if one.name == "tolerance"), None)
    if test is None:
        return None
    whole = test.everything
    variance = test.variance(whole)
    if variance is None or variance <= 0 or whole.count < WARM_UP or math.isnan(test.scale):
        return None
    return wording.beyond(whole.mean, half_width(whole.count, variance, test.scale, INTERVAL_ALPHA), unit)
