"""How often equal candidates are taken back, from samples to verdict: whole rollouts under noise as it is.

The worlds are others in each run; a rate that is kept exceeds its bar in one run of a million. A look at the end sees
every tick of the way: whatever once broke a bound is a Fail then, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.preflight import prior_of
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import ERRORS, LATENCY, START, Walk, always, analysis, course
from tests.unit.analysis.traffic import Arm, Floats, fresh, keeps, most, offsets, scraped, served, settled, summarised

STRICT = {**ERRORS, "tolerance": {}}
BEGIN = -200.0
HOUR = 3600.0
GRAIN = 5.0
EVERY = 3  # grains between two scrapes
RATE = 0.05
"""The declared rate of false rollbacks: higher than in life, so that fewer rollouts tell."""


def times(seconds: float, begin: float = BEGIN) -> Floats:
    """The beginning of each grain."""
    return np.arange(begin, seconds + 30, GRAIN)


def autocorrelated(random: np.random.Generator, shape: tuple[int, int], keeps: float, spread: float) -> Floats:
    """Levels that forget so much of themselves from one 10 s to the next, one row after the other in grains."""
    noise = random.standard_normal((shape[0], shape[1] // 2 + 2))
    for at in range(1, noise.shape[1]):
        noise[:, at] = keeps * noise[:, at - 1] + math.sqrt(1 - keeps**2) * noise[:, at]
    return np.exp(spread * np.repeat(noise, 2, axis=1)[:, : shape[1]])


def bursts(random: np.random.Generator, at: Floats, per_hour: float) -> Floats:
    """1 in bursts of 30 to 60 s, else 0."""
    found = np.zeros(at.size)
    for _ in range(random.poisson(per_hour * (at[-1] - at[0]) / HOUR)):
        begins = random.uniform(at[0], at[-1])
        found[(at >= begins) & (at < begins + random.uniform(30, 60))] = 1.0
    return found


def weights(at: Floats) -> Floats:
    """The candidate's part of the traffic: 5, 25, 50 %, for 20 minutes each."""
    return np.where(at < HOUR / 3, 0.05, np.where(at < 2 * HOUR / 3, 0.25, 0.5))


STEPS = (HOUR / 3, 2 * HOUR / 3)


@dataclass(frozen=True)
class World:
    """What both arms share at each grain: requests per second, and the share of errors."""

    rate: Floats
    share: Floats


def calm(random: np.random.Generator, rps: float, share: float) -> World:
    at = times(HOUR)
    return World(np.full(at.size, rps), np.full(at.size, share))


def stormy(random: np.random.Generator, rps: float, share: float) -> World:
    """Load waves of ±40 %, drifts of traffic and errors, and three bursts of ten times the errors in an hour."""
    at = times(HOUR)
    wave = 1 + 0.4 * np.sin(2 * np.pi * at / 900 + random.uniform(0, 6))
    drifts = autocorrelated(random, (2, at.size), 0.97, 0.5)
    errors = share * drifts[1] * (1 + 9 * bursts(random, at, 3))
    return World(rps * wave * np.sqrt(drifts[0]), np.minimum(errors, 0.5))


def arms(
    random: np.random.Generator, world: World, pods: tuple[int, int], times_worse: float = 1.0, more: float = 0.0
) -> list[Series]:
    """Both arms' counters, each pod scraped at a moment of its own."""
    weight, found = weights(times(HOUR)), []
    own = np.minimum(times_worse * world.share + more, 1.0)
    for name, count, part, share in (
        ("fraud-b41c", pods[0], weight, own),
        ("fraud-7d9f", pods[1], 1 - weight, world.share),
    ):
        arm = Arm(name, count, world.rate * part, share, GRAIN)
        found += scraped(arm, *served(random, arm), BEGIN, EVERY, offsets(random, count, EVERY))
    return found


