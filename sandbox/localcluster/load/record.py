"""Adds up outcomes: by version, by second, by kind of failure. Pure; the newest outcomes are kept one by one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from localcluster.load.outcomes import Failure, Outcome

KEPT_OUTCOMES = 100_000
KEPT_SECONDS = 4 * 3600
NOBODY = ""  # the version of answers that no model server gave


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests, and what became of them. `first_harmed` is unix seconds, or None."""

    requests: int = 0
    errors: int = 0
    wrong: int = 0
    harmed: int = 0
    first_harmed: float | None = None

    @property
    def answered(self) -> int:
        return self.requests - self.errors


@dataclass(frozen=True, slots=True)
class Counts:
    """Everything since the start; the version of answers that no model server gave is the empty string."""

    total: Tally
    by_version: Mapping[str, Tally]
    failures: Mapping[Failure, int]

    @property
    def failed_by_switch(self) -> int:
        """Requests that failed although no model server said so."""
        return sum(count for failure, count in self.failures.items() if failure.is_by_switch)


@dataclass(frozen=True, slots=True)
class Second:
    """The requests that were meant to be sent in one second; `at` is its start (unix seconds)."""

    at: int
    by_version: Mapping[str, Tally]
    failed_by_switch: int
    latencies: Mapping[str, Sequence[float]]  # seconds, of answered requests, by version

    def latency(self, version: str, quantile: float) -> float | None:
        """The latency that this share of the version's answers kept within; None without answers."""
        ordered = sorted(self.latencies.get(version, ()))
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else None


@dataclass(slots=True)
class _Sum:
    requests: int = 0
    errors: int = 0
    wrong: int = 0
    harmed: int = 0
    first_harmed: float | None = None

    def add(self, outcome: Outcome) -> None:
        self.requests += 1
        self.errors += outcome.failure is not None
        self.wrong += outcome.failure is None and not outcome.right
        self.harmed += outcome.harmed
        if outcome.harmed and (self.first_harmed is None or outcome.at < self.first_harmed):
            self.first_harmed = outcome.at

    @property
    def tally(self) -> Tally:
        return Tally(self.requests, self.errors, self.wrong, self.harmed, self.first_harmed)


@dataclass(slots=True)
class _SecondSum:
    by_version: dict[str, _Sum] = field(default_factory=dict)
    failed_by_switch: int = 0
    latencies: dict[str, list[float]] = field(default_factory=dict)


class Record:
    """Takes outcomes in any order."""

    def __init__(self) -> None:
        self.outcomes: deque[Outcome] = deque(maxlen=KEPT_OUTCOMES)
        self._total, self._by_version, self._failures = _Sum(), dict[str, _Sum](), Counter[Failure]()
        self._seconds: dict[int, _SecondSum] = {}

    def add(self, outcome: Outcome) -> None:
        version = outcome.version or NOBODY
        self.outcomes.append(outcome)
        self._total.add(outcome)
        self._by_version.setdefault(version, _Sum()).add(outcome)
        second = self._second(int(outcome.at))
        second.by_version.setdefault(version, _Sum()).add(outcome)
        if outcome.failure is None:
            second.latencies.setdefault(version, []).append(outcome.latency)
        else:
            self._failures[outcome.failure] += 1
            second.failed_by_switch += outcome.failure.is_by_switch

    def counts(self) -> Counts:
        return Counts(self._total.tally, _tallies(self._by_version), MappingProxyType(dict(self._failures)))

    def timeline(self) -> tuple[Second, ...]:
        """Oldest first; a second in which nobody asked is left out. The last ones may still grow."""
        return tuple(
            Second(
                at,
                _tallies(sums.by_version),
                sums.failed_by_switch,
                MappingProxyType({version: tuple(values) for version, values in sums.latencies.items()}),
            )
            for at, sums in sorted(self._seconds.items())
        )

    def _second(self, at: int) -> _SecondSum:
        if at not in self._seconds and len(self._seconds) >= KEPT_SECONDS:
            del self._seconds[min(self._seconds)]
        return self._seconds.setdefault(at, _SecondSum())


def _tallies(sums: Mapping[str, _Sum]) -> Mapping[str, Tally]:
    return MappingProxyType({version: part.tally for version, part in sorted(sums.items())})
