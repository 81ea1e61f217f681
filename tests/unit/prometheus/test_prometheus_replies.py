"""What each kind of reply is taken for: data, the query's fault, or the world's."""

import json
import math
from typing import Any

import pytest

from modelrollout.prometheus.replies import MAX_SAMPLES, MAX_SERIES, Data, Reply, answer, too_big, understood
from modelrollout.promql.query import Answer, Answered, Series, Unanswered

WHO = "Prometheus at http://prometheus:9090"


def reply(
    status: int = 200, document: Any = None, *, body: bytes | None = None, reason: str = "", **headers: str
) -> Reply:
    return Reply(status, reason, headers, json.dumps(document).encode() if body is None else body)


def success(kind: str, result: Any, **rest: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **rest}


def read(kind: str, result: Any, window: tuple[int, int] | None = None) -> Answer:
    return answer(Data(kind, result, ()), window, who=WHO)


def why(reply: Reply) -> tuple[str, bool]:
    answered = understood(reply, who=WHO)
    assert isinstance(answered, Unanswered)
    return answered.why.removeprefix(WHO).strip(), answered.rejected


@pytest.mark.parametrize(
    "warning",
    [
        'PromQL warning: bucket label "le" is missing or has a malformed value of "" (1:25)',
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "x" (1:6)',
    ],
)
def test_remarks_on_the_meaning_of_a_query_come_with_whole_data(warning: str) -> None:
    document = success("vector", [], warnings=[warning], infos=["PromQL info: ignored histogram in sum aggregation"])
    assert understood(reply(document=document), who=WHO) == Data("vector", [], (warning,))


AWAY = "No StoreAPIs matched / store-b:10901: rpc error: Unavailable"


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"warnings": [AWAY]}, AWAY),
        ({"warnings": AWAY}, AWAY),
        ({"warnings": ["PromQL warning: a mix of floats and histograms", AWAY]}, AWAY),
        ({"warnings": ["Query result may contain partial data."]}, "Query result may contain partial data."),
        ({"warnings": ["a\n b", "a\n b"]}, "a b"),
        ({"warnings": ["a", "b", "c", "d"]}, "a; b (and 2 more)"),
        ({"warnings": ["x" * 300]}, "x" * 200),
        (
            {"warnings": ["PromQL warning: a", "3 more warning annotations omitted"]},
            "3 more warning annotations omitted",
        ),
        ({"isPartial": True}, "isPartial, so a storage node was away"),
    ],
)
def test_a_partial_answer_is_none_and_repeats_the_words_of_the_server(rest: dict[str, Any], words: str) -> None:
    seen = reply(document=success("matrix", [], **rest))
    assert why(seen) == (f"has only a partial answer: {words}", False)


def test_an_answer_that_says_it_is_whole_is_taken_for_one() -> None:
    document = success("matrix", [], warnings=[], infos=[], isPartial=False)
    assert understood(reply(document=document), who=WHO) == Data("matrix", [], ())


def test_an_empty_vector_is_an_answer() -> None:
    assert read("vector", []) == Answered(())


def test_several_series_are_sorted_by_labels() -> None:
    b, a = {"metric": {"pod": "b"}, "value": [2, "1"]}, {"metric": {"pod": "a"}, "value": [2, "3.5"]}
    assert read("vector", [b, a]) == Answered((Series({"pod": "a"}, ((2, 3.5),)), Series({"pod": "b"}, ((2, 1.0),))))


def test_infinities_and_nan_are_kept_as_numbers() -> None:
    answered = read("matrix", [{"metric": {}, "values": [[1, "+Inf"], [2, "-Inf"], [3, "NaN"]]}])
    assert isinstance(answered, Answered)
    (series,) = answered.series
    assert [value for _, value in series.samples[:2]] == [math.inf, -math.inf]
    assert math.isnan(series.samples[2][1])


def test_a_scalar_is_one_series_without_labels() -> None:
    assert read("scalar", [7.25, "0.93"]) == Answered((Series({}, ((7.25, 0.93),)),))


def test_a_string_is_no_number() -> None:
    assert read("string", [7, "0.93"]) == Unanswered(
        "The query answers with a string; it has to yield numbers.", rejected=True
    )


def test_a_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    values = [[10.000, "1"], [10.001, "2"], [20.000, "3"], [20.001, "4"]]
    assert read("matrix", [{"metric": {}, "values": values}], (10_000, 20_000)) == Answered(
        (Series({}, ((10.001, 2.0), (20.0, 3.0))),)
    )


