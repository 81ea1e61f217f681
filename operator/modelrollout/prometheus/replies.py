"""Reads the replies of Prometheus' query API. Pure.

Native histograms among raw samples become series of cumulative buckets, with the label `le`, under the name they have.

An answer with status success may be partial. It is no answer then: the series that are missing may be those of the sick
pod. A server says so in `warnings` (Thanos, Cortex, M3, Prometheus with remote read) or `isPartial` (VictoriaMetrics).
Remarks on the meaning of a query come from a healthy Prometheus, and nothing is missing: `infos`, and warnings that
begin with `PromQL warning: ` or `PromQL info: ` (util/annotations of Prometheus; 2.x has infos among the warnings). Any
other warning is the storage's, "… more warning annotations omitted" included: one of a store may be among those.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/ and what stands between a client and a Prometheus in
practice: proxies, login pages, and Thanos or Mimir speaking the same API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelrollout.prometheus.native import MAX_EDGES, as_classic, native
from modelrollout.promql.query import Answer, Answered, Series, Unanswered

MAX_SERIES = 5_000
MAX_SAMPLES = 500_000
ON_MEANING = ("PromQL warning: ", "PromQL info: ")
"""Beginnings of warnings that are about the meaning of a query; nothing is missing from its answer."""
MOST_SHOWN, LONGEST_SHOWN = 2, 200
"""Warnings of a partial answer, and characters of each, that are repeated."""

Window = tuple[int, int]  # unix milliseconds; start < t ≤ end


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply, read to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """The `data` of a whole answer. `type`: matrix, vector, scalar or string. `warnings`: on the query's meaning."""

    type: str
    result: Any
    warnings: tuple[str, ...]


def understood(reply: Reply, *, who: str) -> Data | Unanswered:
    """The data, or the reason why there are none; `who` starts the sentence."""
    document = _document(reply.body)
    match document:
        case {"status": "success", "data": {"resultType": str(kind), "result": result}} if reply.status == 200:
            warnings = _warnings(document)
            missing = [warning for warning in warnings if not warning.startswith(ON_MEANING)]
            return _partial(missing, who) if missing else Data(kind, result, warnings)
        case {"status": "error", "errorType": str(kind), "error": str(why)}:
            return _failure(reply.status, kind, why, who)
        case _:
            return Unanswered(f"{who} {_no_prometheus(reply)}", rejected=False)


def _warnings(document: Mapping[str, Any]) -> tuple[str, ...]:
    found = document.get("warnings") or ()
    named = tuple(map(str, found)) if isinstance(found, list) else (str(found),) if found else ()
    return (*named, "isPartial, so a storage node was away") if document.get("isPartial") else named


def _partial(missing: Sequence[str], who: str) -> Unanswered:
    shown = [" ".join(warning.split())[:LONGEST_SHOWN] for warning in dict.fromkeys(missing)]
    more = f" (and {len(shown) - MOST_SHOWN} more)" if len(shown) > MOST_SHOWN else ""
    return Unanswered(f"{who} has only a partial answer: {'; '.join(shown[:MOST_SHOWN])}{more}", rejected=False)


def misfit(data: Data, *wanted: str, who: str) -> Unanswered | None:
    """Refuses results of another type than the request has; `wanted`: the types that it may have."""
    if data.type in (*wanted, "string"):  # of a text `answer` says more
        return None
    if data.type == "matrix":  # a range selector where one moment was asked for
        why = (
            "The query answers with a range of samples; it has to yield one number at a time, as avg_over_time(…) does."
        )
        return Unanswered(why, rejected=True)
    return Unanswered(
        f"{who} answered with a {data.type} where a {wanted[0]} was asked for; {_SUSPECT}", rejected=False
    )


def answer(data: Data, window: Window | None, *, who: str) -> Answer:
    """The series of an answer; with a window, only its samples (2.x counts a sample at its start in, 3 does not)."""
    try:
        return _excess(data) or _not_numbers(data, window) or Answered(_all_series(data, window))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Unanswered(f"{who} answered with results of a shape that it never has; {_SUSPECT}", rejected=False)


def _excess(data: Data) -> Unanswered | None:
    """Refuses answers that are too large, and says how to ask for less."""
    if data.type == "scalar":
        return None
    if data.type not in ("vector", "matrix"):
        return Unanswered(f"The query answers with a {data.type}; it has to yield numbers.", rejected=True)
    if len(data.result) > MAX_SERIES:
        return _too_much(f"{len(data.result)} series", MAX_SERIES)
    samples = sum(map(_numbers, data.result))
    if samples > MAX_SAMPLES:
        return _too_much(f"{samples} samples in {len(data.result)} series", MAX_SAMPLES)
    return None


