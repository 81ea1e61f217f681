"""How much counters grew."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelrollout.analysis.samples.counters import (
    SampleWindow,
    Scrapes,
    by_target,
    clean,
    scrapes_of,
    target_of,
    total_growth,
)
from modelrollout.promql.query import Series
from tests.unit.analysis.looking import KNOWN, START, counter

NAN, INF = math.nan, math.inf
LONG = SampleWindow(since=START - 150, look_back=600, warm_up=0)


def per_tick(
    *series: Series, others: tuple[Series, ...] = (), reading: SampleWindow = LONG, edges: tuple[float, ...] = (0, 1e6)
) -> list[float]:
    """What these series grew by between edges (seconds after noon); `others` are another part of the same metric."""
    samples = clean(series)
    arm = scrapes_of((samples, clean(others)), reading)
    assert arm is not None
    return [round(float(one), 9) for one in total_growth(samples, START + np.array(edges), arm, reading)]


def total(*series: Series, others: tuple[Series, ...] = (), reading: SampleWindow = LONG) -> float:
    return per_tick(*series, others=others, reading=reading, edges=(-1e6, 1e6))[0]


def new(values: list[float], **labels: str | float) -> Series:
    """A counter nobody saw before."""
    return counter(values, is_new=True, **labels)  # type: ignore[arg-type]


def test_the_first_sample_is_the_baseline() -> None:
    assert total(new([1000, 1003, 1010])) == 10


def test_one_sample_alone_counts_nothing() -> None:
    assert total(new([1000])) == 0


def test_after_a_reset_the_new_value_is_the_increment() -> None:
    assert total(new([1000, 1003, 4, 10])) == 3 + 4 + 6


def test_the_increment_across_a_scrape_gap_counts() -> None:
    gap = Series({"pod": "a"}, ((START, 10.0), (START + 5, 12.0), (START + 300, 50.0)))
    assert total(gap) == 40


def test_a_series_that_vanished_keeps_what_was_seen() -> None:
    assert total(new([0, 5, 9], pod="gone"), new([0, 1, 2, 3, 4, 5], pod="stays")) == 9 + 5


def test_a_pod_that_appears_inside_the_window_starts_from_its_first_sample() -> None:
    assert total(new([0, 5, 9], pod="old"), new([700, 710], pod="new", since=10)) == 9 + 10


def test_a_series_that_appears_later_than_its_pod_started_from_zero() -> None:
    ok = new([100, 110, 120], code="200")
    first_errors = new([3, 4], code="500", since=10)
    assert total(first_errors, others=(ok,)) == 4
    assert total(first_errors, others=(new([100, 110, 120], code="200", pod="another"),)) == 1


def test_a_series_that_is_stored_with_a_time_of_its_own_is_not_taken_for_a_new_one() -> None:
    ok, errors = new([100, 110, 120, 130], code="200"), new([900, 901, 902], code="500", since=6.9)
    assert total(errors, others=(ok,)) == 2
    once = new([900], code="500", since=10)
    assert total(once, others=(new([100], code="200"),)) == 0


def test_a_series_without_any_label_of_its_process_starts_from_its_first_sample() -> None:
    known = Series({"code": "200"}, ((START, 1.0), (START + 5, 2.0)))
    later = Series({"code": "500"}, ((START + 5, 900.0), (START + 10, 901.0)))
    assert total(later, others=(known,)) == 1


def test_a_process_is_told_by_every_label_that_names_it() -> None:
    labels = {
        "job": "pods",
        "instance": "10.0.0.1:80",
        "k8s_pod_name": "a",
        "namespace": "ml",
        "code": "200",
        "le": "1",
    }
    assert target_of(labels) == (
        ("instance", "10.0.0.1:80"),
        ("job", "pods"),
        ("k8s_pod_name", "a"),
        ("namespace", "ml"),
    )
    assert target_of({"job": "pods", "code": "200"}) is None


def test_what_no_counter_can_show_is_no_sample() -> None:
    assert total(new([NAN, 10, INF, 12, -5, 15, -INF, 1e300, 16, NAN])) == 6
    assert clean([new([NAN, INF, -1])]) == []


def test_nothing_depends_on_the_order_of_series_or_samples() -> None:
    one, two = new([5, 9, 2, 7], pod="a"), new([1, 2, 3], pod="b")
    turned = Series(one.labels, one.samples[::-1])
    assert total(one, two) == total(two, turned) == 4 + 2 + 5 + 2


def test_a_sample_that_is_told_twice_counts_once() -> None:
    one = new([5, 9, 12])
    assert total(one, one, Series(one.labels, one.samples + one.samples)) == 7


def test_fractions_add_up_alike_in_any_order() -> None:
    many = [new([0, 0.1 * n, 0.7 * n], pod=str(n)) for n in range(50)]
    assert total(*many) == total(*reversed(many))


def test_an_increment_is_spread_over_the_time_between_its_two_samples() -> None:
    one = Series({"pod": "a"}, ((START - 100, 0.0), (START - 5, 0.0), (START + 10, 30.0), (START + 25, 30.0)))
    assert per_tick(one, edges=(0, 5, 10, 15)) == [10, 10, 0]
    assert per_tick(one, edges=(-5, 10)) == [30]


def test_ticks_take_all_there_is_wherever_their_edges_lie() -> None:
    one = counter([0, 7, 19, 20, 44, 45], since=3)
    assert sum(per_tick(one, edges=tuple(np.linspace(0, 28, 9)))) == pytest.approx(45)


def test_nothing_of_a_pod_counts_while_it_is_warming_up() -> None:
    old = counter([10 * n for n in range(1, 13)], pod="old")
    young = new([10 * n for n in range(1, 13)], pod="new")
    reading = SampleWindow(since=START - 150, look_back=600, warm_up=30)
    assert total(old, reading=reading) == 110
    assert (
        total(old, young, reading=reading) == 110 + 50
    )  # its first half minute, from its first scrape on, is left out


def test_whoever_was_there_when_the_reading_began_is_not_new() -> None:
    reading = SampleWindow(since=START + KNOWN - 5, look_back=600, warm_up=30)
    assert total(counter([0, 10, 20]), reading=reading) == 20


def test_a_gap_longer_than_the_look_back_tells_nothing_of_when_it_grew() -> None:
    one = Series({"pod": "a"}, ((START, 10.0), (START + 5, 12.0), (START + 300, 50.0), (START + 305, 51.0)))
    assert total(one, reading=SampleWindow(START - 5, look_back=120, warm_up=0)) == 2 + 1


def test_pods_are_known_up_to_the_earliest_last_scrape_of_those_that_still_answer() -> None:
    def arm(*series: Series) -> Scrapes:
        found = scrapes_of((clean(series),), LONG)
        assert found is not None
        return found

    one, other = counter(range(20), pod="a", since=5), counter(range(20), pod="b", since=7)
    assert (arm(one, other).frontier, arm(one, other).newest, arm(one).spacing) == (START + 100, START + 102, 5)
    gone = counter(range(5), pod="c", since=5)
    assert arm(one, other, gone).frontier == START + 100


def test_both_parts_of_a_metric_are_known_only_as_far_as_the_older_one() -> None:
    errors, requests = clean([counter([10, 20])]), clean([counter([100, 200, 300])])
    arm = scrapes_of((errors, requests), LONG)
    assert arm is not None
    assert arm.frontier == START + 10


def test_nobody_can_say_anything_of_an_arm_without_samples() -> None:
    assert scrapes_of(((), ()), LONG) is None


def test_growth_is_told_of_each_process_by_itself() -> None:
    series = clean([counter([0, 5], pod="a"), counter([0, 2], pod="a", code="500"), counter([0, 9], pod="b")])
    arm = scrapes_of((series,), LONG)
    assert arm is not None
    found = by_target(series, START + np.array([0.0, 60.0]), arm, LONG)
    assert {dict(target)["pod"]: grown.tolist() for target, grown in found.items()} == {"a": [7], "b": [9]}


def scrapes(*series: Series) -> Scrapes:
    found = scrapes_of((clean(series),), LONG)
    assert found is not None
    return found


def test_a_series_that_is_behind_the_others_of_its_process_holds_the_frontier() -> None:
    errors, ok = counter([1, 2, 3, 4], pod="a", code="500"), counter([10, 20, 30], pod="a", code="200")
    assert scrapes(errors, ok, counter([10, 20, 30, 40], pod="b")).frontier == START + 15


def test_all_series_of_a_process_count_up_to_the_same_scrape() -> None:
    """However far one is behind: the others of its process wait, and other processes do not."""
    ok = counter([10 * n for n in range(1, 4)], pod="a", code="200")
    errors, other = (counter(range(1, 13), pod=pod, code="500") for pod in "ab")
    assert scrapes(ok, errors, other).frontier == START + 60
    assert total(errors, others=(ok,)) == 2
    assert total(other, others=(ok, errors)) == 11


def test_a_series_that_has_been_silent_for_two_minutes_holds_nobody_back() -> None:
    ok, errors = counter(range(30), pod="a", code="200"), counter([1, 2, 3], pod="a", code="500")
    assert scrapes(ok, errors).frontier == START + 150


def test_nor_does_one_that_ended_when_its_process_began_anew() -> None:
    ok, errors = counter([900, 910, 3, 13], pod="a", code="200"), counter([1, 2], pod="a", code="500")
    assert scrapes(ok, errors).frontier == START + 20


def after_a_restart(errors: list[tuple[int, float]]) -> float:
    """What errors grow by in a process that served 900 requests and begins anew after the third scrape."""
    ok = new([900, 910, 920, 8, 18, 28, 38], code="200")
    told = Series({"pod": "fraud-x", "code": "500"}, tuple((START + 5 + 5 * at, value) for at, value in errors))
    return total(told, others=(ok,), reading=SampleWindow(START, look_back=12, warm_up=0))


def test_the_first_error_after_a_restart_counts_though_there_was_one_before() -> None:
    assert after_a_restart([(0, 1), (1, 1), (2, 1), (5, 1), (6, 1)]) == 1
    assert after_a_restart([(0, 1), (1, 1), (2, 1), (3, 1), (4, 2)]) == 2
    assert after_a_restart([(0, 3), (1, 3), (2, 3), (6, 2)]) == 2


def test_errors_after_a_restart_count_since_the_scrape_that_found_none() -> None:
    ok = new([900, 910, 920, 8, 18, 28, 38], code="200")
    errors = Series({"pod": "fraud-x", "code": "500"}, ((START + 5, 1.0), (START + 30, 4.0)))
    assert per_tick(errors, others=(ok,), edges=(0, 25, 30, 35)) == [0, 4, 0]


def test_one_counter_that_falls_alone_does_not_make_the_others_begin_anew() -> None:
    """Such as those of one worker among several that share their labels but one."""
    fallen, other = new([900, 910, 3, 13], worker="1"), new([800, 810, 820, 830], worker="2")
    assert total(other, fallen) == 30 + 10 + 3 + 10
