"""Whether a comparer gets the copies that it should, and compares them; by its own counters, and by users' sizes. Pure.

Gateways drop a copy that is larger than their buffer without a word. A comparer cannot count what never came: only a
histogram of the sizes that users sent shows it. Nothing is decided by this; people are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from modelrollout.analysis import wording
from modelrollout.analysis.queries import SHORTEST_WINDOW, ArmNames
from modelrollout.api.compare import Compare
from modelrollout.api.findings import Finding
from modelrollout.api.placeholders import UnknownName, render_text
from modelrollout.comparer.copies import Shed
from modelrollout.comparer.sizes import classes_beyond
from modelrollout.promql.query import Answer, Answered, Query, parsed
from modelrollout.promql.selectors import SelectorError

COPIES_COMPARED = "CopiesCompared"
"""The type of the condition that is there, and False, while copies of users' requests are not compared."""
MISSING, SHED, SIZES_UNKNOWN = "CopiesMissing", "CopiesShed", "SizesUnknown"
LONGEST_WINDOW = timedelta(hours=1)
"""The past that is asked about. A whole stage of days would be read anew at each look, size by size and pod by pod."""
ENOUGH = 100.0
"""Copies that were to come before anything is said of them."""
ARRIVING = 0.5
"""The share of them that has to come: users' requests are counted elsewhere and at other moments than their copies."""
WORTH_TELLING = 0.01
"""The share of the copies that may be left out without a word."""
STAYS = 0.5
"""The part of a limit down to which it stays told: a number near its limit would come and go with each look."""
_ARRIVED, _LEFT_OUT, _USERS = "arrived", "shed", "users"


@dataclass(frozen=True, slots=True)
class Copying:
    """What is known of the copies at a step: the part of users' requests that is copied, and how they are compared."""

    share: float  # from 0 to 1
    compare: Compare
    queries: tuple[Query, ...] = ()
    lately: str = ""  # in words: the time that is asked about, where that is not the whole step


@dataclass(frozen=True, slots=True)
class Compared:
    """What the counters say of the copies. `lacking`: what is not compared, and why; None where all is well."""

    lacking: Finding | None


def copying(
    share: float, compare: Compare, candidate: ArmNames, stable: ArmNames, since: datetime, at: datetime
) -> Copying:
    """The question about a step since it is in force, or its last hour; without queries where it has only begun."""
    window = min(at - since, LONGEST_WINDOW)
    if window < SHORTEST_WINDOW:
        return Copying(share, compare)
    names, seconds = candidate.values(window), int(window.total_seconds())
    about = f'{{rollout_ns="{names["namespace"]}",rollout="{names["rollout"]}",revision="{names["revision"]}"}}'

    def asked(part: str, label: str, selector: str) -> Query:
        promql = f"sum by ({label}) (increase({selector}[{seconds}s]))"
        return Query("copies", candidate.arm, part, promql, at, at, timedelta(seconds=1))

    found = [
        asked(_ARRIVED, "size", f"modelrollout_comparer_copies_total{about}"),
        asked(_LEFT_OUT, "reason", f"modelrollout_comparer_shed_total{about}"),
    ]
    if compare.request_sizes is not None:
        found.append(asked(_USERS, "le", _selector(compare.request_sizes, stable)))
    return Copying(share, compare, tuple(found), " in the last hour" if window == LONGEST_WINDOW else "")


def fault_of_sizes(text: str, where: str) -> str | None:
    """Why a text is no selector of users' sizes; `where` it stands in the spec."""
    anybody = ArmNames("stable", namespace="-", rollout="-", revision="-", workload="-", service="-", pods="-")
    try:
        _selector(text, anybody, where)
    except UnknownName as error:
        return f"{error}"
    except SelectorError as error:
        return f"{where}: {error}"
    return None


def _selector(text: str, stable: ArmNames, where: str = "compare.requestSizes") -> str:
    """Filled in. Raises UnknownName, and SelectorError for whatever is none."""
    return str(parsed(render_text(text.strip(), stable.values(SHORTEST_WINDOW), where=where)))


def compared(asked: Copying, answers: Mapping[Query, Answer], told: str | None = None) -> Compared | None:
    """What is lacking; None while nobody knows. `told`: the reason that people know of already."""
    counts = {query.part: _by_label(answers.get(query)) for query in asked.queries}
    arrived, left_out, users = (counts.get(part) for part in (_ARRIVED, _LEFT_OUT, _USERS))
    if not arrived or left_out is None:  # a comparer shows zeros before the first copy: nothing at all is no answer
        return None
    if asked.compare.request_sizes is not None and users is None:
        return None
    by_size = _missing(asked, arrived, users, told) if users is not None else None
    found = [one for one in (by_size, _shed(asked, arrived, left_out, told)) if one is not None]
    if told is not None and not found and sum(arrived.values()) < ENOUGH:  # too few to say that all is well again
        return None
    return Compared(Finding(found[0].reason, " ".join(one.message for one in found)) if found else None)


