"""Who leads, as a function of the Lease as read and of one's own clock: two processes whose clocks agree on nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from modelrollout.kube.election import (
    LABEL,
    NAMESPACES,
    Candidacy,
    Hold,
    Seen,
    Terms,
    holder,
    overlap,
    released,
    taken,
    unheld,
)
from modelrollout.objects.manifests import Manifest

TERMS = Terms(timedelta(seconds=15))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def candidacy(identity: str = "one", terms: Terms = TERMS, namespaces: tuple[str, ...] = ()) -> Candidacy:
    return Candidacy("operators", "modelrollout", identity, terms, namespaces)


BLANK = unheld(candidacy())


def stored(lease: Manifest, version: int, uid: str = "uid") -> Manifest:
    return {**lease, "metadata": {**lease["metadata"], "uid": uid, "resourceVersion": str(version)}}


def held(by: str, version: int = 7, at: datetime = NOON) -> Manifest:
    return stored(taken(BLANK, candidacy(by), at), version)


def test_times_follow_from_the_duration_as_in_client_go() -> None:
    assert (TERMS.lasts, TERMS.renewal_deadline, TERMS.retry) == (15, 10, 2)


def test_where_there_is_no_lease_anybody_may_make_one() -> None:
    assert Seen(None, due=100).turn(100) == 0


def test_a_lease_may_be_taken_once_it_stayed_the_same_for_its_duration_by_the_clock_of_who_waits() -> None:
    seen = Seen(None, due=0).then(held("one"), 1000)
    assert [seen.turn(now) for now in (1000, 1010, 1014.5, 1015, 9999)] == [15, 5, 0.5, 0, 0]


def test_reading_the_same_version_again_is_no_news() -> None:
    seen = Seen(None, due=0).then(held("one"), 1000)
    assert seen.then(held("one"), 1012) == seen


def test_a_renewal_begins_the_wait_anew() -> None:
    seen = Seen(None, due=0).then(held("one"), 1000).then(held("one", version=8), 1014)
    assert seen.turn(1015) == 14


@pytest.mark.parametrize("wrong", [-3600, -60, 0, 60, 3600])
def test_a_holder_whose_clock_is_wrong_is_waited_for_as_long_as_any_other(wrong: int) -> None:
    seen = Seen(None, due=0).then(held("one", at=NOON + timedelta(seconds=wrong)), 1000)
    assert (seen.turn(1014), seen.turn(1015)) == (1, 0)


def test_the_wait_is_what_the_holder_asked_for_whatever_the_others_are_set_to() -> None:
    patient = stored(taken(BLANK, candidacy(terms=Terms(timedelta(seconds=60))), NOON), 7)
    assert Seen(None, due=0).then(patient, 1000).turn(1000) == 60


def test_a_lease_that_was_given_up_is_taken_at_once() -> None:
    seen = Seen(None, due=0).then(held("one"), 1000).then(stored(released(held("one")), 8), 1001)
    assert seen.turn(1001) == 0


def test_a_lease_that_somebody_deleted_is_waited_for_since_its_holder_has_not_heard_of_it() -> None:
    seen = Seen(None, due=0).then(held("one"), 1000).then(None, 1005)
    assert (seen.turn(1005), seen.turn(1020)) == (15, 0)


def test_a_holder_begins_no_write_long_before_anybody_else_may_lead() -> None:
    hold = Hold(since=500)
    assert [hold.lasts(now, TERMS) for now in (500, 509.9, 510, 530)] == [True, True, False, False]


def test_a_write_that_begins_at_the_last_moment_ends_before_anybody_else_may_lead() -> None:
    hold = Hold(since=500)
    assert hold.left(509.9, TERMS) == pytest.approx(5.1)
    assert max(now + hold.left(now, TERMS) for now in (500, 503, 509.9)) == 515


def test_no_two_lead_at_a_time_whenever_who_waits_read_the_renewal_and_whatever_their_clocks_say() -> None:
    """Sent at 0, stored and read after that: the clocks differ by an hour."""
    hold, hour = Hold(since=0), 3600
    for read in (0, 0.001, 2, 9.9):
        due = Seen(None, due=0).then(held("one"), hour + read).due - hour
        assert not any(hold.left(now, TERMS) > 0 for now in (due, due + 1))


def test_taking_it_counts_the_holders_and_a_renewal_does_not() -> None:
    first = taken(BLANK, candidacy("one"), NOON)
    assert first["spec"] == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T12:00:00.000000Z",
        "renewTime": "2026-01-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    }
    again = taken(first, candidacy("one"), NOON + timedelta(seconds=2))
    assert again["spec"] == {**first["spec"], "renewTime": "2026-01-01T12:00:02.000000Z"}
    other = taken(again, candidacy("two"), NOON + timedelta(seconds=20))
    assert (other["spec"]["leaseTransitions"], other["spec"]["acquireTime"]) == (1, "2026-01-01T12:00:20.000000Z")
    assert taken(released(other), candidacy("three"), NOON)["spec"]["leaseTransitions"] == 2


def test_what_others_noted_on_a_lease_stays_and_our_label_is_put_on() -> None:
    noted = {**BLANK, "metadata": {**BLANK["metadata"], "labels": {"team": "ml"}, "annotations": {"a": "b"}}}
    assert taken(noted, candidacy("one"), NOON)["metadata"] == {
        "namespace": "operators",
        "name": "modelrollout",
        "labels": {"team": "ml", LABEL: "modelrollout"},
        "annotations": {"a": "b", NAMESPACES: "*"},
    }


def test_nobody_holds_what_is_not_there_or_was_given_up() -> None:
    assert [holder(each) for each in (None, BLANK, released(held("one")), held("one"))] == ["", "", "", "one"]


def test_settings_shorter_than_a_second_are_told_to_others_as_a_whole_one() -> None:
    assert taken(BLANK, candidacy(terms=Terms(timedelta(seconds=0.4))), NOON)["spec"]["leaseDurationSeconds"] == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "shared"),
    [
        (("a", "b"), ("c",), None),
        (("a", "b"), ("b", "c"), "namespace b"),
        (("a", "b", "c"), ("c", "b"), "namespace b, c"),
        ((), ("b", "a"), "namespace a,b"),
        (("a",), (), "all namespaces"),
        ((), (), "all namespaces"),
    ],
)
def test_operators_are_apart_where_their_namespaces_are(
    ours: tuple[str, ...], theirs: tuple[str, ...], shared: str | None
) -> None:
    assert overlap(taken(BLANK, candidacy(namespaces=theirs), NOON), ours) == shared


def test_a_lease_that_says_nothing_of_namespaces_stands_for_all_of_them() -> None:
    assert overlap(BLANK, ("a",)) == "all namespaces"
