"""Latencies of a service without history: what is much slower shows soon, and requests that wait together count once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelrollout.analysis.evidence.look import Prior
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from tests.unit.analysis.looking import LATENCY, Walk, always, analysis, counter, course, same

EDGES = ("0.05", "0.1", "0.25", "0.5", "+Inf")
USUAL = [0.5, 0.4, 0.08, 0.015, 0.005]
SLOW = [0.1, 0.3, 0.4, 0.15, 0.05]
MINUTES = 20


def pods(workload: str, count: int, shares: list[float], seed: int, rps: float, cluster: int = 1) -> Iterator[Series]:
    """Pods of which so many requests take as long as each other, scraped every 15 s."""
    random = np.random.default_rng(seed)
    for pod in range(count):
        groups = random.multinomial(round(15 * rps / cluster), shares, 4 * MINUTES + 1)
        within = cluster * groups.cumsum(axis=0).cumsum(axis=1)
        labels = {"__name__": "http_request_duration_seconds_bucket", "pod": f"{workload}-{pod}"}
        for place, edge in enumerate(EDGES):
            yield counter(within[:, place], since=0, every=15, le=edge, **labels)


def walk(mine: list[float], *, seed: int = 1, rps: float = 2.0, cluster: int = 1, interval: str = "15s") -> Walk:
    wished = analysis({**LATENCY, "tolerance": {}}, interval=interval)
    series = [
        *pods("fraud-b41c", 1, mine, seed, rps, cluster),
        *pods("fraud-7d9f", 3, USUAL, seed + 1000, rps, cluster),
    ]
    return Walk(wished, always(*series), course(wished), Prior())


def test_what_is_much_slower_is_found_within_minutes_among_few_requests() -> None:
    """One request in two seconds of each pod. By requests alone, and what is feared of their noise, it takes 300 s."""
    assert walk(SLOW, seed=2, rps=0.5).look(210).verdicts[0].verdict is Verdict.FAIL


def test_requests_that_wait_together_take_no_equal_candidate_back() -> None:
    for seed in range(10):
        for rps in (2.0, 20.0):
            one = walk(USUAL, seed=seed, rps=rps, cluster=5).look(60 * MINUTES).verdicts[0]
            assert one.verdict is not Verdict.FAIL, seed


def test_cells_of_tails_do_not_depend_on_when_anybody_looks() -> None:
    once, often = (walk(USUAL, interval="4s") for _ in range(2))
    for end in range(76, 600, 28):
        often.look(end, is_saved=end % 8 == 0)
    assert same(once.look(600).checkpoint[0], often.look(600).checkpoint[0])