def _not_numbers(data: Data, window: Window | None) -> Unanswered | None:
    """Refuses results that are no numbers; only a selector may be answered with histograms."""
    if data.type == "scalar" or window is not None:
        return None
    if any("histogram" in item or "histograms" in item for item in data.result):
        why = (
            "The query answers with native histograms; it has to yield numbers, such as histogram_quantile(0.99, …) "
            "or histogram_fraction(0, 0.3, …) of them."
        )
        return Unanswered(why, rejected=True)
    return None


def _numbers(item: Mapping[str, Any]) -> int:
    """How many samples it counts for: of a native histogram each bucket is one, and so is the total."""
    histograms = item.get("histograms", ())
    return len(item.get("values", ())) + sum(1 + len(shown.get("buckets") or ()) for _, shown in histograms)


def _all_series(data: Data, window: Window | None) -> tuple[Series, ...]:
    items = [{"metric": {}, "value": data.result}] if data.type == "scalar" else data.result
    natives = [native(item["metric"], _inside(item["histograms"], window)) for item in items if "histograms" in item]
    samples = sum(len(one.samples) for one in natives)
    # Empty buckets are not sent, but are made up here: no more numbers come of it than are read of other answers.
    found = as_classic(natives, min(MAX_EDGES, MAX_SAMPLES // max(samples, 1)))
    found += (_series(item, window) for item in items if "histograms" not in item or "values" in item)
    return tuple(sorted((series for series in found if series.samples), key=lambda s: sorted(s.labels.items())))


def too_big(limit: int) -> Unanswered:
    """For an answer that was not even read to its end."""
    return _too_much(f"more than {limit >> 20} MiB of text", None)


def _too_much(amount: str, limit: int | None) -> Unanswered:
    at_most = f" (at most {limit} are read)" if limit else ""
    return Unanswered(f"The query matches {amount}{at_most}; narrow the selector.", rejected=True)


def _series(item: Mapping[str, Any], window: Window | None) -> Series:
    pairs = item["values"] if "values" in item else [item["value"]]
    # float() reads NaN, +Inf and -Inf
    return Series(item["metric"], tuple((at, float(value)) for at, value in _inside(pairs, window)))


def _inside(pairs: Sequence[Any], window: Window | None) -> list[tuple[float, Any]]:
    """Those samples that lie in the window."""
    samples = [(float(at), value) for at, value in pairs]
    if window is None:
        return samples
    start, end = window
    return [sample for sample in samples if start < round(sample[0] * 1000) <= end]


def _failure(status: int, kind: str, why: str, who: str) -> Unanswered:
    """An error that Prometheus itself reports."""
    if status == 400 and kind == "bad_data":
        return Unanswered(f"{who} rejects the query: {why}", rejected=True)
    # 422 is an expression that cannot be evaluated. Only storage that did not deliver says so in these words, too.
    if status == 422 and kind == "execution" and not why.startswith("expanding series"):
        return Unanswered(f"{who} cannot evaluate the query: {why}", rejected=True)
    return Unanswered(f"{who} answered {status} ({kind}): {why}", rejected=False)


def _no_prometheus(reply: Reply) -> str:
    location = reply.headers.get("Location")
    match reply.status:
        case 200:
            return f"answered with {_nature(reply)} instead of query results; {_SUSPECT}"
        case 401 | 403:
            return f"denies access ({reply.status} {reply.reason}); check the credentials it is asked with"
        case 404 | 405:
            return f"has no query API at this address ({reply.status} {reply.reason}); check the URL"
        case status if 300 <= status < 400 and location:
            return f"redirects to {location[:200]}; give the address that answers by itself"
        case status if _is_html(reply):
            return f"answered {status} with a web page; {_SUSPECT}"
        case status:
            return f"answered {status} {_first_words(reply.body) or reply.reason}"


_SUSPECT = "is a proxy or a login page in between?"


def _nature(reply: Reply) -> str:
    if _is_html(reply):
        return "a web page"
    return "something else" if _document(reply.body) is None else "other JSON"


def _is_html(reply: Reply) -> bool:
    return "html" in reply.headers.get("Content-Type", "") or reply.body[:100].lstrip().startswith(b"<")


def _first_words(body: bytes) -> str:
    return " ".join(body[:200].decode(errors="replace").split())


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
