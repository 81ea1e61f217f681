"""Whether requests reach the candidate as intended, from counters as Prometheus has them: pods, scrapes, restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelrollout.analysis.evidence.look import Intended
from modelrollout.analysis.judge import Judgement
from modelrollout.analysis.traffic_share import FEWER_THAN_INTENDED, MORE_THAN_INTENDED
from modelrollout.promql.query import Series
from tests.unit.analysis.looking import ERRORS, KNOWN, LATENCY, START, Walk, always, analysis, course

END = 600.0
WANTED = analysis(ERRORS)
FIVE = Intended(weight=5, mirror=0, since=START)


def pod(
    name: str, rate: float, *, begins: float = KNOWN, ends: float = END, every: float = 5.0, **labels: str
) -> Series:
    """A pod's counter of requests: so many a second from 0 on, of which it is scraped at its own moments."""
    random = np.random.default_rng(sum(map(ord, name)))
    times = np.arange(begins + random.uniform(0.1, every), ends, every)
    counts = np.cumsum(random.poisson(rate * every, times.size) * (times > 0))
    samples = tuple(zip((START + times).tolist(), (1000.0 + counts).tolist(), strict=True))
    return Series({"__name__": "http_requests_total", "namespace": "ml", "pod": name, "code": "200", **labels}, samples)


def arms(part: float, *, rps: float = 50.0, pods: int = 4) -> list[Series]:
    """Both arms, of whose requests the candidate gets such a part."""
    mine = [pod("fraud-b41c-x", rps * part)] if part else []
    return [*mine, *(pod(f"fraud-7d9f-{n}", rps * (1 - part) / pods) for n in range(pods))]


def walk(*series: Series, intended: Intended | None = FIVE) -> Walk:
    return Walk(WANTED, always(*series), course(WANTED), intended=intended)


def reason(told: Judgement) -> str | None:
    return told.traffic.contradiction.reason if told.traffic and told.traffic.contradiction else None


def told_at(walked: Walk, *, until: float = END) -> tuple[float, str] | None:
    """When something was told first, in looks."""
    for look in range(1, int(until / 15) + 1):
        if (why := reason(walked.look(15.0 * look))) is not None:
            return look, why
    return None


@pytest.mark.parametrize("part", [0.5, 1.0, 0.9])
def test_too_many_requests_are_told_within_three_intervals_and_are_far_more(part: float) -> None:
    walked = walk(*arms(part))
    assert told_at(walked, until=45) == (3, MORE_THAN_INTENDED)
    told = walked.look(60).traffic
    assert told is not None
    assert told.is_far_more


def test_no_requests_are_told_within_three_intervals_though_there_is_no_series() -> None:
    assert told_at(walk(*arms(0.0)), until=45) == (3, FEWER_THAN_INTENDED)


def test_no_requests_are_told_within_three_intervals_where_the_counter_stands_still() -> None:
    assert told_at(walk(pod("fraud-b41c-x", 0.0), *arms(0.0)), until=45) == (3, FEWER_THAN_INTENDED)


def test_a_bit_more_than_intended_is_told_and_is_not_far_more() -> None:
    walked = walk(*arms(0.08, rps=500))
    assert told_at(walked) == (3, MORE_THAN_INTENDED)
    told = walked.look(120).traffic
    assert told is not None
    assert not told.is_far_more


@pytest.mark.parametrize("rps", [5, 50, 5000])
@pytest.mark.parametrize("part", [0.045, 0.05, 0.055])
def test_as_intended_nothing_is_told(part: float, rps: float) -> None:
    assert told_at(walk(*arms(part, rps=rps))) is None


@pytest.mark.parametrize(("mine", "theirs"), [(20, 20), (1, 20), (10, 1)])
def test_probes_that_a_server_counts_are_no_contradiction(mine: int, theirs: int) -> None:
    """Each pod is probed or scraped twice in three seconds; users send ten requests a second in all."""
    probes = 0.7
    candidate = [pod(f"fraud-b41c-{n}", probes + 0.5 / mine) for n in range(mine)]
    stable = [pod(f"fraud-7d9f-{n}", probes + 9.5 / theirs) for n in range(theirs)]
    assert told_at(walk(*candidate, *stable)) is None