def walk(metric: dict[str, Any], series: list[Series], **fields: Any) -> Walk:
    wished = analysis(metric, **fields)
    return Walk(wished, always(*series), course(wished, *STEPS, later_steps=2, planned=HOUR))


def is_kept(metric: dict[str, Any], make: Callable[[], list[Series]]) -> bool:
    """Whether rollouts are taken back no more often than declared."""

    def is_taken_back() -> bool:
        told = walk(metric, make(), falseRollbackRate=f"{100 * RATE:g}%").look(HOUR).verdicts[0]
        return told.verdict is Verdict.FAIL

    return keeps(RATE, is_taken_back)


CELLS = [(0.001, 50.0), (0.001, 5000.0), (0.01, 50.0), (0.01, 500.0), (0.01, 5000.0)]
cells = pytest.mark.parametrize(("share", "rps"), CELLS, ids=lambda value: f"{value:g}")


@cells
def test_equal_candidates_are_taken_back_no_more_often_than_declared(share: float, rps: float) -> None:
    _, random = fresh()
    assert is_kept(STRICT, lambda: arms(random, calm(random, rps, share), (1, 4)))


@cells
@pytest.mark.parametrize("pods", [(1, 3), (2, 8)], ids=["few pods", "pods"])
def test_nor_are_they_under_bursts_waves_and_drifts_that_both_arms_share(
    share: float, rps: float, pods: tuple[int, int]
) -> None:
    """With scrapes at staggered moments, and while the weights change: pooled rates fail in nearly all of these."""
    _, random = fresh()
    assert is_kept(STRICT, lambda: arms(random, stormy(random, rps, share), pods))


def test_nor_when_somebody_looks_while_a_burst_begins() -> None:
    """What is not known yet of the ticks to come takes nobody back either."""
    _, random = fresh()
    at, taken_back, runs = times(900.0), 0, 12
    for _ in range(runs):
        share = np.minimum(0.01 * (1 + 9 * bursts(random, at, 12)), 0.5)
        found: list[Series] = []
        for name, count, part in (("fraud-b41c", 1, 0.25), ("fraud-7d9f", 3, 0.75)):
            arm = Arm(name, count, np.full(at.size, 5000.0 * part), share, GRAIN)
            found += scraped(arm, *served(random, arm), BEGIN, EVERY, offsets(random, count, EVERY))
        one = walk(STRICT, found)
        one.course = course(one.analysis, later_steps=2, planned=900.0)
        ends = np.arange(random.uniform(0, 15), 900.0, 15.0).tolist()
        taken_back += Verdict.FAIL in [one.look(end).verdicts[0].verdict for end in ends]
    assert taken_back <= most(runs, 0.01)


@pytest.mark.parametrize(
    ("tolerance", "times_worse", "more", "share"),
    [
        ({"relative": "25%"}, 1.25, 0.0, 0.01),
        ({"relative": "25%", "absolute": "0.1%"}, 1.25, 0.001, 0.01),
        ({"absolute": "0.2%"}, 1.0, 0.002, 0.0),
        ({"absolute": "0.2%"}, 1.0, 0.002, 0.0001),
    ],
)
def test_what_is_just_tolerated_is_taken_back_no_more_often_than_declared(
    tolerance: dict[str, str], times_worse: float, more: float, share: float
) -> None:
    _, random = fresh()
    metric = {**ERRORS, "tolerance": tolerance}
    assert is_kept(metric, lambda: arms(random, calm(random, 300.0, share), (2, 4), times_worse, more))


def test_a_candidate_on_its_limit_is_taken_back_no_more_often_than_declared() -> None:
    _, random = fresh()
    metric = {**ERRORS, "tolerance": None, "max": "2%"}
    assert is_kept(metric, lambda: arms(random, calm(random, 300.0, 0.02), (2, 4)))


def test_no_errors_at_all_never_take_anybody_back() -> None:
    _, random = fresh()
    for rps in (5.0, 5000.0):
        told = walk(STRICT, arms(random, calm(random, rps, 0.0), (1, 4))).look(HOUR).verdicts[0]
        assert (told.verdict is Verdict.FAIL, told.evidence) == (False, "0%")


