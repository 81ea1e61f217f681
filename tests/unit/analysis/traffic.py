"""Pods that serve made-up traffic and are scraped as Prometheus does it: each at its own moment, counters only.

Times are seconds after noon. What happens is drawn second by second; what is seen of it are the samples.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from modelrollout.analysis.queries import history_queries
from modelrollout.analysis.samples.stable_history import HISTORY, HISTORY_STEP
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.preflight import summarise_history
from modelrollout.api.analysis import Analysis
from modelrollout.api.status import UsualMetric
from modelrollout.promql.query import Answer, Answered, Query, Series, parsed
from tests.unit.analysis.looking import INTERVAL, NOON, STABLE, START

Floats = npt.NDArray[np.float64]

SURE = 1 - 1e-6
"""A right implementation fails one such test in a million: there are a hundred, and each change runs them."""


def most(runs: int, rate: float) -> int:
    """More alarms than this in so many runs, and the rate is not kept."""
    return int(binom.ppf(SURE, runs, rate))


MISSED, WORSE = 1e-3, 0.2
"""A wrong implementation, under which one in five is taken back, passes one such test in a thousand."""


def keeps(rate: float, is_alarm: Callable[[], bool]) -> bool:
    """Whether alarms are as rare as that: Wald's sequential test (Annals of Mathematical Statistics 16, 1945).

    What was seen is so many times as likely under WORSE as under the rate. While the rate is kept, that exceeds a
    million once in a million (Ville), and under WORSE it falls below a thousandth at most once in a thousand. Without
    any alarm, a rate of 5 % is settled after 41 draws and one of 1.5 % after 34. A number of draws that is fixed
    beforehand would have to be 257 and 121 to be as sure as that.
    """
    nats = 0.0
    while math.log(MISSED) < nats < -math.log(1 - SURE):
        nats += math.log(WORSE / rate) if is_alarm() else math.log((1 - WORSE) / (1 - rate))
    return nats < 0


def fresh() -> tuple[int, np.random.Generator]:
    """Other worlds in each run; the seed is printed when a test fails."""
    seed = secrets.randbits(32)
    print(f"seed: {seed}")  # noqa: T201  (pytest shows it of what failed)
    return seed, np.random.default_rng(seed)


def settled(*name: object) -> np.random.Generator:
    """The same worlds in each run: for limits so close that chance alone would break them now and then."""
    return np.random.default_rng(crc32(repr(name).encode()))


@dataclass(frozen=True)
class Arm:
    """Pods of one arm; time is cut into grains.

    `rate`: grains, requests per second of all pods together. `share` of errors: grains, the same for all pods; or pods
    × grains, where pods are noisy by themselves. `cluster`: errors come in clusters of this many on average.
    """

    workload: str
    pods: int
    rate: Floats
    share: Floats
    grain: float = 1.0
    cluster: float = 1.0


def served(random: np.random.Generator, arm: Arm) -> tuple[Floats, Floats]:
    """Requests and errors of each pod up to the end of each grain: pods × grains."""
    shape = (arm.pods, arm.rate.size)
    requests = random.poisson(np.broadcast_to(arm.rate * arm.grain / arm.pods, shape))
    share = np.broadcast_to(arm.share, shape)
    if arm.cluster == 1:
        return requests.cumsum(axis=1), random.binomial(requests, share).cumsum(axis=1)
    clusters = random.binomial(requests, share / arm.cluster)
    more = random.negative_binomial(np.maximum(clusters, 1), 1 / arm.cluster)
    errors = np.minimum(np.where(clusters > 0, clusters + more, 0), requests)
    return requests.cumsum(axis=1), errors.cumsum(axis=1)


def offsets(random: np.random.Generator, pods: int, grains: int) -> list[int]:
    """When in the scrape interval each pod is scraped: Prometheus spreads targets over it by hash."""
    return [int(at) for at in random.integers(0, grains, pods)]


def scraped(
    arm: Arm, requests: Floats, errors: Floats, begin: float, every: int, at: Sequence[int], before: float = 1000.0
) -> Iterator[Series]:
    """The samples of an arm's counters: all that went well, and all that did not. `every`, `at`: grains."""
    for pod in range(arm.pods):
        grains = np.arange(at[pod], requests.shape[1], every)
        times = (START + begin + (grains + 1.0) * arm.grain).tolist()
        name = f"{arm.workload}-{pod}"
        for code, counted in (("200", requests[pod] - errors[pod]), ("500", errors[pod])):
            values = (before + counted[grains]).tolist()
            labels = {"__name__": "http_requests_total", "pod": name, "instance": name, "code": code}
            yield Series(labels, tuple(zip(times, values, strict=True)))


def remembered(series: Sequence[Series], start: float, end: float, step: float) -> tuple[Series, ...]:
    """What a range query over these seconds yields: at each step the newest sample, if it is no older than 5 min."""
    moments = START + np.arange(start, end + step / 2, step)
    found = []
    for one in series:
        times = np.array([at for at, _ in one.samples])
        newest = np.searchsorted(times, moments, side="right") - 1
        there = (newest >= 0) & (moments - times[newest] < 300)
        values = np.array([value for _, value in one.samples])[newest[there]]
        found.append(Series(one.labels, tuple(zip(moments[there].tolist(), values.tolist(), strict=True))))
    return tuple(found)


def summarised(wished: Analysis, stretches: Sequence[Stretch], series: Sequence[Series]) -> tuple[UsualMetric, ...]:
    """What is noted of stable's last six hours before noon."""
    asked = history_queries(wished, STABLE, [], NOON, INTERVAL)
    answers: dict[Query, Answer] = {}
    for query in asked:
        selector = parsed(query.promql)
        selected = [one for one in series if selector.matches(one.labels)]
        answers[query] = Answered(remembered(selected, -HISTORY.total_seconds(), 0.0, HISTORY_STEP.total_seconds()))
    basis = {metric.name: f"basis of {metric.name}" for metric in wished.metrics}
    return summarise_history(wished, asked, answers, basis, stretches, INTERVAL.total_seconds())
