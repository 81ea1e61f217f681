"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from modelrollout.cli.backtest.moments import length, moment

NOW = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("-7d", datetime(2026, 2, 23, 12, tzinfo=UTC)),
        ("-1h30m", datetime(2026, 3, 2, 10, 30, tzinfo=UTC)),
        ("1772445600", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("2026-03-02T10:00:00Z", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("2026-03-02T10:00:00+02:00", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_each_of_its_forms(text: str, meant: datetime) -> None:
    assert moment(text, NOW, "--start") == meant


@pytest.mark.parametrize("text", ["", "yesterday", "-7", "-d", "1e99", "nan", "2026-13-01"])
def test_what_is_no_moment_is_refused_with_the_flag_and_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"--start is .*no moment; write 2026"):
        moment(text, NOW, "--start")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3601, "1 h"), (90_000, "1 d 1 h")],
)
def test_a_length_is_told_in_its_two_largest_units(seconds: float, told: str) -> None:
    assert length(timedelta(seconds=seconds)) == told
