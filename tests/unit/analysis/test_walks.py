"""A rollout looked at again and again: what is found depends on what happened, not on when anybody looked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.look import Prior
from modelrollout.api.status import MetricEvidence, MetricVerdict, Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import (
    ERRORS,
    GAUGE,
    LATENCY,
    START,
    Store,
    Walk,
    always,
    analysis,
    asked_by,
    case,
    course,
    same,
)
from tests.unit.analysis.traffic import Arm, Floats, fresh, offsets, scraped, served

BEGIN, MINUTES = -200, 20
END = 60.0 * MINUTES
SECONDS = int(END) - BEGIN + 30
STEPS = (400.0, 800.0)
METRICS = (
    {**ERRORS, "max": "20%"},
    {**LATENCY, "max": "500ms"},
    GAUGE,
)
EVERY = 15
BUCKETS = (0.05, 0.1, 0.25, 0.5)
SLOWER = np.array([0.5, 0.2, 0.05, 0.004])


def weights() -> Floats:
    """The candidate's part of the traffic at each second: 5, 25, 50 %."""
    at = np.arange(SECONDS) + BEGIN
    return np.where(at < STEPS[0], 0.05, np.where(at < STEPS[1], 0.25, 0.5))


def buckets(arm: Arm, requests: Floats, at: Sequence[int]) -> Iterator[Series]:
    """Histograms of the same requests, as if each took its time by rule."""
    for pod in range(arm.pods):
        seconds = np.arange(at[pod], requests.shape[1], EVERY)
        times = (START + BEGIN + seconds + 1.0).tolist()
        for edge, share in (*zip(map(str, BUCKETS), 1 - SLOWER, strict=True), ("+Inf", 1.0)):
            values = np.floor(requests[pod][seconds] * share).tolist()
            name = f"{arm.workload}-{pod}"
            labels = {"__name__": "http_request_duration_seconds_bucket", "pod": name, "instance": name, "le": edge}
            yield Series(labels, tuple(zip(times, values, strict=True)))


def world(random: np.random.Generator, share: float = 0.02, rps: float = 200.0) -> list[Series]:
    """Both arms' counters of one rollout; the candidate is as stable is."""
    found: list[Series] = []
    for name, pods, part in (("fraud-b41c", 2, weights()), ("fraud-7d9f", 4, 1 - weights())):
        arm = Arm(name, pods, rps * part, np.full(SECONDS, share))
        requests, errors = served(random, arm)
        at = offsets(random, pods, EVERY)
        found += [*scraped(arm, requests, errors, BEGIN, EVERY, at), *buckets(arm, requests, at)]
    return found


def readings(random: np.random.Generator, spread: float = 0.01) -> dict[str, list[Series]]:
    ends = (START + 15.0 * np.arange(1, 4 * MINUTES + 1)).tolist()
    values = {arm: 0.1 + spread * random.standard_normal(len(ends)) for arm in ("candidate", "stable")}
    return {arm: [Series({}, tuple(zip(ends, told.tolist(), strict=True)))] for arm, told in values.items()}


def walk(store: Store, values: dict[str, list[Series]], usual: Prior | None = None) -> Walk:
    wished = analysis(*METRICS)
    return Walk(wished, store, course(wished, *STEPS, later_steps=2, planned=END), usual, values)


def through(one: Walk, ends: Sequence[float], saved: Sequence[bool]) -> tuple[MetricEvidence, ...]:
    """All looks, of which some are forgotten again, as by a restart; and a last one at the end.

    A step that has not begun when a look ends is not known to it.
    """
    whole = one.course
    for end, is_saved in zip(ends, saved, strict=True):
        one.course = course(one.analysis, *(step for step in STEPS if step <= end), later_steps=2, planned=END)
        one.look(end, is_saved=is_saved)
    one.course = whole
    return one.look(END).checkpoint


NOISES = [None, Prior(mode=Mode.DISPERSED, dispersion=2.0), Prior(mode=Mode.STRICT, dispersion=2.0)]


