"""A histogram that is scraped in two forms, native and classic, is counted once. Pure.

A server may store both the native histogram `x` and the classic series `x_bucket` of one process
(always_scrape_classic_histograms), and `histogram_selector` asks for both, since either may exist. Native ones are
turned into cumulative series with the label `le`, like classic ones, but keep their own name.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from modelrollout.promql.matchers import NAME
from modelrollout.promql.query import Series
from modelrollout.promql.selectors import BUCKET

Owner = tuple[tuple[str, str], ...]
EDGE = "le"


def in_one_form(series: Sequence[Series]) -> tuple[Series, ...]:
    """For each process (each set of labels without name and edge), either its native series or its classic ones.

    Native is preferred, as it has more edges. Classic is taken where native began in mid-window and classic goes on:
    then the server was told to store both, and only classic has the time before. Where there are buckets, series
    without an edge are left out: a summary has the same name.
    """
    if not any(EDGE in one.labels for one in series):
        return tuple(series)  # no histogram at all; the caller says so
    forms: defaultdict[Owner, tuple[list[Series], list[Series]]] = defaultdict(lambda: ([], []))
    for one in series:
        if EDGE in one.labels:
            forms[_owner(one)][one.labels.get(NAME, "").endswith(BUCKET)].append(one)
    kept = {id(one) for native, classic in forms.values() for one in _preferred_form(native, classic)}
    return tuple(one for one in series if id(one) in kept)


def _owner(one: Series) -> Owner:
    name = one.labels.get(NAME, "").removesuffix(BUCKET)
    others = ((label, value) for label, value in one.labels.items() if label not in (NAME, EDGE))
    return (NAME, name), *sorted(others)


def _preferred_form(native: list[Series], classic: list[Series]) -> list[Series]:
    if not native or not classic:
        return native or classic
    (first, last), (classic_first, classic_last) = _time_span(native), _time_span(classic)
    return classic if classic_first < first and classic_last >= last else native


def _time_span(series: Iterable[Series]) -> tuple[float, float]:
    times = [at for one in series for at, _ in (one.samples[:1] + one.samples[-1:])]
    return min(times, default=math.inf), max(times, default=-math.inf)
