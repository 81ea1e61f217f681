"""Metrics that are any expression: readings of both arms at the same moments, held against every bound. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import significance, wording
from modelrollout.analysis.evidence import Bound, Evidence, Missing, Parts
from modelrollout.analysis.queries import VALUE, Series
from modelrollout.api.spec import Metric, Tolerance
from modelrollout.api.status import Verdict

Floats = npt.NDArray[np.float64]
Readings = dict[float, float]

ROUNDING = 1e-9  # 0.3 is not beyond 0.1 + 0.2; without any spread even that would count
FEWEST = 3  # readings from which a spread can be told, whatever the user asks for


def value_evidence(metric: Metric, candidate: Parts, stable: Parts | Missing | None, needed: int) -> Evidence | Missing:
    """The evidence of a value. Stable None: it is not compared; Missing: it should be, and cannot."""
    mine = _readings(candidate[VALUE], "the candidate")
    if isinstance(mine, Missing):
        return mine
    theirs = stable if stable is None or isinstance(stable, Missing) else _readings(stable[VALUE], "stable")
    unit = wording.unit_of(metric)
    limits = _limits(metric, _in_order(mine), max(needed, FEWEST))
    if theirs is None or isinstance(theirs, Missing) or metric.tolerance is None:
        gap = theirs if isinstance(theirs, Missing) else None
        value = wording.text(_mean(_in_order(mine)), unit)
        return Evidence("readings", "", value, None, len(mine), None, limits, gap=gap)
    together = sorted(mine.keys() & theirs.keys())
    pairs = np.array([(mine[at], theirs[at]) for at in together]).reshape(-1, 2)
    return Evidence(
        unit="readings",
        what="",
        candidate=wording.text(_mean(pairs[:, 0]), unit) if together else "nothing",
        stable=wording.text(_mean(pairs[:, 1]), unit) if together else "nothing",
        samples=len(together),
        stable_samples=len(together),
        bounds=(_tolerated(metric, metric.tolerance, pairs, max(needed, FEWEST), unit), *limits),
    )


def _readings(series: Sequence[Series], who: str) -> Readings | Missing:
    """The readings that are numbers, by time."""
    if len(series) > 1:
        why = f"the query yields {len(series)} series for {who}; aggregate it to one, for example with avg(…)"
        return Missing(Verdict.UNAVAILABLE, why, mistake=True)
    # Of two values for one moment the larger, so that the order of samples decides nothing.
    readings = {at: value for one in series for at, value in sorted(one.samples) if math.isfinite(value)}
    return readings or Missing(Verdict.NO_DATA, f"the query yields no number for {who}")


def _tolerated(metric: Metric, tolerance: Tolerance, pairs: Floats, needed: int, unit: wording.Unit) -> Bound:
    # Brought to the size of 1 before anything is added or squared: absurd numbers must not overflow.
    scale = max(_scale(pairs), abs(tolerance.absolute.value)) or 1.0
    candidate, stable = pairs[:, 0] / scale, pairs[:, 1] / scale
    allowed = tolerance.relative.value * np.abs(stable) + tolerance.absolute.value / scale
    worse = candidate - stable if metric.better_when == "lower" else stable - candidate
    sign = 1 if metric.better_when == "lower" else -1
    limit = wording.text(_mean(stable + sign * allowed) * scale, unit) if len(pairs) else "stable"
    return _bound(f"{'≤' if sign > 0 else '≥'} {limit}", worse - allowed, needed)


def _limits(metric: Metric, readings: Floats, needed: int) -> tuple[Bound, ...]:
    bounds = []
    for limit, sign, relation in ((metric.max, 1, "≤"), (metric.min, -1, "≥")):
        if limit is not None:
            scale = max(_scale(readings), abs(limit.value)) or 1.0
            bounds.append(_bound(f"{relation} {limit}", sign * (readings / scale - limit.value / scale), needed))
    return tuple(bounds)


def _bound(text: str, excess: Floats, needed: int) -> Bound:
    """A bound, and by how much each reading is beyond it (negative: within), in units of the largest number."""
    if not excess.size:
        return Bound(text, is_kept=False, p_value=_unknown)
    seen = significance.excess(np.where(np.abs(excess) < ROUNDING, 0.0, excess))
    detail = "its readings do not vary" if seen.spread == 0 else ""
    return Bound(text, seen.mean <= 0, _p_value(seen, excess.size, needed), detail)


def _p_value(seen: significance.Excess, size: int, needed: int) -> Callable[[float], float]:
    def p_value(growing: float) -> float:
        # A few readings say nothing about how much a gauge moves by itself.
        return significance.above_zero(seen.times(growing)) if size * growing >= needed else 1.0

    return p_value


def _unknown(growing: float) -> float:
    return 1.0


def _in_order(readings: Readings) -> Floats:
    return np.array([readings[at] for at in sorted(readings)])


def _scale(values: Floats) -> float:
    return float(np.max(np.abs(values))) if values.size else 0.0


def _mean(values: Floats) -> float:
    scale = _scale(values)
    return math.fsum(values / scale) / values.size * scale if scale else 0.0