def _by_label(answer: Answer | None) -> dict[str, float] | None:
    """The newest value of each series, by its only label."""
    if not isinstance(answer, Answered):
        return None
    return {next(iter(one.labels.values()), ""): one.samples[-1][1] for one in answer.series if one.samples}


def _missing(
    asked: Copying, arrived: Mapping[str, float], at_most: Mapping[str, float], told: str | None
) -> Finding | None:
    """Copies of the sizes of which the smallest part arrived, or that these are not known.

    `at_most`: users' requests by the edge of their size.
    """
    beyond = _beyond(at_most)
    if not beyond and sum(arrived.values()) >= ENOUGH:
        return Finding(SIZES_UNKNOWN, _NO_SIZES)
    # Where stable's own pods count, they count what the comparer asks them as well: at most this part.
    of_users = asked.share / (1 + asked.share * asked.compare.sample.value)
    shares = []
    for size, requests in beyond.items():
        due, came = of_users * requests, sum(arrived.get(one, 0.0) for one in classes_beyond(size))
        if due >= _limit(ENOUGH, told == MISSING) and came < ARRIVING * due:
            shares.append((came / due, size, came, requests))
    if not shares:
        return None
    _, size, came, requests = min(shares)
    which = f"requests with bodies beyond {wording.number(size)} bytes" if size else "requests"
    those = f"Of {wording.number(requests)} {which}{asked.lately} (compare.requestSizes)"
    were_due = f"{those}, {wording.share(asked.share)} were"
    came_by = f"to be copied, and {wording.number(came)} copies reached the comparer."
    return Finding(MISSING, f"{were_due} {came_by} {_WHY_LARGE if size else _WHY_ANY}")


_NO_SIZES = (
    "compare.requestSizes finds no histogram with buckets (label le, up to +Inf) of stable's pods, so nobody knows "
    "whether copies of large requests are missing: mend its name or its labels."
)
_WHY_LARGE = (
    "Gateways drop a copy that is larger than their buffer: raise it there, or know that the answers to large requests "
    "are not compared."
)
_WHY_ANY = (
    "Either the gateway does not copy as the route says, or compare.requestSizes counts requests that are not copied: "
    "name the methods and paths of the stage in it."
)


def _beyond(at_most: Mapping[str, float]) -> dict[float, float]:
    """How many requests were larger than each edge, and than nothing."""
    edges = {edge: count for text, count in at_most.items() if (edge := _number(text)) is not None}
    if inf not in edges:
        return {}
    all_ = edges.pop(inf)
    return {0.0: all_, **{edge: all_ - count for edge, count in edges.items()}}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _shed(
    asked: Copying, arrived: Mapping[str, float], left_out: Mapping[str, float], told: str | None
) -> Finding | None:
    """Copies that arrived and were not worked on, against what was asked for."""
    came, lost = sum(arrived.values()), {why: n for why in _TOLD if (n := left_out.get(why.value, 0.0)) >= 0.5}
    if came < ENOUGH or sum(lost.values()) < _limit(WORTH_TELLING, told == SHED) * came:
        return None
    return Finding(
        SHED,
        f"{wording.share(sum(lost.values()) / came)} of {wording.number(came)} copies{asked.lately} were not compared: "
        f"{'; '.join(_told(asked.compare, lost))}.",
    )


def _limit(value: float, is_told: bool) -> float:
    return STAYS * value if is_told else value


_TOLD = {
    Shed.TOO_LARGE: "were larger than compare.limits.bodyKibibytes ({body} KiB), so raise it",
    Shed.BUSY: "came while all places (compare.limits.concurrency, {places}) were taken, so raise that or "
    "compare.replicas, or copy a smaller percent",
    Shed.CUT_OFF: "broke off before their end, on the way from the gateway",
    Shed.BROKE: "met a defect of the comparer, which its log tells",
}
"""Those that are left out on purpose, for their method or their mark, are not told."""


def _told(compare: Compare, lost: Mapping[Shed, float]) -> Iterator[str]:
    limits = {"body": compare.limits.body_kibibytes, "places": compare.limits.concurrency}
    yield from (f"{wording.number(count)} {_TOLD[why].format(**limits)}" for why, count in lost.items())