BUCKETS = (0.05, 0.1, 0.2, 0.4, 0.8)
SLOWER = np.array([0.5, 0.2, 0.05, 0.01, 0.002])


def histograms(random: np.random.Generator, rps: float, per_hour: float, slower: float = 1.0) -> list[Series]:
    """Both arms' latencies, with bursts in which all requests of both are slower."""
    at = times(HOUR)
    tails = np.minimum(SLOWER[None, :] * (1 + 7 * bursts(random, at, per_hour))[:, None], [0.9, 0.6, 0.4, 0.2, 0.1])
    weight, found = weights(at), []
    for name, pods, part, factor in (("fraud-b41c", 2, weight, slower), ("fraud-7d9f", 4, 1 - weight, 1.0)):
        within = 1 - np.minimum(tails * factor, 0.95)
        shares = np.diff(within, axis=1, prepend=0.0, append=1.0)
        for pod, offset in enumerate(offsets(random, pods, EVERY)):
            total = random.poisson(rps * part * GRAIN / pods)
            counted = random.multinomial(total, shares).cumsum(axis=1).cumsum(axis=0)
            grains = np.arange(offset, at.size, EVERY)
            moments = (START + at[grains] + GRAIN).tolist()
            labels = {"__name__": "http_request_duration_seconds_bucket", "pod": f"{name}-{pod}"}
            for column, edge in enumerate((*map(str, BUCKETS), "+Inf")):
                values = counted[grains, column].tolist()
                found.append(Series({**labels, "le": edge}, tuple(zip(moments, values, strict=True))))
    return found


@pytest.mark.parametrize(("rps", "per_hour"), [(50.0, 0.0), (500.0, 3.0), (5000.0, 3.0)])
def test_equally_fast_candidates_are_taken_back_no_more_often_than_declared(rps: float, per_hour: float) -> None:
    _, random = fresh()
    metric = {**LATENCY, "tolerance": {}}
    assert is_kept(metric, lambda: histograms(random, rps, per_hour))


NOISES = ["clusters", "drifts", "bursts"]
NOISY_RATE, NOISY_BAR = 0.01, 0.015
STABLE_PODS, PAST = 20, 6 * HOUR


def noisy(random: np.random.Generator, kind: str, pods: int, at: Floats, share: float) -> tuple[Floats, float]:
    """Shares of errors of pods that are noisy by themselves, and the size of clusters (statistics: 3.3, N2 to N4)."""
    if kind == "clusters":
        return np.full((pods, at.size), share), 5.0
    if kind == "drifts":
        return np.minimum(share * autocorrelated(random, (pods, at.size), 0.9, 0.3), 0.5), 1.0
    return share + 0.05 * np.array([bursts(random, at, 1.0) for _ in range(pods)]), 1.0


@pytest.mark.parametrize("kind", NOISES)
def test_noise_of_single_pods_is_met_by_what_their_history_shows(kind: str) -> None:
    _, random = fresh()
    wished, modes = analysis(STRICT, falseRollbackRate=f"{100 * NOISY_RATE:g}%"), set()

    def is_taken_back() -> bool:
        at, found = times(HOUR, -PAST - 60), []
        for name, pods, part in (("fraud-b41c", 1, 1 / 21), ("fraud-7d9f", STABLE_PODS, 20 / 21)):
            share, cluster = noisy(random, kind, pods, at, 0.01)
            arm = Arm(name, pods, np.full(at.size, 500.0 * part), share, GRAIN, cluster)
            found += scraped(arm, *served(random, arm), -PAST - 60, EVERY, offsets(random, pods, EVERY))
        usual = prior_of(summarised(wished, [Stretch(0.05, HOUR)], found)[0])
        modes.add(usual.mode)
        one = Walk(wished, always(*found), course(wished, later_steps=0, planned=HOUR), usual)
        return one.look(HOUR).verdicts[0].verdict is Verdict.FAIL

    assert keeps(NOISY_BAR, is_taken_back)
    assert modes <= {Mode.RANKED, Mode.DISPERSED}


