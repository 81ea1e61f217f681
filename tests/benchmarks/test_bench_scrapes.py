"""That scrapes hold exactly the increments that were put in, whatever went wrong with the scraping."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.analysis.scrapes import BAD, TOTAL, Habits, errors, latencies
from modelrollout.promql.query import Series

TROUBLED = Habits(missed=0.1, duplicated=0.1, late=0.1, resets=6.0, churn=6.0)
FOREVER = 1e12


def increase(series: Series) -> float:
    """What a careful reader makes of a counter: each time once, a fall is a new beginning."""
    samples = sorted(dict(series.samples).items())
    values = [value for _, value in samples]
    return sum(b - a if b >= a else b for a, b in pairwise(values))


@pytest.mark.parametrize(
    "habits",
    [
        Habits(),
        Habits(staggered=False),
        Habits(missed=0.3),
        Habits(duplicated=0.5),
        Habits(late=0.5),
        Habits(resets=20.0),
        Habits(churn=20.0),
        TROUBLED,
    ],
    ids=["calm", "in step", "missed", "duplicated", "late", "resets", "churn", "all of it"],
)
@pytest.mark.parametrize("seed", range(3))
def test_increments_are_recovered_exactly(habits: Habits, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.poisson(50, (360, 5))
    bad = rng.binomial(n, 0.05)
    scrapes = errors(rng, bad, n, habits)
    for part, truth in ((BAD, bad), (TOTAL, n)):
        assert sum(increase(series) for series in scrapes.read(-1, FOREVER, part=part)) == truth.sum()


def test_buckets_are_recovered_exactly() -> None:
    rng = np.random.default_rng(1)
    buckets = rng.poisson([5.0, 20.0, 1.0], (360, 4, 3))
    scrapes = latencies(rng, buckets, np.array([0.1, 0.25, np.inf]), TROUBLED)
    upto = [sum(increase(series) for series in scrapes.read(-1, FOREVER, le=le)) for le in ("0.1", "0.25", "+Inf")]
    assert np.diff(upto, prepend=0).tolist() == buckets.sum(axis=(0, 1)).tolist()


def test_windows_that_follow_one_another_share_nothing_and_leave_nothing_out() -> None:
    rng = np.random.default_rng(2)
    n = rng.poisson(50, (60, 3))
    scrapes = errors(rng, n // 10, n, Habits(missed=0.2))
    parts = [scrapes.read(-1, 200, now=FOREVER, part=TOTAL), scrapes.read(200, FOREVER, part=TOTAL)]
    whole = {series.labels["pod"]: series.samples for series in scrapes.read(-1, FOREVER, part=TOTAL)}
    joined: dict[str, tuple[tuple[float, float], ...]] = {}
    for series in [*parts[0], *parts[1]]:
        joined[series.labels["pod"]] = joined.get(series.labels["pod"], ()) + series.samples
    assert joined == whole


def test_a_late_sample_cannot_be_read_before_it_arrives() -> None:
    rng = np.random.default_rng(3)
    n = rng.poisson(50, (60, 1))
    scrapes = errors(rng, n // 10, n, Habits(late=1.0, late_by=30.0, staggered=False))
    [now] = scrapes.read(-1, 300, now=300, part=TOTAL)
    [later] = scrapes.read(-1, 300, now=330, part=TOTAL)
    assert (now.samples[-1][0], later.samples[-1][0]) == (270, 300)


def test_both_counters_of_a_pod_are_scraped_at_the_same_instants() -> None:
    rng = np.random.default_rng(4)
    n = rng.poisson(50, (360, 3))
    scrapes = errors(rng, n // 10, n, TROUBLED)
    times = [
        {series.labels["pod"]: [t for t, _ in series.samples] for series in scrapes.read(-1, FOREVER, part=part)}
        for part in (BAD, TOTAL)
    ]
    assert times[0] == times[1]


def test_pods_come_and_go_under_new_names_and_counters_fall_when_processes_begin_again() -> None:
    rng = np.random.default_rng(5)
    n = rng.poisson(50, (720, 2))
    churned = errors(rng, n // 10, n, Habits(churn=6.0)).read(-1, FOREVER, part=TOTAL)
    assert len({series.labels["pod"] for series in churned}) > 2
    begun = errors(rng, n // 10, n, Habits(resets=6.0)).read(-1, FOREVER, part=TOTAL)
    assert any(np.diff([value for _, value in series.samples]).min() < 0 for series in begun)
