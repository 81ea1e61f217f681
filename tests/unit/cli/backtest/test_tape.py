"""What was fetched, and how it is cut."""

from __future__ import annotations

from modelrollout.cli.backtest.tape import Reel
from modelrollout.promql.query import Series


def series(samples: list[tuple[float, float]], **labels: str) -> Series:
    return Series(labels, tuple(samples))


def test_a_cut_has_the_samples_after_its_start_up_to_its_end() -> None:
    reel = Reel(0.0)
    reel.append([series([(1, 1), (2, 2), (3, 3)], pod="a")], 3.0)
    reel.append([series([(3, 3), (4, 4)], pod="a"), series([(4, 9)], pod="b")], 4.0)
    assert reel.cut(1.0, 4.0) == (series([(2, 2), (3, 3), (4, 4)], pod="a"), series([(4, 9)], pod="b"))
    assert reel.cut(4.0, 9.0) == ()


def test_what_is_forgotten_leaves_no_empty_series() -> None:
    reel = Reel(0.0, "pod")
    reel.append([series([(1, 1), (9, 2)], pod="a"), series([(2, 1)], pod="b")], 9.0)
    reel.forget(5.0)
    assert reel.cut(0.0, 10.0) == (series([(9, 2)], pod="a"),)
    assert list(reel.by_pod) == ["a"]


def test_pods_were_there_when_they_were_seen_near_both_ends() -> None:
    reel = Reel(0.0, "pod")
    reel.append([series([(1, 1), (9, 2)], pod="a"), series([(5, 1), (9, 1)], pod="b"), series([(1, 1)], x="")], 9.0)
    assert reel.pods(2.0, 8.0) == {"a"}


def test_a_native_histogram_has_the_same_edges_in_every_piece() -> None:
    """A piece is given the edges that its own observations need: an edge that comes later was there all the time."""
    reel = Reel(0.0)
    name = {"__name__": "seconds"}
    reel.append([series([(1, 3), (2, 4)], le="1.0", **name), series([(1, 5), (2, 6)], le="+Inf", **name)], 2.0)
    reel.append(
        [
            series([(3, 5)], le="1.0", **name),
            series([(3, 6)], le="2.0", **name),
            series([(3, 1)], le="0.5", **name),
            series([(3, 8)], le="+Inf", **name),
        ],
        3.0,
    )
    reel.append([series([(4, 9)], le="1.0", **name), series([(4, 12)], le="+Inf", **name)], 4.0)
    found = {one.labels["le"]: [value for _, value in one.samples] for one in reel.cut(0.0, 9.0)}
    assert found == {"0.5": [0, 0, 1, 0], "1.0": [3, 4, 5, 9], "2.0": [3, 4, 6, 9], "+Inf": [5, 6, 8, 12]}


def test_a_classic_histogram_is_left_as_it_is() -> None:
    reel = Reel(0.0)
    reel.append([series([(1, 3)], le="1.0", __name__="seconds_bucket")], 1.0)
    reel.append([series([(2, 3)], le="2.0", __name__="seconds_bucket")], 2.0)
    assert [one.labels["le"] for one in reel.cut(0.0, 1.5)] == ["1.0"]
