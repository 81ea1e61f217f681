"""Users who may differ are spoken of before a release, once, and where nothing covers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.unlike_users import REMARK, remark
from tests.unit.analysis.looking import ACCURACY, ERRORS, GAUGE, LATENCY, analysis

CANARY = [Stretch(0.05, 900), Stretch(1.0, 1800)]
USUAL = Prior(share=0.01)


def told(metric: Mapping[str, Any], prior: Prior = USUAL, plan: list[Stretch] = CANARY) -> str | None:
    return remark(analysis(metric).metrics[0], prior, plan)


@pytest.mark.parametrize("metric", [ERRORS, ACCURACY, LATENCY])
def test_without_a_tolerance_users_who_differ_are_spoken_of(metric: Mapping[str, Any]) -> None:
    assert told({**metric, "tolerance": {}}) == REMARK


def test_a_tolerance_smaller_than_users_differ_is_none() -> None:
    assert told({**ERRORS, "tolerance": {"relative": "1%", "absolute": "0.01%"}}) == REMARK


@pytest.mark.parametrize(
    ("metric", "tolerance"),
    [
        (ERRORS, {"relative": "25%"}),
        (ERRORS, {"relative": "5%"}),
        (ERRORS, {"absolute": "0.1%"}),
        (LATENCY, {"relative": "10%"}),
        (LATENCY, {"absolute": "5ms"}),
        (ACCURACY, {"absolute": "1%"}),
        (GAUGE, {}),
        ({**ERRORS, "max": "5%"}, None),
    ],
)
def test_a_tolerance_that_covers_them_is_enough_and_gauges_have_no_users(
    metric: Mapping[str, Any], tolerance: Mapping[str, str] | None
) -> None:
    assert told({**metric, "tolerance": tolerance}) is None


def test_how_wide_an_absolute_tolerance_is_depends_on_what_is_usual() -> None:
    metric = {**ERRORS, "tolerance": {"absolute": "0.1%"}}
    found = [told(metric, Prior(share=share)) for share in (None, 0.0, 0.01, 0.1)]
    assert found == [None, None, None, REMARK]


def test_copies_are_requests_of_the_same_users() -> None:
    metric = {**ERRORS, "tolerance": {}}
    shadow = Stretch(1.0, 900, is_copied=True)
    assert told(metric, plan=[shadow]) is None
    assert told(metric, plan=[shadow, *CANARY]) == REMARK
    assert told(metric, plan=[Stretch(1.0, 900)]) is None