@pytest.mark.parametrize("usual", NOISES, ids=["assumed", "dispersed", "strict"])
def test_restarts_and_passes_at_any_time_leave_the_same_evidence(usual: Prior | None) -> None:
    _, random = fresh()
    store, values = always(*world(random)), readings(random)
    once = through(walk(store, values, usual), [], [])
    every = [15.0 * n for n in range(1, 4 * MINUTES)]
    often = through(walk(store, values, usual), every, [True] * len(every))
    forgotten = set(random.choice(len(every), 20, replace=False).tolist())
    restarted = through(walk(store, values, usual), every, [at not in forgotten for at in range(len(every))])
    moments = np.sort(random.uniform(1, END, 60)).tolist()
    odd = through(walk(store, values, usual), moments, (random.uniform(size=60) < 0.5).tolist())
    for found in (often, restarted, odd):
        assert all(same(one, other) for one, other in zip(found, once, strict=True))


def test_samples_told_twice_or_in_another_order_change_nothing() -> None:
    _, random = fresh()
    series, values = world(random), readings(random)
    expected = through(walk(always(*series), values), [], [])

    def told(now: float) -> list[Series]:
        found = [Series(one.labels, one.samples + one.samples[5:9]) for one in series]
        return [found[at] for at in random.permutation(len(found))] + found[:3]

    def batches(now: float) -> list[Series]:
        """Each series in pieces, as several pages or a re-list would bring it."""
        return [Series(one.labels, part) for one in series for part in (one.samples[:40], one.samples[35:])]

    every = [15.0 * n for n in range(1, 4 * MINUTES)]
    for store in (told, batches):
        # Prometheus gives samples in order; what is cut here is cut from whole answers.
        one = walk(lambda now, store=store: [in_order(series) for series in store(now)], values)  # type: ignore[misc]
        found = through(one, every, [True] * len(every))
        assert all(same(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


def in_order(series: Series) -> Series:
    return Series(series.labels, tuple(sorted(series.samples)))


def test_samples_on_their_way_for_less_than_a_minute_are_not_lost() -> None:
    _, random = fresh()
    series, values = world(random), readings(random)
    delays = random.uniform(0, 45, len(series))

    def late(now: float) -> list[Series]:
        return [
            Series(
                one.labels, tuple(sample for sample in one.samples if sample[0] + delay <= now or now >= START + END)
            )
            for one, delay in zip(series, delays.tolist(), strict=True)
        ]

    every = [15.0 * n for n in range(1, 4 * MINUTES)]
    expected = through(walk(always(*series), values), [], [])
    found = through(walk(late, values), every, [True] * len(every))
    assert all(same(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


def totals(one: Walk) -> MetricVerdict:
    """All of it anew: a look that is kept would be all that the next one tells."""
    return one.look(END, is_saved=False).verdicts[0]


def counters(random: np.random.Generator, share: float = 0.02) -> tuple[Walk, list[Series]]:
    """One step only, so that what is shown is all that was counted."""
    wished = analysis(ERRORS)
    series = [one for one in world(random, share) if "le" not in one.labels]
    return Walk(wished, always(*series), course(wished)), series


def moments_of(series: Sequence[Series], seconds: Floats) -> dict[str, float]:
    """A moment for each pod."""
    pods = sorted({one.labels["pod"] for one in series})
    return {pod: START + at for pod, at in zip(pods, seconds.tolist(), strict=True)}


def test_missed_scrapes_lose_no_request() -> None:
    _, random = fresh()
    one, series = counters(random)
    whole = totals(one)

    def gappy(series: Series) -> Series:
        # Not those around the first tick, which say what came before it, nor the last, which say how far all is known.
        kept = random.uniform(size=len(series.samples)) < 0.7
        return Series(
            series.labels,
            tuple(
                sample for at, sample in enumerate(series.samples) if kept[at] or not 16 < at < len(series.samples) - 9
            ),
        )

    one.store = always(*map(gappy, series))
    found = totals(one)
    assert found.samples == pytest.approx(whole.samples, abs=3)
    assert found.stable_samples == pytest.approx(whole.stable_samples, abs=3)
    assert found.verdict is not Verdict.FAIL


def test_restarts_of_pods_lose_no_request_that_was_scraped() -> None:
    _, random = fresh()
    one, series = counters(random)
    whole = totals(one)
    reset_at = moments_of(series, random.uniform(60, END - 60, 6))

    def restarted(series: Series) -> Series:
        """It counts from 0 again after a scrape: nothing in between was counted unseen."""
        last = max((value for at, value in series.samples if at <= reset_at[series.labels["pod"]]), default=0.0)
        return Series(
            series.labels,
            tuple((at, value - last if at > reset_at[series.labels["pod"]] else value) for at, value in series.samples),
        )

    one.store = always(*map(restarted, series))
    found = totals(one)
    assert (found.samples, found.stable_samples) == (whole.samples, whole.stable_samples)
    assert found.difference == whole.difference


def test_the_first_errors_of_a_pod_count_when_their_series_only_appears_with_them() -> None:
    _, random = fresh()
    one, series = counters(random, share=0.0005)
    whole = totals(one)

    def lazy(series: Series) -> Series:
        """As client libraries do: no series of errors before the first error, which then counts from 0."""
        if series.labels["code"] != "500":
            return series
        first = series.samples[0][1]
        return Series(series.labels, tuple((at, value - first) for at, value in series.samples if value > first))

    one.store = always(*map(lazy, series))
    found = totals(one)
    assert (found.candidate, found.stable, found.samples) == (whole.candidate, whole.stable, whole.samples)


def test_pods_that_come_and_go_break_nothing() -> None:
    _, random = fresh()
    one, series = counters(random)
    whole = totals(one)
    moments = moments_of(series, random.uniform(300, END - 300, 6))

    def replaced(series: Series) -> Iterator[Series]:
        """The pod is gone at some moment, and another one goes on."""
        moment, labels = moments[series.labels["pod"]], dict(series.labels)
        yield Series(labels, tuple(sample for sample in series.samples if sample[0] <= moment))
        other = {**labels, "pod": f"{labels['pod']}x", "instance": f"{labels['pod']}x"}
        at_start = max(value for at, value in series.samples if at <= moment)
        yield Series(other, tuple((at, value - at_start) for at, value in series.samples if at > moment))

    one.store = always(*(part for each in series for part in replaced(each)))
    found = totals(one)
    # What a new pod did while it warmed up does not count, nor what nobody saw of it: less than two minutes of each.
    assert (END - 120) / END * whole.samples < found.samples <= whole.samples
    assert found.verdict is not Verdict.FAIL


@pytest.mark.parametrize("silent", ["fraud-b41c", "fraud-7d9f"])
@pytest.mark.parametrize("metric", METRICS, ids=["ratio", "histogram", "value"])
def test_nothing_passes_while_an_arm_is_silent(metric: dict[str, object], silent: str) -> None:
    _, random = fresh()
    # So calm that whatever the world, forty readings show that nothing is worse.
    series, values, moment = world(random), readings(random, spread=0.001), START + 600.0

    def until(one: Series) -> Series:
        return Series(one.labels, tuple(sample for sample in one.samples if sample[0] <= moment))

    quiet = [until(one) if one.labels["pod"].startswith(silent) else one for one in series]
    arm = "candidate" if silent == "fraud-b41c" else "stable"
    values = {**values, arm: [until(one) for one in values[arm]]}
    wished = analysis({**metric, "minSamples": 1})
    one = Walk(wished, always(*quiet), course(wished), values=values)
    told = {end: one.look(end).verdicts[0] for end in (15.0 * n for n in range(1, 4 * MINUTES))}
    assert told[600].verdict is Verdict.PASS
    later = [verdict for end, verdict in told.items() if end > 600 + 60 + 25]
    assert {verdict.verdict for verdict in later} == {Verdict.NO_DATA}
    who = "the candidate" if arm == "candidate" else "stable"
    assert f"nothing was heard of {who} for" in told[720].message or f"for {who}" in told[720].message


def test_prometheus_that_was_away_for_a_while_delays_the_same_evidence() -> None:
    _, random = fresh()
    store, values = always(*world(random)), readings(random)
    once = through(walk(store, values), [], [])
    before, after = [15.0 * n for n in range(1, 20)], [15.0 * n for n in range(55, 4 * MINUTES)]
    gap = through(walk(store, values), before + after, [True] * (len(before) + len(after)))
    assert all(same(mine, theirs) for mine, theirs in zip(gap, once, strict=True))


def hours(rate: Mapping[str, float], *, share: float = 0.01, until: float = math.inf) -> list[Series]:
    """Counters of each workload over three hours: such a share of the requests are errors; none come after `until`."""
    times = np.arange(BEGIN, 3 * 3600, 15.0)
    found = []
    for workload, rps in rate.items():
        requests = rps * np.minimum(times - BEGIN, until - BEGIN)
        for code, part in (("200", 1 - share), ("500", share)):
            labels = {"__name__": "http_requests_total", "pod": f"{workload}-x", "code": code}
            values = np.floor(1000 + requests * part).tolist()
            found.append(Series(labels, tuple(zip((START + times).tolist(), values, strict=True))))
    return found


def test_a_step_that_began_in_a_long_outage_does_not_end_by_what_was_seen_before_it() -> None:
    wished = analysis(ERRORS)
    series = hours({"fraud-b41c": 50, "fraud-7d9f": 500}, until=300)
    one = Walk(wished, always(*series), course(wished))
    told = [one.look(15.0 * n).verdicts[0] for n in range(1, 21)][-1]
    assert (told.verdict, told.ruled_out) == (Verdict.PASS, "100%")
    one.course = course(wished, 310)
    later = one.look(310 + 2 * 3600).verdicts[0]
    assert (later.verdict, later.samples, later.ruled_out) == (Verdict.INCONCLUSIVE, 0, "0%")


def test_a_metric_that_comes_in_mid_rollout_is_read_for_an_hour_and_finds_what_is_there() -> None:
    wished = analysis(ERRORS)
    series = [*hours({"fraud-b41c": 50}, share=0.03), *hours({"fraud-7d9f": 500})]
    one = Walk(wished, always(*series), course(wished))
    end = 2.5 * 3600
    asked = asked_by(case(wished, one.course, end))
    assert min(query.start.timestamp() for query in asked) >= START + end - 3600 - 150
    found = one.look(end)
    assert found.verdicts[0].verdict is Verdict.FAIL
    wealth = ledger.read(found.checkpoint[0].state)["tolerance.harm"]
    assert wealth[-1] < 0.3  # nearly all is put on


def test_a_gap_in_stables_readings_takes_nothing_from_what_was_known_before() -> None:
    _, random = fresh()
    values = readings(random, spread=0.005)
    gone = range(600, 900)

    def without(one: Series) -> Series:
        return Series(one.labels, tuple(sample for sample in one.samples if int(sample[0] - START) not in gone))

    values["stable"] = [without(one) for one in values["stable"]]
    wished = analysis(GAUGE)
    at_once = Walk(wished, always(), course(wished), values=values)
    step_by_step = Walk(wished, always(), course(wished), values=values)
    for end in (15.0 * n for n in range(1, 4 * MINUTES)):
        step_by_step.look(end)
    expected, found = (one.look(END) for one in (at_once, step_by_step))
    mine, theirs = (ledger.read(one.checkpoint[0].state) for one in (found, expected))
    assert all(np.allclose(mine[name], theirs[name]) for name in theirs if name.startswith("tolerance."))
    assert found.verdicts[0].stable is not None
    assert float(found.verdicts[0].stable) == pytest.approx(0.1, abs=0.005)