def test_requests_while_prometheus_was_away_are_no_contradiction() -> None:
    """It had not seen the candidate before, whose counter is thousands of requests old when it is seen at last."""
    candidate = pod("fraud-b41c-x", 2.5, begins=75.0)
    stable = [pod(f"fraud-7d9f-{n}", 12.0) for n in range(4)]
    gone = [replace(one, samples=tuple(s for s in one.samples if not START + 10 < s[0] < START + 75)) for one in stable]
    assert told_at(walk(candidate, *gone)) is None


def test_pods_that_prometheus_finds_late_have_got_no_requests_as_far_as_anybody_knows() -> None:
    half, late = replace(FIVE, weight=50), pod("fraud-b41c-x", 25.0, begins=90.0)
    walked = walk(late, *(pod(f"fraud-7d9f-{n}", 6.25) for n in range(4)), intended=half)
    told = [walked.look(15.0 * look) for look in range(1, 21)]
    assert [reason(one) for one in told] == [None, None, *[FEWER_THAN_INTENDED] * 4, *[None] * 14]
    assert [one.traffic.is_met for one in told if one.traffic and one.traffic.contradiction] == [False] * 4


def test_nothing_is_said_where_no_gateway_is_to_split_requests() -> None:
    assert walk(*arms(0.5), intended=None).look(120).traffic is None


def test_what_was_before_the_exposure_came_into_force_does_not_count() -> None:
    assert walk(*arms(0.5), intended=replace(FIVE, since=START + 300)).look(300).traffic is None


def test_evidence_does_not_depend_on_when_anybody_looked() -> None:
    every, late = walk(*arms(0.06)), walk(*arms(0.06))
    for at in range(15, 301, 15):
        every.look(float(at))
    late.look(40.0, is_saved=False)
    late.look(185.0)
    a, b = every.look(300.0), late.look(300.0)
    assert reason(a) == reason(b)
    assert every.kept["errors"].ticks == late.kept["errors"].ticks
    assert np.allclose(*([one.samples for one in judged.verdicts] for judged in (a, b)))


def test_it_is_taken_back_once_requests_follow_the_weight() -> None:
    mine = pod("fraud-b41c-x", 25.0, ends=120.0)
    last = mine.samples[-1][1]
    later = pod("fraud-b41c-x", 2.5, begins=120.0)
    mended = Series(mine.labels, (*mine.samples, *((at, value - 1000 + last) for at, value in later.samples)))
    walked = walk(mended, *arms(0.05)[1:])
    assert told_at(walked) == (3, MORE_THAN_INTENDED)
    for at in range(60, 331, 15):
        told = walked.look(float(at))
    assert reason(told) is None


def test_pods_that_come_and_go_are_no_contradiction() -> None:
    """Half of stable's pods are not seen for a scrape, and count after their warm-up only."""
    old = [pod(f"fraud-7d9f-old{n}", 118.0, ends=202.0, every=15.0) for n in range(4)]
    new = [pod(f"fraud-7d9f-new{n}", 118.0, begins=196.0, every=15.0) for n in range(4)]
    assert told_at(walk(pod("fraud-b41c-x", 25.0, every=15.0), *old, *new)) is None


def test_a_metric_that_counts_otherwise_does_not_speak_for_all() -> None:
    """Tokens, of which the candidate makes ten times as many: its requests are as intended."""
    wanted = analysis(ERRORS, LATENCY)
    histogram = [
        pod(name, rate, le=le)
        for name, rate in (("fraud-b41c-x", 47.5), ("fraud-7d9f-0", 47.5))
        for le in ("1", "+Inf")
    ]
    tokens = [
        Series({**{k: v for k, v in one.labels.items() if k != "code"}, "__name__": LATENCY_NAME}, one.samples)
        for one in histogram
    ]
    walked = Walk(wanted, always(*tokens, *arms(0.05)), course(wanted), intended=FIVE)
    assert told_at(walked) is None


LATENCY_NAME = "http_request_duration_seconds_bucket"


def test_copies_are_held_against_the_requests_of_users() -> None:
    """As many copies as requests: half of all that are counted."""
    copied = Intended(weight=0, mirror=100, since=START)
    assert told_at(walk(*arms(0.5), intended=copied)) is None
    assert told_at(walk(*arms(0.05), intended=copied), until=45) == (3, FEWER_THAN_INTENDED)
