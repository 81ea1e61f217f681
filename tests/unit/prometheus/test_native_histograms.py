"""Native histograms on edges of our choice: exact where they are kept, and the same in every answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.prometheus.native import MAX_EDGES, as_classic, native
from modelrollout.promql.query import Series

Buckets = Mapping[tuple[float, float], float]


def observed(values: Sequence[float], schema: int, *, zero: float = 0.001) -> dict[str, object]:
    """The histogram of these observations, in the API's form, made by the definition of its buckets."""
    growth = 2.0 ** (2.0**-schema)
    counts: dict[tuple[int, str, str], int] = {}
    for value in values:
        if math.isnan(value):
            continue
        if abs(value) <= zero:
            key = (3, repr(-zero), repr(zero))
        else:
            step = math.ceil(round(math.log(abs(value), growth), 9))
            low, high = growth ** (step - 1), growth**step
            key = (0, repr(low), repr(high)) if value > 0 else (1, repr(-high), repr(-low))
        counts[key] = counts.get(key, 0) + 1
    rows = sorted(counts.items(), key=lambda row: float(row[0][1]))
    return {"count": str(len(values)), "sum": "0", "buckets": [[*key, str(count)] for key, count in rows]}


def classic(*series: Sequence[dict[str, object]], most: int = MAX_EDGES) -> list[dict[float, list[float]]]:
    """For each series, given as its samples, how many were at most each edge."""
    found = as_classic([native({"pod": str(i)}, list(enumerate(samples))) for i, samples in enumerate(series)], most)
    return [
        {float(one.labels["le"]): [value for _, value in one.samples] for one in found if one.labels["pod"] == str(i)}
        for i in range(len(series))
    ]


def test_what_was_at_most_an_edge_is_counted_there() -> None:
    (buckets,) = classic([observed([-3, 0, 0.0001, 1.5, 1.5, 3, 1000], schema=0)])
    assert {edge: counts[0] for edge, counts in buckets.items() if edge in (-4, -2, 0.001, 1, 2, 4, 512, math.inf)} == {
        -4: 0,
        -2: 1,
        0.001: 3,
        1: 3,
        2: 5,
        4: 6,
        512: 6,
        math.inf: 7,
    }


def test_edges_are_those_of_the_resolution_also_where_nothing_was_observed() -> None:
    (buckets,) = classic([observed([1.05, 1.9], schema=3)])
    inside = [edge for edge in buckets if 1 <= edge <= 2]
    assert inside == pytest.approx([2 ** (step / 8) for step in range(9)], rel=1e-11)


def test_two_answers_have_the_same_edges_where_they_overlap_and_powers_of_two_beyond() -> None:
    (fast,), (slow,) = classic([observed([0.01, 0.3], schema=3)]), classic([observed([0.1, 9.0], schema=3)])
    common = set(fast) & set(slow)
    assert {round(math.log2(edge) * 8) for edge in common if 0.12 < edge < 0.3} == set(range(-24, -13))
    assert {1.0, 2.0, 4.0, 8.0, 16.0} <= common
    assert [slow[edge] for edge in (8.0, 16.0)] == [[1.0], [2.0]]
    assert [fast[edge] for edge in (8.0, 16.0)] == [[2.0], [2.0]]


def test_the_same_edge_computed_by_another_is_the_same_edge() -> None:
    growth = 2 ** (1 / 8)
    by_steps = [growth**step for step in range(1, 9)]
    rows = [
        [0, repr(low), repr(math.nextafter(high, 9)), "1"]
        for low, high in zip([1.0, *by_steps], by_steps, strict=False)
    ]
    theirs = {"count": "8", "sum": "1", "buckets": rows}
    (one,), (other,) = classic([theirs]), classic([observed([1.01, 1.99], schema=3)])
    assert set(one) == set(other)


def test_after_the_resolution_was_reduced_only_the_coarser_edges_are_left() -> None:
    values = [1.05, 1.2, 1.5, 1.9]
    (buckets,) = classic([observed(values, schema=3), observed([*values, 3.0], schema=1)])
    assert [edge for edge in buckets if 1 <= edge <= 2] == pytest.approx([1, math.sqrt(2), 2])
    assert buckets[2.0] == [4.0, 4.0]
    assert buckets[4.0] == [4.0, 5.0]


