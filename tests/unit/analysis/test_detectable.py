"""What a plan can see, said before anybody waits for it."""

from __future__ import annotations

import math

import pytest

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.sensitivity.detectable import OVERHEAD, Stretch, sees_a_doubling, sentence, smallest_share
from modelrollout.sequential.noise import Mode
from modelrollout.sequential.proportions import Bound
from tests.unit.analysis.looking import ACCURACY, ERRORS, GAUGE, LATENCY, analysis

STRICT = {**ERRORS, "tolerance": {}}
PLAN = [Stretch(0.05, 900), Stretch(0.25, 900), Stretch(0.5, 900), Stretch(1.0, 1800)]


def told(metric: dict[str, object], usual: Prior, plan: list[Stretch] = PLAN, **fields: object) -> str | None:
    wished = analysis(metric, **fields)
    return sentence(wished.metrics[0], wished, usual, plan)


def test_a_plan_says_what_its_first_step_and_all_of_it_can_see() -> None:
    assert told(ERRORS, Prior(share=0.001, rate=50.0)) == (
        "errors: at 50 requests/s and 0.1% errors, 5 % for 15 min can see 0.69% or more; "
        "the whole plan of 45 min 0.35% or more"
    )
    assert told(ACCURACY, Prior(share=0.07, rate=2.0)) == (
        "accuracy: at 2 requests/s and 7% wrong ones, 5 % for 15 min can see 79% right or less; "
        "the whole plan of 45 min 88% right or less"
    )


def test_of_a_histogram_a_plan_says_how_many_slow_ones_it_can_see() -> None:
    assert told(LATENCY, Prior(share=0.01, rate=50.0)) == (
        "latency: at 50 requests/s, 5 % for 15 min can see 1.9% or more as slow as the slowest 1% were; "
        "the whole plan of 45 min 1.3% or more"
    )


def test_where_stable_shows_no_errors_there_is_something_to_see_still() -> None:
    said = told(ERRORS, Prior(share=0.0, rate=50.0))
    assert said is not None
    assert "0% errors, 5 % for 15 min can see 0.42% or more; the whole plan of 45 min 0.17% or more" in said


def test_next_to_no_traffic_sees_nothing() -> None:
    said = told(STRICT, Prior(share=0.001, rate=1e-4))
    assert said is not None
    assert "can see nothing; the whole plan of 45 min nothing" in said


@pytest.mark.parametrize(
    ("metric", "usual"),
    [
        (ERRORS, Prior()),
        (ERRORS, Prior(share=0.1)),
        (LATENCY, Prior(share=0.01)),
        (GAUGE, Prior()),
        ({**ERRORS, "tolerance": None, "max": "2%"}, Prior(share=0.1, rate=50.0)),
    ],
)
def test_nothing_is_said_without_a_history_or_a_comparison(metric: dict[str, object], usual: Prior) -> None:
    assert told(metric, usual) is None
    wished = analysis(metric)
    assert usual.rate is not None or sees_a_doubling(wished.metrics[0], wished, usual, PLAN)


@pytest.mark.parametrize(("rate", "sees"), [(0.5, False), (5.0, False), (50.0, True), (500.0, True)])
def test_a_plan_that_cannot_see_a_doubling_is_known(rate: float, sees: bool) -> None:
    wished = analysis(STRICT)
    assert sees_a_doubling(wished.metrics[0], wished, Prior(share=0.001, rate=rate), PLAN) is sees


def test_copies_of_everything_show_more_than_any_share_of_it() -> None:
    """Stable answers all of it as well, so there is as much to compare with."""
    usual = Prior(share=0.01, rate=50.0)
    copied, half = Stretch(1.0, 900, is_copied=True), Stretch(0.5, 900)
    seen = [smallest_share(usual, Bound(1.0), 0.01, [one]) for one in (copied, half)]
    assert 0.01 < seen[0] < seen[1] < math.inf
    assert (copied.part, copied.seen, str(copied)) == (0.5, 2.0, "a copy of 100 %")


def test_at_full_weight_there_is_nobody_to_compare_with() -> None:
    assert smallest_share(Prior(share=0.01, rate=1e4), Bound(1.0), 0.01, [Stretch(1.0, 86_400)]) == math.inf


@pytest.mark.parametrize("noise", [Prior(mode=Mode.DISPERSED, dispersion=2.0, share=0.01, rate=50.0)])
def test_noise_makes_a_plan_see_less(noise: Prior) -> None:
    calm = Prior(share=0.01, rate=50.0)
    assert smallest_share(noise, Bound(1.0), 0.01, PLAN) > smallest_share(calm, Bound(1.0), 0.01, PLAN)


def test_more_metrics_and_a_wider_tolerance_make_a_plan_see_less() -> None:
    usual = Prior(share=0.01, rate=50.0)
    assert smallest_share(usual, Bound(1.0), 0.001, PLAN) > smallest_share(usual, Bound(1.0), 0.01, PLAN)
    assert smallest_share(usual, Bound(1.25), 0.01, PLAN) > smallest_share(usual, Bound(1.0), 0.01, PLAN)


@pytest.mark.parametrize(
    ("times", "nats"), [(1.2, 4.45e-4), (1.5, 2.55e-3), (2.0, 9.04e-3), (5.0, 9.18e-2)]
)  # statistics: 4.1, five errors a second in ten
def test_the_limit_is_that_of_the_study(times: float, nats: float) -> None:
    seconds = OVERHEAD * math.log(100) / nats
    usual = Prior(share=0.001, rate=500.0)
    assert smallest_share(usual, Bound(1.0), 0.01, [Stretch(0.05, seconds)]) == pytest.approx(times * 0.001, rel=0.01)
