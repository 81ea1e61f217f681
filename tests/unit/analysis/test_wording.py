"""Numbers as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelrollout.analysis import wording
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.api.metric import Metric
from tests.unit.analysis.looking import ACCURACY, GAUGE, LATENCY


@pytest.mark.parametrize("unit", ["share", "seconds", "plain"])
@pytest.mark.parametrize("value", [0.0, 0.0021, 0.9995, 0.212, 3.1, 1812.0, -0.01, 1e300])
def test_a_value_is_read_back_from_its_words(value: float, unit: wording.Unit) -> None:
    assert wording.value_in(wording.text(value, unit)) == pytest.approx(value, rel=0.03, abs=1e-5)


@pytest.mark.parametrize(
    ("written", "value"), [("34,000", 34000), ("> 1s", 1), ("nothing", None), ("unknown", None), (None, None)]
)
def test_words_that_are_no_value_are_none(written: str | None, value: float | None) -> None:
    assert wording.value_in(written) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0021, "0.21%"),
        (0.2, "20%"),
        (0, "0%"),
        (1, "100%"),
        (0.9307, "93.1%"),
        (0.9995, "99.95%"),
        (1e-9, "0%"),
        (0.125, "12%"),
        (-0.01, "-1%"),
        (1e300, "1e+302%"),
    ],
)
def test_shares_are_percentages(value: float, written: str) -> None:
    assert wording.share(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.2124, "212ms"), (0.0424, "42.4ms"), (0.00042, "0.42ms"), (1.244, "1.24s"), (0, "0s"), (75, "75s")],
)
def test_times_are_milliseconds_below_a_second(value: float, written: str) -> None:
    assert wording.seconds(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.2, "1 s"), (100, "100 s"), (240, "4 min"), (7200, "2 h"), (10 * 86400, "10 d")]
)
def test_waits_are_told_in_the_unit_that_people_plan_with(seconds: float, written: str) -> None:
    assert wording.duration(timedelta(seconds=seconds)) == written


@pytest.mark.parametrize(
    ("p_value", "written"), [(0.0, "1 in a billion"), (3e-5, "1 in 10,000"), (1e-4, "1 in 10,000")]
)
def test_odds_are_never_better_than_they_are(p_value: float, written: str) -> None:
    assert wording.odds(p_value) == f"fewer than {written}"


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (7, 7), (40, 40), (4157, 4200), (101, 110), (1e15 + 1, 1.1e15)])
def test_an_estimate_looks_like_one(value: float, shown: float) -> None:
    assert wording.rounded(value) == shown


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        (ACCURACY, "share"),
        (LATENCY, "seconds"),
        ({**LATENCY, "histogram": 'tokens_bucket{pod=~"{{ pods }}"}'}, "plain"),
        ({**LATENCY, "histogram": 'took_bucket{pod=~"{{ pods }}"}', "max": "300ms"}, "seconds"),
        (GAUGE, "plain"),
        ({**GAUGE, "tolerance": {"absolute": "1%"}}, "share"),
        ({**GAUGE, "max": "2m"}, "seconds"),
    ],
)
def test_values_are_written_in_the_unit_of_their_bounds(metric: dict[str, object], unit: str) -> None:
    wished = Metric.model_validate(metric)
    assert kind_of(wished).unit(wished) == unit


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [(0.0042, "share", "+0.42%"), (-0.012, "seconds", "−12ms"), (0.0, "plain", "+0")],
)
def test_a_difference_carries_its_sign(value: float, unit: wording.Unit, written: str) -> None:
    assert wording.signed(value, unit) == written
