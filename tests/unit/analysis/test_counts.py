"""How much counters grew."""

from __future__ import annotations

import math

from modelrollout.analysis.counts import Span, clean, first_scrapes, growth, same_scrapes, shared, span, target_of
from modelrollout.analysis.queries import Series
from tests.unit.analysis.looking import START, counter

NAN, INF = math.nan, math.inf


def total(*series: Series, others: tuple[Series, ...] = ()) -> float:
    """What these series grew by; `others` are another part of the same metric."""
    samples = clean(series)
    first = first_scrapes(samples, clean(others))
    return sum(growth(one, first).between(-INF, INF) for one in samples)


def test_the_first_sample_is_the_baseline() -> None:
    assert total(counter([1000, 1003, 1010])) == 10


def test_one_sample_alone_counts_nothing() -> None:
    assert total(counter([1000])) == 0


def test_after_a_reset_the_new_value_is_the_increment() -> None:
    assert total(counter([1000, 1003, 4, 10])) == 3 + 4 + 6


def test_the_increment_across_a_scrape_gap_counts() -> None:
    gap = Series({"pod": "a"}, ((START, 10.0), (START + 5, 12.0), (START + 300, 50.0)))
    assert total(gap) == 40


def test_a_series_that_vanished_keeps_what_was_seen() -> None:
    assert total(counter([0, 5, 9], pod="gone"), counter([0, 1, 2, 3, 4, 5], pod="stays")) == 9 + 5


def test_a_pod_that_appears_inside_the_window_starts_from_its_first_sample() -> None:
    assert total(counter([0, 5, 9], pod="old"), counter([700, 710], pod="new", since=10)) == 9 + 10


def test_a_series_that_appears_later_than_its_pod_started_from_zero() -> None:
    ok = counter([100, 110, 120], code="200")
    first_errors = counter([3, 4], code="500", since=10)
    assert total(first_errors, others=(ok,)) == 4
    assert total(first_errors, others=(counter([100, 110, 120], code="200", pod="another"),)) == 1


def test_a_series_that_is_stored_with_a_time_of_its_own_is_not_taken_for_a_new_one() -> None:
    ok, errors = counter([100, 110, 120], code="200"), counter([900, 901, 902], code="500", since=6.9)
    assert total(errors, others=(ok,)) == 2
    once = counter([900], code="500", since=10)
    assert total(once, others=(counter([100], code="200"),)) == 0


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
    assert total(counter([NAN, 10, INF, 12, -5, 15, -INF, 1e300, 16, NAN])) == 6
    assert clean([counter([NAN, INF, -1])]) == []


def test_nothing_depends_on_the_order_of_series_or_samples() -> None:
    one, two = counter([5, 9, 2, 7], pod="a"), counter([1, 2, 3], pod="b")
    turned = Series(one.labels, one.samples[::-1])
    assert total(one, two) == total(two, turned) == 4 + 2 + 5 + 2


def test_a_sample_that_is_told_twice_counts_once() -> None:
    one = counter([5, 9, 12])
    assert total(one, one, Series(one.labels, one.samples + one.samples)) == 7


def test_fractions_add_up_alike_in_any_order() -> None:
    many = [counter([0, 0.1 * n, 0.7 * n], pod=str(n)) for n in range(50)]
    assert total(*many) == total(*reversed(many))


def test_a_scrape_that_only_the_second_question_saw_is_left_out() -> None:
    bad, all_ = clean([counter([10, 20])]), clean([counter([100, 200, 300])])
    cut, cut_all = same_scrapes(bad, all_)
    assert [cut[0].values.tolist(), cut_all[0].values.tolist()] == [[10, 20], [100, 200]]
    cut_all, cut = same_scrapes(all_, bad)
    assert [cut[0].values.tolist(), cut_all[0].values.tolist()] == [[10, 20], [100, 200]]


def test_a_part_that_fell_silent_long_ago_ends_nothing() -> None:
    bad, all_ = clean([counter([10, 20])]), clean([counter([100, 200, 3, 9])])
    assert [one.values.tolist() for part in same_scrapes(bad, all_) for one in part] == [[10, 20], [100, 200, 3, 9]]


def test_arms_are_compared_while_both_were_seen() -> None:
    one, other = span(clean([counter(range(100))])), span(clean([counter(range(10), since=203)]))
    assert one == Span(START + 5, START + 500, 5)
    assert other == Span(START + 203, START + 248, 5)
    assert shared(one, other) == (START + 203, START + 253)
    assert span([]) is None


def test_the_shared_time_keeps_every_scrape_of_arms_that_are_scraped_in_turns() -> None:
    one, other = clean([counter([0, 1, 2, 3])]), clean([counter([0, 1, 2, 3], since=9.5)])
    reach = span(one), span(other)
    assert reach[0] is not None
    assert reach[1] is not None
    start, end = shared(*reach)
    assert [growth(arm[0], {}).between(start, end) for arm in (one, other)] == [3, 3]
