"""How long a Prometheus that does not answer is left alone. Pure: callers say what happened, and when.

Meanwhile queries are turned away at once. Then exactly one is let through, and the others wait for its result. Only a
timeout counts as silence: a refused connection costs no time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FIRST_PAUSE = 1.0  # seconds to leave it alone after the first silence, and twice as many after each further one
LONGEST_PAUSE = 10.0  # less than the usual interval: a server that is back is noticed at the next look


class Silence:
    """`now` and `sent` are seconds on a clock that never jumps. `patience`: by then a request has ended, in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None  # when the first request was sent that timed out
        self._learned = 0.0  # when the last timeout was noticed
        self._pause = 0.0
        self._next = 0.0  # when the next query is let through
        self._is_probed = False

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def admits(self, now: float) -> bool:
        """Whether a query may be sent. During a silence, only after the one before has ended, or must have."""
        if self._since is None:
            return True
        if now < self._next:
            return False
        self._next, self._is_probed = now + self._patience, True
        return True

    def gave_up(self, now: float) -> None:
        """The query that was let through was never sent."""
        if self._is_probed:
            self._next, self._is_probed = now, False

    def lasts(self, sent: float, now: float) -> None:
        """A request timed out, and no other reply came since it was sent."""
        if self._since is None:
            self._since, self._pause = sent, FIRST_PAUSE
        elif sent < self._learned:
            return  # it was sent before the silence was noticed
        else:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._learned, self._next, self._is_probed = now, now + self._pause, False

    def ends(self) -> None:
        """A reply came, or the connection was refused at once."""
        self._since, self._is_probed = None, False

    def why(self, name: str, now: float, clock: datetime) -> str:
        """The reason for queries that are turned away now; `clock` is the same moment as `now`, in UTC for people."""
        since = clock - timedelta(seconds=now - (now if self._since is None else self._since))
        if self._is_probed:
            return f"{name} has not answered since {_time(since, clock)}; it is being asked again now."
        again = clock + timedelta(seconds=self._next - now)
        return f"{name} has not answered since {_time(since, clock)}; it is asked again at {_time(again, clock)}."


def _time(moment: datetime, clock: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%H:%M:%S} UTC" if moment.date() == clock.date() else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
