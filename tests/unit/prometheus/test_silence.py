"""How long a silent Prometheus is left alone, on a clock of our own."""

from datetime import UTC, datetime

from modelrollout.prometheus.silence import Silence

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENCE = 10.0


def silent_since_zero() -> Silence:
    """A request sent at 0 waited in vain until 5."""
    silence = Silence(PATIENCE)
    silence.lasts(sent=0, now=5)
    return silence


def test_everybody_may_ask_while_it_answers() -> None:
    silence = Silence(PATIENCE)
    assert not silence.is_on
    assert all(silence.admits(now) for now in (0, 0, 1))


def test_one_is_let_through_after_a_second() -> None:
    silence = silent_since_zero()
    assert [silence.admits(now) for now in (5, 5.9, 6, 6, 7)] == [False, False, True, False, False]


def test_the_time_doubles_with_each_silence_up_to_ten_seconds() -> None:
    silence = silent_since_zero()
    now, pauses = 5.0, []
    for _ in range(6):
        asked = next(now + tenths / 10 for tenths in range(1_000) if silence.admits(now + tenths / 10))
        pauses.append(round(asked - now, 1))
        now = asked + 5
        silence.lasts(sent=asked, now=now)
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_requests_that_were_under_way_together_are_one_silence() -> None:
    silence = silent_since_zero()
    silence.lasts(sent=0.5, now=5.5)
    silence.lasts(sent=4.9, now=5.9)
    assert silence.admits(6)


def test_a_reply_ends_it_and_the_next_silence_begins_with_a_second_again() -> None:
    silence = silent_since_zero()
    assert silence.admits(6)
    silence.lasts(sent=6, now=11)
    silence.ends()
    assert silence.admits(11)
    assert silence.admits(11)
    silence.lasts(sent=12, now=17)
    assert silence.admits(18)


def test_who_leaves_without_asking_gives_the_turn_back() -> None:
    silence = silent_since_zero()
    assert silence.admits(6)
    silence.gave_up(7)
    assert silence.admits(7)


def test_a_probe_of_which_nothing_is_heard_any_more_does_not_last_for_ever() -> None:
    silence = silent_since_zero()
    assert silence.admits(6)
    assert not silence.admits(15.9)
    assert silence.admits(16)


def test_it_says_since_when_and_when_it_is_asked_again() -> None:
    silence = silent_since_zero()
    assert silence.why("P", 5, NOON) == "P has not answered since 11:59:55 UTC; it is asked again at 12:00:01 UTC."
    assert silence.admits(6)
    assert silence.why("P", 6, NOON) == "P has not answered since 11:59:54 UTC; it is being asked again now."


def test_a_day_is_named_when_it_is_another() -> None:
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    why = silent_since_zero().why("P", 5, midnight)
    assert why == "P has not answered since 2025-12-31 23:59:55 UTC; it is asked again at 00:00:01 UTC."
