"""A process that is scraped under several label sets is counted once; two processes of a pod are counted each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from modelrollout.analysis.samples.processes import MOST_SCRAPES, Once, each_process_once
from modelrollout.promql.query import Series

PER_SECOND = {"200": 40.0, "500": 2.0}
A, B = "10.0.0.7:8080", "10.0.0.7:9090"


def scrape(
    *, first: float = 0.0, last: float = 60.0, every: float = 5.0, before: float = 1000.0, pace: float = 1.0, **own: str
) -> tuple[Series, ...]:
    """The counters of one process, whose values depend on the moment only."""
    times = np.arange(first, last + 1e-9, every).tolist()
    return tuple(
        Series(
            {"__name__": "x_total", "pod": "fraud-a", "code": code, **own},
            tuple((at, float(np.floor(before + pace * rate * at))) for at in times),
        )
        for code, rate in PER_SECOND.items()
    )


@pytest.mark.parametrize(
    ("one", "other", "differing"),
    [
        ({"service": "fraud"}, {"service": "fraud-b41c"}, 'service "fraud" and "fraud-b41c"'),
        ({"job": "front", "service": "front"}, {"job": "own", "service": "own"}, 'job "front" and "own"'),
        (
            {"prometheus_replica": "0", "job": "x"},
            {"prometheus_replica": "1", "job": "x"},
            'prometheus_replica "0" and "1"',
        ),
        ({"ha_replica": "0"}, {"ha_replica": "1"}, 'ha_replica "0" and "1"'),
        ({"job": "a", "instance": A}, {"job": "b", "instance": A}, 'job "a" and "b"'),
        ({"instance": A}, {"instance": "[fd00::7]:8080"}, f'instance "{A}" and "[fd00::7]:8080"'),
        ({"job": "a", "container": "server"}, {"job": "b", "app": "fraud", "node": "n1"}, 'job "a" and "b"'),
        ({"job": "a", "instance": A}, {"job": "b", "instance": "fraud-a"}, 'job "a" and "b"'),
    ],
)
def test_the_same_counters_under_other_labels_of_the_scrape_are_one_process(
    one: dict[str, str], other: dict[str, str], differing: str
) -> None:
    kept, again = scrape(**one), scrape(first=2.0, **other)
    assert each_process_once([*kept, *again]) == Once(kept, 1, differing)
    assert each_process_once([*again, *kept]) == Once(kept, 1, differing)


def test_scrapes_at_the_same_moments_are_one_process_if_they_show_the_same() -> None:
    kept = scrape(service="a")
    assert each_process_once([*kept, *scrape(service="b"), *scrape(service="c")]).series == kept


def test_values_at_given_moments_may_differ_by_what_came_between_two_scrapes() -> None:
    kept = scrape(job="a", instance=A, every=60, last=3600)
    late = scrape(job="b", instance=A, every=60, last=3600, before=900.0)
    assert each_process_once([*kept, *late], is_stepped=True).series == kept


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"instance": A}, {"instance": B}),
        ({"job": "a", "instance": A}, {"job": "b", "instance": B}),
        ({"container": "server", "job": "a"}, {"container": "cache", "job": "b"}),
        ({"pod": "fraud-a"}, {"pod": "fraud-b"}),
        ({"model": "a", "job": "a"}, {"model": "b", "job": "b"}),
    ],
)
def test_another_port_container_pod_or_label_of_the_application_is_another_process(
    one: dict[str, str], other: dict[str, str]
) -> None:
    both = (*scrape(**one), *scrape(first=2.0, **other))
    assert each_process_once(both) == Once(both)


@pytest.mark.parametrize("label", ["endpoint", "service", "replica"])
def test_a_label_that_may_be_the_applications_is_its_own_where_the_counters_differ(label: str) -> None:
    both = (*scrape(**{label: "/predict"}), *scrape(pace=0.9, **{label: "/explain"}))
    assert each_process_once(both) == Once(both)


def test_two_series_of_one_scrape_that_nearly_agree_are_two() -> None:
    both = (*scrape(endpoint="/predict"), *scrape(before=1001.0, endpoint="/explain"))
    assert each_process_once(both) == Once(both)


def test_counts_that_cannot_both_be_true_are_in_conflict() -> None:
    both = (*scrape(job="a", instance=A), *scrape(first=2.0, pace=0.7, job="b", instance=A))
    assert each_process_once(both) == Once(both, conflict='pod fraud-a is scraped more than once (job "a" and "b")')


def test_a_pod_that_takes_the_name_of_another_is_another_process() -> None:
    both = (*scrape(last=30.0, instance=A), *scrape(first=40.0, before=0.0, instance="10.0.0.9:8080"))
    assert each_process_once(both) == Once(both)


def restarted(at: float) -> Callable[[tuple[Series, ...]], tuple[Series, ...]]:
    def told(series: tuple[Series, ...]) -> tuple[Series, ...]:
        return tuple(
            Series(one.labels, tuple((t, value if t < at else 20 * (t - at)) for t, value in one.samples))
            for one in series
        )

    return told


@pytest.mark.parametrize("at", [4.0, 31.0, 33.5, 58.5])
def test_a_restart_between_two_scrapes_is_no_disagreement(at: float) -> None:
    kept, again = map(restarted(at), (scrape(job="a", instance=A), scrape(first=2.0, job="b", instance=A)))
    assert each_process_once([*kept, *again]).series == kept


def test_a_scrape_that_began_in_mid_window_gives_way() -> None:
    kept, late = scrape(job="b", instance=A), scrape(first=32.0, job="a", instance=A)
    assert each_process_once([*late, *kept]).series == kept


def test_a_scrape_whose_first_sample_is_the_newest_gives_way() -> None:
    kept, late = scrape(service="b"), scrape(first=61.0, last=61.0, service="a")
    assert each_process_once([*late, *kept]).series == kept


def test_a_series_that_only_one_scrape_has_seen_is_kept() -> None:
    kept, again = scrape(service="a"), scrape(first=2.0, service="b")
    assert each_process_once([kept[0], *again]).series == (kept[0], again[1])


def test_an_edge_that_only_one_scrape_of_a_histogram_knows_goes_with_the_others() -> None:
    def histogram(job: str, first: float, *edges: str) -> tuple[Series, ...]:
        return tuple(scrape(first=first, job=job, le=edge)[0] for edge in edges)

    kept = histogram("a", 0.0, "0.5", "+Inf")
    assert each_process_once([*kept, *histogram("b", 2.0, "0.5", "0.6", "+Inf")]).series == kept


def test_many_values_of_a_label_are_the_applications() -> None:
    many = tuple(one for n in range(MOST_SCRAPES + 1) for one in scrape(endpoint=f"/{n}"))
    assert each_process_once(many) == Once(many)


def test_a_process_without_a_pod_is_told_by_its_instance() -> None:
    one, again = (
        [Series({**s.labels, "pod": "", "instance": A, "job": job}, s.samples) for s in scrape()] for job in "ab"
    )
    assert each_process_once([*one, *again]) == Once(tuple(one), 1, 'job "a" and "b"')


def test_each_of_many_pods_is_taken_as_it_comes() -> None:
    twice = (*scrape(pod="fraud-a", job="a"), *scrape(pod="fraud-a", first=2.0, job="b"))
    once = scrape(pod="fraud-b", job="b")
    assert each_process_once([*twice, *once]).series == (*twice[:2], *once)
