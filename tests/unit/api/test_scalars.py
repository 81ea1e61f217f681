"""Durations, ratios, limits and times: what they mean, and that nothing odd passes for one."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from modelrollout.api.scalars import CLOCK_PATTERN, Duration, Limit, Share, Time
from tests.valid_specs import durations

TIME: TypeAdapter[datetime] = TypeAdapter(Time)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("1.5s", timedelta(milliseconds=1500)),
        ("250ms", timedelta(milliseconds=250)),
        ("0s", timedelta()),
        ("604800s", timedelta(days=7)),
    ],
)
def test_a_duration_means_what_kubernetes_users_expect(text: str, meant: timedelta) -> None:
    assert Duration(text).timedelta == meant


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5m", "5 m", "5M", "1w", "5m\n", "٣s", "1e3s", ".5s", "1h" * 5, "9" * 7 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 90s, 5m, 1h30m or 7d"):
        Duration(text)


@given(durations)
def test_no_duration_is_too_long_to_count_with(text: str) -> None:
    assert datetime(2026, 1, 1, tzinfo=UTC) + Duration(text).timedelta


@pytest.mark.parametrize("text", ["1h", "1m1s", "1m1h", "12345ms", "99999h"])
def test_every_duration_of_the_gateway_api_is_one(text: str) -> None:
    assert Duration(text) == text


@pytest.mark.parametrize(("text", "is_clock"), [("1h30m", True), ("0.5s", True), ("1d", False), ("1d12h", False)])
def test_days_are_kept_from_cel_which_does_not_know_them(text: str, is_clock: bool) -> None:
    assert (re.fullmatch(CLOCK_PATTERN, Duration(text)) is not None) == is_clock


@pytest.mark.parametrize(
    ("text", "value"), [("2%", 0.02), ("0.02", 0.02), ("0%", 0.0), ("100%", 1.0), ("12.5%", 0.125)]
)
def test_a_share_is_a_part_of_one(text: str, value: float) -> None:
    assert Share(text).value == value


@pytest.mark.parametrize("text", ["", "-1%", "2 %", "1e-2", "two", "%", "1%%", "2%\n"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'is not a ratio such as 2% or "0.02"'):
        Share(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2%", 0.02), ("0.92", 0.92), ("300ms", 0.3), ("-5", -5.0), ("1e3", 1000.0), ("-2.5E-1%", -0.0025), ("1m", 60.0)],
)
def test_a_limit_is_a_number_a_ratio_or_seconds(text: str, value: float) -> None:
    assert Limit(text).value == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "high", "nan", "inf", "1e999", "-5m", "5%s", "0x1", "1,5", "1_0"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a limit such as"):
        Limit(text)


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.timezones()))
def test_a_time_is_read_back_as_it_was_written(moment: datetime) -> None:
    written = TIME.dump_json(moment)
    assert TIME.dump_json(TIME.validate_json(written)) == written
    assert timedelta() <= moment - TIME.validate_json(written) < timedelta(seconds=1)


def test_a_time_is_written_in_utc() -> None:
    at = datetime(2026, 1, 1, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert TIME.dump_python(at) == "2026-01-01T10:00:00Z"
