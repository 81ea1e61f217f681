"""Several processes run for one Lease, whatever happens in which order: no two may have a write under way at a time.

Processes freeze at any point, requests and replies take any time, and clocks agree on nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.kube.election import Candidacy, Hold, Seen, Terms, holder, released, taken, unheld
from modelrollout.objects.manifests import Manifest

TERMS = Terms(timedelta(seconds=15))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PROCESSES = 2

Event = tuple[str, int, float]
EVENTS = st.tuples(
    st.sampled_from(["act", "act", "act", "act", "act", "look", "look", "resign"]),
    st.integers(0, PROCESSES - 1),
    st.sampled_from([0.0, 0.0, 0.0, 0.0, 2.0, 10.0]),  # seconds that pass before
)


@dataclass
class Store:
    """The API server's side: a write is taken if the Lease still is as its sender saw it."""

    lease: Manifest | None = None
    versions: count[int] = field(default_factory=lambda: count(1))

    def write(self, lease: Manifest) -> Manifest | None:
        present = self.lease["metadata"]["resourceVersion"] if self.lease else None
        if lease["metadata"].get("resourceVersion") != present:
            return None
        metadata = {**lease["metadata"], "uid": "one", "resourceVersion": str(next(self.versions))}
        self.lease = {**lease, "metadata": metadata}
        return self.lease


@dataclass
class Process:
    """A process as kube/lease.py has it, taken apart at every point where it may stop."""

    candidacy: Candidacy
    store: Store
    clock: Callable[[], float]
    seen: Seen = field(default_factory=lambda: Seen(None, due=-1e9))
    hold: Hold | None = None
    sent: list[tuple[Manifest, float]] = field(default_factory=list)  # and when
    replies: list[tuple[Manifest | None, float]] = field(default_factory=list)

    def act(self) -> None:
        """The next thing that it does, or that happens to what it sent."""
        if self.replies:
            self.hear()
        elif self.sent:
            self.arrive()
        else:
            self.send()

    def look(self) -> None:
        self.seen = self.seen.then(self.store.lease, self.clock())

    def send(self) -> None:
        may_take = self.seen.turn(self.clock()) == 0 or holder(self.seen.lease) == self.candidacy.identity
        if may_take and not self.sent and not self.replies:
            lease = taken(self.seen.lease or unheld(self.candidacy), self.candidacy, NOON)
            self.sent.append((lease, self.clock()))

    def arrive(self) -> None:
        if self.sent:
            lease, since = self.sent.pop()
            self.replies.append((self.store.write(lease), since))

    def hear(self) -> None:
        if self.replies:
            lease, since = self.replies.pop()
            if lease is None:
                self.look()
            else:
                self.seen, self.hold = self.seen.then(lease, self.clock()), Hold(since)

    def resign(self) -> None:
        """Once no write is under way."""
        if self.hold is not None and not self.sent and not self.replies:
            self.hold = None
            if self.seen.lease is not None and holder(self.seen.lease) == self.candidacy.identity:
                self.store.write(released(self.seen.lease))

    @property
    def may_have_a_write_under_way(self) -> bool:
        return self.hold is not None and self.hold.left(self.clock(), TERMS) > 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(EVENTS, min_size=20, max_size=40), st.lists(st.floats(-1e6, 1e6), min_size=PROCESSES, max_size=PROCESSES)
)
def test_no_two_write_at_a_time(events: list[Event], clocks: list[float]) -> None:
    store, time = Store(), [0.0]
    processes = [
        Process(Candidacy("operators", "modelrollout", f"p{n}", TERMS), store, lambda ahead=ahead: time[0] + ahead)
        for n, ahead in enumerate(clocks)
    ]
    for what, who, seconds in events:
        time[0] += seconds
        getattr(processes[who], what)()
        assert sum(each.may_have_a_write_under_way for each in processes) <= 1


def test_such_events_do_lead_from_one_to_the_next() -> None:
    store, time = Store(), [0.0]
    one, two = (Process(Candidacy("o", "m", name, TERMS), store, lambda: time[0]) for name in ("one", "two"))
    for act in (one.look, one.send, one.arrive, one.hear, two.look):
        act()
    assert (one.may_have_a_write_under_way, two.may_have_a_write_under_way) == (True, False)
    time[0] += 16
    for act in (two.send, two.arrive, two.hear):
        act()
    assert (one.may_have_a_write_under_way, two.may_have_a_write_under_way) == (False, True)