def test_a_zero_bucket_that_grew_takes_the_edges_inside_it() -> None:
    values = [0.0, 0.2, 0.4, 3.0]
    (buckets,) = classic([observed(values, schema=0), observed(values, schema=0, zero=0.5)])
    assert 0.25 not in buckets
    assert buckets[0.5] == [3.0, 3.0]


def test_a_coarse_pod_does_not_blur_where_the_others_saw_nothing() -> None:
    fine, coarse = classic([observed([1.1, 1.2], schema=1)], [observed([9.0], schema=-1)])
    assert {2.0, 4.0, 16.0} <= set(fine) & set(coarse)
    assert 8.0 in fine
    assert 8.0 not in coarse  # its one observation is in (4, 16]


def test_custom_edges_are_kept_as_they_are() -> None:
    rows = [[0, "-Inf", "0.005", "3"], [0, "0.1", "0.25", "2"], [0, "10", "+Inf", "1"]]
    (buckets,) = classic([{"count": "6", "sum": "1", "buckets": rows}])
    assert buckets == {0.005: [3.0], 0.1: [3.0], 0.25: [5.0], 10.0: [5.0], math.inf: [6.0]}


def test_nothing_observed_is_nothing_at_most_infinity() -> None:
    assert classic([{"count": "0", "sum": "0"}]) == [{math.inf: [0.0]}]


def test_what_is_no_number_is_counted_in_no_bucket_but_counted() -> None:
    (buckets,) = classic([observed([math.nan, 1.5], schema=0)])
    assert (buckets[1024.0], buckets[math.inf]) == ([1.0], [2.0])


def test_a_wide_histogram_is_shown_at_a_lower_resolution() -> None:
    values = [1.02**step * 1e-6 for step in range(1, 1_000)]
    (buckets,) = classic([observed(values, schema=5)])
    assert len(buckets) <= MAX_EDGES + 1
    (few,) = classic([observed(values, schema=5)], most=12)
    assert len(few) <= 13
    assert few[math.inf] == [999.0]


def test_the_ends_of_what_a_double_holds_do_no_harm() -> None:
    tiny, huge = repr(5e-324), repr(1.7976931348623157e308)
    rows = [[1, "-Inf", "-" + huge, "1"], [0, tiny, "1e-323", "1"], [0, "1", "2", "1"], [0, huge, "+Inf", "1"]]
    (buckets,) = classic([{"count": "4", "sum": "1", "buckets": rows}])
    assert len(buckets) <= MAX_EDGES + 1
    assert buckets[2.0] == [3.0]
    assert buckets[math.inf] == [4.0]


observations = st.one_of(st.floats(1e-4, 1e4), st.floats(-1e3, 1e3), st.sampled_from([0.0, 0.25, 1.0, 2.0, -1.0]))
lives = st.lists(st.tuples(st.lists(observations, max_size=20), st.integers(-2, 6)), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(lives, min_size=1, max_size=3), st.integers(0, 40))
def test_every_count_is_exact_and_every_histogram_cumulative(
    pods: list[list[tuple[list[float], int]]], most: int
) -> None:
    everything: list[list[list[float]]] = []
    shown = []
    for life in pods:
        seen: list[float] = []
        everything.append([])
        shown.append([])
        for values, schema in life:
            seen = [*seen, *values]
            everything[-1].append(seen)
            shown[-1].append(observed(seen, schema))
    for samples, buckets in zip(everything, classic(*shown, most=most), strict=True):
        assert len(buckets) <= most + 1
        assert list(buckets) == sorted(buckets)
        for edge, counts in buckets.items():
            for seen, count in zip(samples, counts, strict=True):
                # An observation on the very edge is on either side of it when it is negative.
                assert sum(value < edge * (1 - math.copysign(1e-9, edge)) for value in seen) <= count
                assert count <= sum(value <= edge + abs(edge) * 1e-9 or edge == math.inf for value in seen)


def test_labels_are_kept_and_a_bucket_edge_is_added() -> None:
    (only,) = as_classic([native({"__name__": "x", "pod": "a"}, [(1.5, {"count": "0", "sum": "0"})])])
    assert only == Series({"__name__": "x", "pod": "a", "le": "+Inf"}, ((1.5, 0.0),))
