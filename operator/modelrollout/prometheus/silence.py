"""For how long a Prometheus that does not answer is left alone. Pure: it is told what happened, and when.

Meanwhile asks are turned away at once. When the time is over one is let through, and only one, until it is known how it
ended. What counts is waiting in vain: a refused connection costs nobody time, and so tells when the server is back.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FIRST = 1.0  # seconds to leave it alone after the first silence, and twice as many after each further one
LONGEST_PAUSE = 10.0  # less than the usual interval: a server that is back is noticed at the next look


class Silence:
    """`now` and `sent` are seconds on a clock that never jumps. `patience`: by then a request has ended, in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None  # when the first request was sent that waited in vain
        self._learned = 0.0  # when the last one had waited for long enough
        self._pause = 0.0
        self._next = 0.0  # when one is let through
        self._is_probed = False

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def admits(self, now: float) -> bool:
        """Whether one may ask. During a silence the next may only when that one's end is known, or must have come."""
        if self._since is None:
            return True
        if now < self._next:
            return False
        self._next, self._is_probed = now + self._patience, True
        return True

    def gave_up(self, now: float) -> None:
        """The one that was let through left without having asked."""
        if self._is_probed:
            self._next, self._is_probed = now, False

    def lasts(self, sent: float, now: float) -> None:
        """A request has waited in vain, and nothing else was heard since it was sent."""
        if self._since is None:
            self._since, self._pause = sent, FIRST
        elif sent < self._learned:
            return  # it was under way together with the one that told
        else:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._learned, self._next, self._is_probed = now, now + self._pause, False

    def ends(self) -> None:
        """Something was heard, or said no at once."""
        self._since, self._is_probed = None, False

    def why(self, name: str, now: float, clock: datetime) -> str:
        """What is said to those who are turned away now, which is `clock` in UTC for people."""
        since = clock - timedelta(seconds=now - (now if self._since is None else self._since))
        if self._is_probed:
            return f"{name} has not answered since {_time(since, clock)}; it is being asked again now."
        again = clock + timedelta(seconds=self._next - now)
        return f"{name} has not answered since {_time(since, clock)}; it is asked again at {_time(again, clock)}."


def _time(moment: datetime, clock: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%H:%M:%S} UTC" if moment.date() == clock.date() else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
