"""Copies that never reach a comparer, or that it leaves out: what its counters and users' sizes say of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.analysis.copies import Compared, compared, copying, fault_of_sizes
from modelrollout.analysis.queries import ArmNames
from modelrollout.api.compare import Compare
from modelrollout.api.findings import Finding
from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SIZES = 'http_request_size_bytes_bucket{pod=~"{{ pods }}"}'
EVEN = {"1000": 400.0, "100000": 800.0, "+Inf": 1000.0}  # users' requests, 200 of them beyond 100 kB
ALL = {"1KiB": 400.0, "32KiB": 400.0, "1MiB": 200.0}
NOTHING: Mapping[str, float] = {}


def arm(side: Any) -> ArmNames:
    names = f"fraud-{side}"
    return ArmNames(side, "ml", "fraud", side, names, names, pods=f"{names}-.*")


def seen(
    arrived: Mapping[str, float] | None,
    shed: Mapping[str, float] = NOTHING,
    users: Mapping[str, float] = NOTHING,
    *,
    share: float = 1.0,
    minutes: float = 10,
    told: str | None = None,
    silent: str = "",
    **compare: Any,
) -> Compared | None:
    """What is said of a step in force; arrived None: Prometheus is away. `silent`: the part that it does not answer."""
    wanted = Compare.model_validate({"minAgreement": "98%", **({"requestSizes": SIZES} if users else {}), **compare})
    asked = copying(share, wanted, arm("candidate"), arm("stable"), NOON, NOON + timedelta(minutes=minutes))
    counted = {"arrived": arrived or {}, "shed": shed, "users": users}

    def answer(query: Query) -> Answer:
        if arrived is None or query.part == silent:
            return Unanswered("connection refused", rejected=False)
        label = query.promql.partition("(")[2].partition(")")[0]
        return Answered(tuple(Series({label: name}, ((0.0, count),)) for name, count in counted[query.part].items()))

    return compared(asked, {query: answer(query) for query in asked.queries}, told)


def lacking(*args: Any, **named: Any) -> Finding | None:
    found = seen(*args, **named)
    assert found is not None
    return found.lacking


def test_asks_for_the_time_since_the_step_is_in_force() -> None:
    wanted = Compare.model_validate({"minAgreement": "98%", "requestSizes": SIZES})
    asked = copying(1.0, wanted, arm("candidate"), arm("stable"), NOON, NOON + timedelta(minutes=2))
    about = '{rollout_ns="ml",rollout="fraud",revision="candidate"}'
    assert [query.promql for query in asked.queries] == [
        f"sum by (size) (increase(modelrollout_comparer_copies_total{about}[120s]))",
        f"sum by (reason) (increase(modelrollout_comparer_shed_total{about}[120s]))",
        'sum by (le) (increase(http_request_size_bytes_bucket{pod=~"fraud-stable-.*"}[120s]))',
    ]
    assert copying(1.0, wanted, arm("candidate"), arm("stable"), NOON, NOON + timedelta(seconds=30)).queries == ()


def test_asks_for_the_last_hour_of_a_long_step_and_says_so() -> None:
    wanted = Compare.model_validate({"minAgreement": "98%", "requestSizes": SIZES})
    asked = copying(1.0, wanted, arm("candidate"), arm("stable"), NOON, NOON + timedelta(hours=24))
    assert {query.promql.partition("[")[2] for query in asked.queries} == {"3600s]))"}
    missing = lacking({"1KiB": 400.0, "1MiB": 0.0}, NOTHING, EVEN, minutes=61)
    assert missing is not None
    assert missing.message.startswith(
        "Of 200 requests with bodies beyond 100,000 bytes in the last hour (compare.requestSizes), 100% were"
    )
    shed = lacking(ALL, {"busy": 100.0}, minutes=61)
    assert shed is not None
    assert shed.message.startswith("10% of 1,000 copies in the last hour were not compared: 100 came")


def test_says_nothing_where_all_copies_arrive_and_are_compared() -> None:
    assert seen(ALL, {"busy": 0.0}, EVEN) == Compared(None)


def test_tells_from_which_size_on_copies_are_missing() -> None:
    assert lacking({"1KiB": 400.0, "32KiB": 400.0, "1MiB": 0.0}, NOTHING, EVEN) == Finding(
        "CopiesMissing",
        "Of 200 requests with bodies beyond 100,000 bytes (compare.requestSizes), 100% were to be copied, and 0 copies "
        "reached the comparer. Gateways drop a copy that is larger than their buffer: raise it there, or know that the "
        "answers to large requests are not compared.",
    )


def test_copies_of_any_size_may_be_missing() -> None:
    found = lacking({"1KiB": 4.0, "32KiB": 4.0, "1MiB": 2.0}, NOTHING, EVEN)
    assert found is not None
    assert found.message.startswith(
        "Of 1,000 requests (compare.requestSizes), 100% were to be copied, and 10 copies reached the comparer. Either"
    )


def test_only_the_part_that_is_copied_has_to_arrive() -> None:
    users = {edge: 10 * count for edge, count in EVEN.items()}
    assert seen(ALL, NOTHING, users, share=0.1) == Compared(None)
    assert lacking(ALL, NOTHING, users) is not None


def test_what_the_comparer_itself_asks_of_stable_is_no_request_of_a_user() -> None:
    twice = {edge: 2 * count for edge, count in EVEN.items()}
    assert seen({size: 0.6 * count for size, count in ALL.items()}, NOTHING, twice) == Compared(None)


def test_a_body_whose_size_nobody_told_may_be_of_any_size() -> None:
    assert seen({"1KiB": 400.0, "untold": 600.0}, NOTHING, EVEN) == Compared(None)


def test_sizes_that_are_not_found_are_told_once_copies_come() -> None:
    found = lacking(ALL, NOTHING, {"": 0.0})
    assert found is not None
    assert found.reason == "SizesUnknown"
    assert seen({"1KiB": 5.0}, NOTHING, {"": 0.0}) == Compared(None)


def test_few_requests_say_nothing() -> None:
    assert seen({"1KiB": 0.0}, NOTHING, {"1000": 90.0, "+Inf": 99.0}) == Compared(None)


def test_tells_the_limits_beyond_which_copies_were_left_out() -> None:
    assert lacking(ALL, {"too_large": 110.0, "busy": 10.0, "method": 500.0}, limits={"bodyKibibytes": 64}) == Finding(
        "CopiesShed",
        "12% of 1,000 copies were not compared: 110 were larger than compare.limits.bodyKibibytes (64 KiB), so raise "
        "it; 10 came while all places (compare.limits.concurrency, 64) were taken, so raise that or compare.replicas, "
        "or copy a smaller percent.",
    )


def test_a_handful_left_out_is_not_told() -> None:
    assert seen(ALL, {"busy": 5.0}) == Compared(None)


def test_a_comparer_that_nobody_scrapes_is_not_known_to_get_nothing() -> None:
    assert seen({}, NOTHING, EVEN) is None
    assert seen(None, NOTHING, EVEN) is None


def test_users_sizes_that_prometheus_does_not_answer_say_nothing() -> None:
    assert seen(ALL, {"busy": 500.0}, EVEN, silent="users", told="CopiesMissing") is None


def test_told_at_a_limit_it_stays_until_it_is_well_below() -> None:
    for left_out, before, after in ((9.9, None, None), (10.0, None, "CopiesShed"), (9.9, "CopiesShed", "CopiesShed")):
        found = lacking(ALL, {"busy": left_out}, told=before)
        assert (found.reason if found else None) == after
    assert seen(ALL, {"busy": 4.9}, told="CopiesShed") == Compared(None)


def test_told_of_a_size_it_stays_while_few_requests_have_it() -> None:
    few = {"100000": 840.0, "+Inf": 1000.0}
    assert seen({"1KiB": 840.0, "1MiB": 0.0}, NOTHING, few) == Compared(None)
    found = lacking({"1KiB": 840.0, "1MiB": 0.0}, NOTHING, few, told="CopiesMissing")
    assert found is not None
    assert found.reason == "CopiesMissing"


def test_an_hour_with_few_copies_changes_nothing_that_was_told() -> None:
    quiet = {"1000": 9.0, "+Inf": 9.0}
    for told in ("CopiesMissing", "CopiesShed", "SizesUnknown"):
        assert seen({"1KiB": 9.0}, NOTHING, quiet, told=told) is None


def test_names_what_is_no_selector() -> None:
    assert fault_of_sizes(SIZES, "here") is None
    assert (fault_of_sizes('x{pod=~"{{ podss }}"}', "here") or "").startswith("here: {{ podss }} is not a known name")
    assert (fault_of_sizes('x{pod=~"{{ pods }}"}[5m]', "here") or "").startswith("here: the end is wanted")
