"""The `format`s of string fields that Kubernetes checks. Pure."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Zµ]+)")
_UNITS = {
    **dict.fromkeys(("ns", "nano", "nanosecond", "nanoseconds", "nanos"), 1e-9),
    **dict.fromkeys(("us", "µs", "micro", "micros", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 604800.0),
}
_DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")
_UUID = re.compile(r"^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$", re.IGNORECASE)
_HOSTNAME = re.compile(r"^(?=.{1,255}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*\.?$")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")


def duration(text: str) -> timedelta | None:
    """`1h30m`, `5 minutes`: what Kubernetes reads as a duration, or None."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return timedelta()
    seconds, end = 0.0, 0
    for found in _DURATION_PART.finditer(rest):
        if rest[end : found.start()].strip() or found[2] not in _UNITS:
            return None
        seconds, end = seconds + float(found[1]) * _UNITS[found[2]], found.end()
    return timedelta(seconds=sign * seconds) if end and not rest[end:].strip() else None


def date_time(text: str) -> datetime | None:
    """RFC 3339, or None."""
    if not _DATE_TIME.match(text):
        return None
    try:
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:
        return None


def _is_date(text: str) -> bool:
    try:
        return bool(datetime.strptime(text, "%Y-%m-%d"))
    except ValueError:
        return False


def _is_address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _is_network(text: str) -> bool:
    try:
        return "/" in text and bool(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return False


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return not re.search(r"\s", text) and (bool(parts.scheme) or text.startswith("/"))


def _is_base64(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True) is not None
    except binascii.Error:
        return False


_CHECKS: dict[str, Callable[[str], bool]] = {
    "date-time": lambda text: date_time(text) is not None,
    "datetime": lambda text: date_time(text) is not None,
    "date": _is_date,
    "duration": lambda text: duration(text) is not None,
    "ipv4": _is_address(4),
    "ipv6": _is_address(6),
    "cidr": _is_network,
    "uri": _is_uri,
    "uuid": lambda text: bool(_UUID.match(text)),
    "email": lambda text: bool(_EMAIL.match(text)),
    "hostname": lambda text: bool(_HOSTNAME.match(text)),
    "byte": _is_base64,
}


def fits(text: str, name: str) -> bool:
    """Whether a text has a format; one that Kubernetes does not know allows everything."""
    check = _CHECKS.get(name)
    return check is None or check(text)