def test_a_series_with_nothing_inside_the_window_is_left_out() -> None:
    assert read("matrix", [{"metric": {"pod": "a"}, "values": [[10, "1"]]}], (10_000, 20_000)) == Answered(())


def test_too_many_series_are_the_querys_fault() -> None:
    answered = read("vector", [{"metric": {}, "value": [1, "1"]}] * (MAX_SERIES + 1))
    assert answered == Unanswered(
        "The query matches 5001 series (at most 5000 are read); narrow the selector.", rejected=True
    )


def test_too_many_samples_are_the_querys_fault() -> None:
    series = {"metric": {}, "values": [[1, "1"]] * 100}
    answered = read("matrix", [series] * (MAX_SAMPLES // 100 + 1))
    assert isinstance(answered, Unanswered)
    assert answered.rejected
    assert "500100 samples in 5001 series" in answered.why or "5001 series" in answered.why


def test_an_answer_that_was_cut_off_says_how_much_was_read() -> None:
    assert too_big(2**25) == Unanswered(
        "The query matches more than 32 MiB of text; narrow the selector.", rejected=True
    )


@pytest.mark.parametrize("item", [{"histograms": [[1, {"count": "5", "sum": "1"}]]}, {"histogram": [1, {}]}])
def test_an_expression_that_yields_native_histograms_is_refused_with_a_way_out(item: dict[str, Any]) -> None:
    answered = read("matrix", [{"metric": {}, **item}])
    assert isinstance(answered, Unanswered)
    assert answered.rejected
    assert "histogram_quantile(" in answered.why


WINDOW = (0, 10_000)


def test_raw_native_histograms_are_read_as_cumulative_buckets() -> None:
    buckets = [[3, "-0.001", "0.001", "1"], [0, "0.5", "1", "2"], [0, "1", "2", "3"]]
    samples = [
        [1, {"count": "6", "sum": "9", "buckets": buckets}],
        [2, {"count": "7", "sum": "15", "buckets": [*buckets, [0, "4", "8", "1"]]}],
    ]
    answered = read("matrix", [{"metric": {"__name__": "x", "pod": "a"}, "histograms": samples}], WINDOW)
    assert isinstance(answered, Answered)
    found = {series.labels["le"]: series.samples for series in answered.series}
    assert {series.labels["__name__"] for series in answered.series} == {"x"}
    assert found["0.001"] == found["0.5"] == ((1.0, 1.0), (2.0, 1.0))
    assert found["1.0"] == ((1.0, 3.0), (2.0, 3.0))
    assert found["2.0"] == found["4.0"] == ((1.0, 6.0), (2.0, 6.0))
    assert found["8.0"] == found["64.0"] == found["+Inf"] == ((1.0, 6.0), (2.0, 7.0))


def test_native_histograms_outside_the_window_are_left_out() -> None:
    samples = [[0, {"count": "6", "sum": "9"}], [10, {"count": "7", "sum": "9"}], [10.001, {"count": "8", "sum": "9"}]]
    assert read("matrix", [{"metric": {}, "histograms": samples}], WINDOW) == Answered(
        (Series({"le": "+Inf"}, ((10.0, 7.0),)),)
    )


def test_a_series_that_became_a_native_histogram_keeps_its_numbers() -> None:
    item = {"metric": {"pod": "a"}, "values": [[1, "5"]], "histograms": [[2, {"count": "6", "sum": "9"}]]}
    assert read("matrix", [item], WINDOW) == Answered(
        (Series({"le": "+Inf", "pod": "a"}, ((2.0, 6.0),)), Series({"pod": "a"}, ((1.0, 5.0),)))
    )


def test_each_bucket_of_a_native_histogram_counts_as_a_sample() -> None:
    histogram = {"count": "99", "sum": "9", "buckets": [[0, str(2.0**i), str(2.0 ** (i + 1)), "1"] for i in range(99)]}
    answered = read("matrix", [{"metric": {}, "histograms": [[1, histogram]] * (MAX_SAMPLES // 100 + 1)}], WINDOW)
    assert answered == Unanswered(
        f"The query matches {MAX_SAMPLES + 100} samples in 1 series (at most {MAX_SAMPLES} are read); "
        "narrow the selector.",
        rejected=True,
    )


def test_many_native_histograms_are_shown_on_fewer_edges_than_would_be_too_many_samples() -> None:
    histogram = {"count": "2", "sum": "9", "buckets": [[0, "1", "1.0905077326652577", "1"], [0, "512", "558.34", "1"]]}
    answered = read("matrix", [{"metric": {}, "histograms": [[1, histogram]] * 50_000}], WINDOW)
    assert isinstance(answered, Answered)
    assert sum(len(series.samples) for series in answered.series) <= MAX_SAMPLES + 50_000  # and the totals


@pytest.mark.parametrize(
    "histogram",
    [
        None,
        7,
        {},
        {"count": "much"},
        {"count": "1", "buckets": [["0", "1"]]},
        {"count": "1", "buckets": 7},
        {"count": "1", "buckets": [[0, "1", "NaN", "1"]]},
        {"count": "1", "buckets": [[0, "1", [], "1"]]},
    ],
)
def test_native_histograms_of_an_unknown_shape_are_the_worlds_trouble(histogram: Any) -> None:
    answered = read("matrix", [{"metric": {}, "histograms": [[1, histogram]]}], WINDOW)
    assert isinstance(answered, Unanswered)
    assert "of a shape that it never has" in answered.why


@pytest.mark.parametrize(
    "result",
    [
        None,
        7,
        "text",
        [7],
        [{"metric": {}}],
        [{"value": [1, "1"]}],
        [{"metric": {}, "value": [1]}],
        [{"metric": {}, "value": [1, "much"]}],
        [{"metric": {}, "values": [None]}],
        [{"metric": None, "value": [1, "1"]}],
    ],
)
def test_results_of_an_unknown_shape_are_the_worlds_trouble(result: Any) -> None:
    answered = read("vector", result)
    assert isinstance(answered, Unanswered)
    assert not answered.rejected
    assert "of a shape that it never has" in answered.why


def error(status: int, kind: str, text: str) -> Reply:
    return reply(status, {"status": "error", "errorType": kind, "error": text})


@pytest.mark.parametrize(
    ("seen", "words", "rejected"),
    [
        (
            error(400, "bad_data", "1:7: parse error: unclosed left brace"),
            "rejects the query: 1:7: parse error: unclosed left brace",
            True,
        ),
        (
            error(422, "execution", "many-to-many matching not allowed"),
            "cannot evaluate the query: many-to-many matching not allowed",
            True,
        ),
        # Storage that is away: Prometheus' remote read and Thanos say 422 as well.
        (
            error(422, "execution", "expanding series: rpc error: code = Unavailable"),
            "answered 422 (execution): expanding series: rpc error: code = Unavailable",
            False,
        ),
        (
            error(503, "timeout", "query timed out in expression evaluation"),
            "answered 503 (timeout): query timed out in expression evaluation",
            False,
        ),
        (error(500, "internal", "disk I/O"), "answered 500 (internal): disk I/O", False),
        (error(429, "too_many_requests", "slow down"), "answered 429 (too_many_requests): slow down", False),
        (reply(503, body=b"Service Unavailable", reason="?"), "answered 503 Service Unavailable", False),
        (reply(502, body=b"", reason="Bad Gateway"), "answered 502 Bad Gateway", False),
        (
            reply(502, body=b"<html><h1>Bad gateway</h1></html>"),
            "answered 502 with a web page; is a proxy or a login page in between?",
            False,
        ),
        (
            reply(400, body=b"<html>400 The plain HTTP request was sent to HTTPS port</html>"),
            "answered 400 with a web page; is a proxy or a login page in between?",
            False,
        ),
        (
            reply(200, body=b"<!DOCTYPE html><form>"),
            "answered with a web page instead of query results; is a proxy or a login page in between?",
            False,
        ),
        (
            reply(200, body=b"]["),
            "answered with something else instead of query results; is a proxy or a login page in between?",
            False,
        ),
        (
            reply(200, body=b"[" * 100_000),
            "answered with something else instead of query results; is a proxy or a login page in between?",
            False,
        ),
        (
            reply(200, [1]),
            "answered with other JSON instead of query results; is a proxy or a login page in between?",
            False,
        ),
        (
            reply(200, {"status": "success", "data": None}),
            "answered with other JSON instead of query results; is a proxy or a login page in between?",
            False,
        ),
        (
            reply(401, body=b"Unauthorized", reason="Unauthorized"),
            "denies access (401 Unauthorized); check the credentials it is asked with",
            False,
        ),
        (
            reply(404, body=b"404 page not found", reason="Not Found"),
            "has no query API at this address (404 Not Found); check the URL",
            False,
        ),
        (
            reply(302, body=b"", Location="https://login.example/"),
            "redirects to https://login.example/; give the address that answers by itself",
            False,
        ),
    ],
)
def test_what_is_no_answer_says_why_and_whose_fault_it_is(seen: Reply, words: str, rejected: bool) -> None:
    assert why(seen) == (words, rejected)
