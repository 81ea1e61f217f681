"""A histogram that was scraped as a native and as a classic one is counted once."""

from modelrollout.analysis.samples.histogram_forms import in_one_form
from modelrollout.promql.query import Series


def native(pod: str, *times: float) -> list[Series]:
    return [bucket("x", pod, le, *times) for le in ("1.0", "1.09", "+Inf")]


def classic(pod: str, *times: float) -> list[Series]:
    return [bucket("x_bucket", pod, le, *times) for le in ("1", "+Inf")]


def bucket(name: str, pod: str, le: str, *times: float) -> Series:
    return Series({"__name__": name, "pod": pod, "le": le}, tuple((at, at) for at in times or (1.0, 2.0)))


def test_the_native_one_is_taken_where_there_are_both() -> None:
    assert in_one_form([*classic("a"), *native("a")]) == tuple(native("a"))


def test_each_pod_is_taken_as_it_comes() -> None:
    series = [*native("a"), *classic("b")]
    assert in_one_form(series) == tuple(series)
    assert in_one_form([*series, *classic("a")]) == tuple(series)


def test_the_native_one_that_began_in_mid_window_gives_way_to_the_classic_one_that_was_there() -> None:
    assert in_one_form([*classic("a", 1, 2, 3), *native("a", 2, 3)]) == tuple(classic("a", 1, 2, 3))


def test_the_classic_one_that_ended_gives_way() -> None:
    assert in_one_form([*classic("a", 1, 2), *native("a", 2, 3)]) == tuple(native("a", 2, 3))


def test_another_histogram_of_the_same_pod_is_no_twin() -> None:
    series = [bucket("x", "a", "+Inf"), bucket("y_bucket", "a", "+Inf")]
    assert in_one_form(series) == tuple(series)


def test_what_has_no_edge_is_left_out_where_others_have_one() -> None:
    summary = Series({"__name__": "x", "pod": "b", "quantile": "0.5"}, ((1.0, 1.0),))
    assert in_one_form([summary, *classic("a")]) == tuple(classic("a"))


def test_without_any_edge_nothing_is_hidden() -> None:
    gauge = Series({"__name__": "x", "pod": "b"}, ((1.0, 1.0),))
    assert in_one_form([gauge]) == (gauge,)
    assert in_one_form([]) == ()
