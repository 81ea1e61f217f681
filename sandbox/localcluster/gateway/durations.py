"""Durations of the Gateway API (GEP-2257): `1h30m`, `10s`, `250ms`. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}


def duration(text: str) -> timedelta:
    """The length of time. The CRD has checked the form already."""
    return timedelta(**{_UNITS[unit]: int(number) for number, unit in re.findall(r"([0-9]{1,5})(ms|h|m|s)", text)})