@pytest.mark.parametrize("rps", [500.0, 5000.0])
def test_improved_candidates_are_never_taken_back_and_pass_at_every_step(rps: float) -> None:
    _, random = fresh()
    for _ in range(10):
        world = stormy(random, rps, 0.01)
        for metric, series in (
            (STRICT, arms(random, world, (2, 4), times_worse=0.5)),
            ({**LATENCY, "tolerance": {}}, histograms(random, rps, 3.0, slower=0.5)),
        ):
            ends = (*STEPS, HOUR)
            one = walk(metric, series)
            told = []
            for number, end in enumerate(ends):
                one.course = course(one.analysis, *STEPS[:number], later_steps=2, planned=HOUR)
                told.append(one.look(end - 1).verdicts[0].verdict)
            assert told == [Verdict.PASS] * 3


def first_fail(one: Walk) -> float:
    """Seconds until a look at every tick would have failed; infinite when none would."""
    if one.look(HOUR, is_saved=False).verdicts[0].verdict is not Verdict.FAIL:
        return math.inf
    low, high = 0, int(HOUR / 15)
    while high - low > 1:
        middle = (low + high) // 2
        is_failed = one.look(15.0 * middle, is_saved=False).verdicts[0].verdict is Verdict.FAIL
        low, high = (low, middle) if is_failed else (middle, high)
    return 15.0 * high


@pytest.mark.parametrize(
    ("rps", "times_worse", "more", "limit"),
    [(50.0, 5.0, 0.0, 50.2), (500.0, 2.0, 0.0, 50.9), (50.0, 2.0, 0.0, 509.0), (500.0, 1.0, 0.05, 3.6)],
)  # the least time that any rule needs on average, of the study (statistics: 4.1)
def test_regressions_are_found_in_less_than_twice_the_least_time(
    rps: float, times_worse: float, more: float, limit: float
) -> None:
    """And a scrape, and a tick. A median of sixteen is too rough to be drawn anew each time."""
    random = settled(rps, times_worse, more)
    found = [
        first_fail(walk(STRICT, arms(random, calm(random, rps, 0.01), (1, 4), times_worse, more))) for _ in range(16)
    ]
    assert np.median(found) <= 2 * limit + 15 + 15


def onset(random: np.random.Generator, minute: float) -> Iterator[Series]:
    """A candidate at 5 % of 50 requests a second that is five times as bad from that minute on."""
    at = times(HOUR)
    for name, count, part in (("fraud-b41c", 1, 0.05), ("fraud-7d9f", 4, 0.95)):
        share = np.where((at >= 60 * minute) & (name == "fraud-b41c"), 0.05, 0.01)
        arm = Arm(name, count, np.full(at.size, 50.0 * part), share, GRAIN)
        yield from scraped(arm, *served(random, arm), BEGIN, EVERY, offsets(random, count, EVERY))


def test_what_breaks_late_is_found_as_if_it_had_broken_at_once() -> None:
    random = settled("late")
    wished = analysis(STRICT)
    delays = [
        first_fail(Walk(wished, always(*onset(random, 30)), course(wished, later_steps=0, planned=HOUR))) - 1800
        for _ in range(16)
    ]
    assert np.median(delays) <= 180


def test_too_little_traffic_is_inconclusive_and_says_how_much_is_missing() -> None:
    random = settled("little")  # an equal candidate is taken back now and then, as declared
    one = walk(STRICT, arms(random, calm(random, 1.0, 0.001), (1, 4)))
    one.course = course(one.analysis, later_steps=2, planned=HOUR)
    told = one.look(HOUR / 3 - 1).verdicts[0]
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "more requests (about" in told.message
    assert told.ruled_out != "100%"
