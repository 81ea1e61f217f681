"""One histogram, scraped in both its forms, counted once. Pure.

A server may keep of one process both the native histogram `x` and the classic series `x_bucket`
(always_scrape_classic_histograms), and `histogram_selector` asks for both, since nobody knows which there will be.
Native ones arrive with cumulative series and the label `le`, as classic ones have, under their own name.
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


def without_double_scrapes(series: Sequence[Series]) -> tuple[Series, ...]:
    """Of each process (each set of labels but name and edge) either the native series or the classic ones.

    Native, as it has more edges; classic where the native one began only in mid-window and the classic one goes on: the
    server was told to keep both then, and what was served before is in the classic one alone. Where there are buckets,
    series without an edge are left out: a summary has the same name.
    """
    if not any(EDGE in one.labels for one in series):
        return tuple(series)  # no histogram at all, as will be said
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
