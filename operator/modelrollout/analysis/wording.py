"""Numbers as people read them at night: 0.21%, 212ms, 1,812, about 4 min. Pure."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Literal

from modelrollout.api.metric import Metric

Unit = Literal["share", "seconds", "plain"]
_VALUE = re.compile(r"(?:> )?(-?[0-9][0-9,]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)(%|ms|s|)")
_UNITS = {"%": 1e-2, "ms": 1e-3, "s": 1.0, "": 1.0}


def unit_of_bounds(metric: Metric) -> Unit:
    """How values are written where the kind of metric does not say: as the author wrote the bounds."""
    absolute = metric.tolerance.absolute if metric.tolerance is not None else None
    bounds = [bound for bound in (metric.min, metric.max, absolute) if bound is not None]
    if any(bound.is_duration for bound in bounds):
        return "seconds"
    return "share" if any(bound.endswith("%") for bound in bounds) else "plain"


def text(value: float, unit: Unit) -> str:
    """A value with about three significant digits."""
    match unit:
        case "share":
            return share(value)
        case "seconds":
            return seconds(value)
        case "plain":
            return f"{value:.4g}"


def value_in(written: str | None) -> float | None:
    """The value that was written by `text` or `number`, as a ratio, in seconds or plain; None where it is none.

    Of one beyond the last bucket ("> 1s") the edge of that bucket.
    """
    found = _VALUE.fullmatch(written or "")
    return float(found[1].replace(",", "")) * _UNITS[found[2]] if found else None


def share(value: float) -> str:
    """0.0021 → 0.21%; near 100 % with the digits that the distance to 100 % needs: 99.95%."""
    percent = 100 * value
    rest = min(abs(percent), abs(100 - percent)) or abs(percent)
    if not math.isfinite(percent) or abs(percent) >= 1e6:
        return f"{percent:.3g}%"
    digits = 0 if rest == 0 else min(max(1 - math.floor(math.log10(rest)), 0), 6)
    return f"{_trimmed(percent, digits)}%"


def seconds(value: float) -> str:
    """0.2124 → 212ms; 1.24 → 1.24s."""
    if not math.isfinite(value) or abs(value) >= 1e6:
        return f"{value:.3g}s"
    if abs(value) >= 1 or value == 0:
        return f"{_trimmed(value, 2)}s"
    return f"{_trimmed(1000 * value, 0 if abs(value) >= 0.1 else 1 if abs(value) >= 0.01 else 2)}ms"


def number(value: float) -> str:
    """A number of samples."""
    return f"{value:,.0f}" if value < 1e15 else f"{value:.3g}"


def rounded(value: float) -> float:
    """Rounded up to two significant digits: an estimate should look like one."""
    unit = 10 ** max(math.floor(math.log10(value)) - 1, 0) if value > 0 else 1
    return math.ceil(value / unit) * unit


def duration(length: timedelta) -> str:
    """An approximate length of time."""
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if length >= 2 * unit:
            return f"{length / unit:.0f} {name}"
    return f"{max(math.ceil(length.total_seconds()), 1)} s"


def odds(p_value: float) -> str:
    """How rarely chance produces this p-value."""
    if p_value < 1e-9:
        return "fewer than 1 in a billion"
    magnitude = 10 ** math.floor(math.log10(1 / p_value) + 1e-9)
    return f"fewer than 1 in {magnitude:,}"


def _trimmed(value: float, digits: int) -> str:
    written = f"{value:.{digits}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def beyond(mean: float, half: float, unit: Unit) -> str:
    """The interval of the candidate's distance beyond the tolerance."""
    low, high = signed(mean - half, unit), signed(mean + half, unit)
    return f"beyond what is tolerated by {low} to {high} (at 99 %, at any time; negative: within)"


def signed(value: float, unit: Unit) -> str:
    """A difference, with its sign."""
    return f"{'+' if value >= 0 else '−'}{text(abs(value), unit)}"
