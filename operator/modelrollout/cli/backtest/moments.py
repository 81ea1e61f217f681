"""Moments and lengths of time as people type them: RFC 3339, unix seconds, or so long ago. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from modelrollout.api.scalars import Duration

FORMS = "2026-01-31T12:00:00Z, unix seconds such as 1769860800, now, or so long ago such as -7d or -90m"


def moment(text: str, now: datetime, flag: str) -> datetime:
    """The moment, in UTC and whole seconds. Raises ValueError with a sentence that names the flag."""
    text = text.strip()
    try:
        return _moment(text, now).replace(microsecond=0)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{flag} is {text!r}, which is no moment; write {FORMS}") from None


def _moment(text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    if text.startswith("-"):
        return now - Duration(text[1:]).timedelta
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def in_utc(at: datetime) -> str:
    """As it is shown: to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def length(time: timedelta) -> str:
    """With its two largest units: 3 min 20 s, 2 h 5 min, 4 d."""
    left = max(round(time.total_seconds()), 0)
    parts: list[str] = []
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        number, left = divmod(left, size)
        if number or (name == "s" and not parts):
            parts.append(f"{number} {name}")
        elif parts:
            break
    return " ".join(parts[:2])
