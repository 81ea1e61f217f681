"""How long a plan will probably take: said before it starts, and true of made-up traffic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds import request_shares, time_to_pass
from modelrollout.analysis.kinds.ratio_bounds import bounds_of
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.expected_time import sentence
from modelrollout.sequential import proportions
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import ERRORS, GAUGE, LATENCY, analysis

PLAN = [Stretch(0.05, 300), Stretch(0.25, 300), Stretch(0.5, 300), Stretch(1.0, 300)]
COPIED = Stretch(1.0, 300, is_copied=True)
BUCKETS = {0.1: 50_000.0, 0.25: 90_000.0, 0.5: 98_500.0, 1.0: 99_900.0, math.inf: 100_000.0}


def told(rps: float | None, share: float | None = 0.001, **fields: Any) -> str | None:
    wished = analysis(ERRORS, **fields)
    return sentence(wished.metrics[0], wished, Prior(Mode.PLAIN, share=share, rate=rps), PLAN)


@pytest.mark.parametrize(
    ("fields", "does"),
    [
        ({}, "waits for a person"),
        ({"onInconclusive": "promote"}, "moves on"),
        ({"onInconclusive": "rollback"}, "is taken back"),
    ],
)
def test_thin_traffic_takes_hours_and_the_deadline_of_a_step_is_named(fields: dict[str, Any], does: str) -> None:
    assert told(5.0, **fields) == (
        "at this traffic the plan will probably take about 3 h "
        f"(5 % alone about 2 h, longer than stepDeadline (2h), after which it {does})"
    )


def test_copies_of_everything_take_half_the_time_of_half_the_users() -> None:
    wished, usual = analysis(ERRORS), Prior(Mode.PLAIN, share=0.001, rate=5.0)
    copied, half = (sentence(wished.metrics[0], wished, usual, [one]) for one in (COPIED, Stretch(0.5, 300)))
    assert copied == "at this traffic the plan will probably take about 9 min (a copy of 100 % alone about 9 min)"
    assert half == "at this traffic the plan will probably take about 18 min (50 % alone about 18 min)"


def test_a_deadline_that_is_long_enough_is_not_spoken_of() -> None:
    assert told(5.0, stepDeadline="1d") == (
        "at this traffic the plan will probably take about 3 h (5 % alone about 2 h)"
    )


def test_a_plan_whose_holds_are_long_enough_says_nothing() -> None:
    assert told(500.0) is None


@pytest.mark.parametrize(("rps", "share"), [(None, 0.001), (0.0, 0.001)])
def test_unknown_traffic_says_nothing(rps: float | None, share: float | None) -> None:
    assert told(rps, share) is None


def test_a_gauge_has_no_requests_to_wait_for() -> None:
    wished = analysis(GAUGE)
    assert sentence(wished.metrics[0], wished, Prior(Mode.PLAIN, rate=5.0), PLAN) is None


def test_noise_of_pods_takes_longer() -> None:
    wished = analysis(ERRORS)
    plain, noisy = (
        time_to_pass.of_ratio(wished.metrics[0], Prior(mode, dispersion=2.0, share=0.01, rate=50.0), 0.05, 3.0)
        for mode in (Mode.PLAIN, Mode.DISPERSED)
    )
    assert noisy == pytest.approx(3.0 * plain, rel=0.01)


def test_a_limit_is_waited_for_as_well() -> None:
    prior = Prior(Mode.PLAIN, share=0.01, rate=50.0)
    loose, tight = (
        time_to_pass.of_ratio(analysis({**ERRORS, "max": most}).metrics[0], prior, 0.25, 3.0) for most in ("20%", "1%")
    )
    assert loose < tight < math.inf


def test_latency_waits_until_the_slow_tail_is_ruled_out() -> None:
    wished = analysis(LATENCY)
    known = Prior(Mode.PLAIN, share=0.01, rate=1.0, buckets=BUCKETS)
    long, short = (time_to_pass.of_histogram(wished.metrics[0], known, weight, math.log(20)) for weight in (0.05, 0.5))
    assert short < long < math.inf
    unknown = Prior(Mode.PLAIN, share=0.01, rate=1.0)
    assert math.isnan(time_to_pass.of_histogram(wished.metrics[0], unknown, 0.5, 3.0))
    assert sentence(wished.metrics[0], wished, unknown, PLAN) is None


@pytest.mark.parametrize(("rps", "share", "weight"), [(5.0, 0.01, 0.05), (50.0, 0.001, 0.25), (500.0, 0.01, 0.5)])
def test_the_estimate_is_the_middle_of_what_equal_candidates_take(rps: float, share: float, weight: float) -> None:
    """The median of 101 releases lies between two thirds and one and a half times of it."""
    metric, dice = analysis(ERRORS).metrics[0], np.random.default_rng(7)
    prior = Prior(Mode.PLAIN, share=share, rate=rps)
    nats = math.log(20)
    expected = time_to_pass.of_ratio(metric, prior, weight, nats)
    ticks = 600
    tick = 5 * expected / ticks
    tolerated, unacceptable = bounds_of(metric)
    lasted = []
    for _ in range(101):
        mine, theirs = dice.poisson(rps * weight * tick, ticks), dice.poisson(rps * (1 - weight) * tick, ticks)
        bad = dice.binomial(mine, share), dice.binomial(theirs, share)
        counts = proportions.Counts(*(part.astype(float) for part in (bad[0], mine, bad[1], theirs)))
        _, good = proportions.both(counts, np.full(ticks, share), tolerated, unacceptable)
        wealth = np.logaddexp.reduce(good.cumsum(axis=0) + request_shares.GOOD_WEIGHTS, axis=1)
        passed = np.flatnonzero(wealth >= nats)
        lasted.append(tick * (passed[0] + 1) if passed.size else math.inf)
    assert expected / 1.5 <= float(np.median(lasted)) <= 1.5 * expected
