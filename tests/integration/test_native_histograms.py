"""Native histograms of a real Prometheus, against the observations that were made: is the format what we take it for?

A page in the protobuf exposition format is scraped, the only one that has native histograms. Its messages are described
here, with the numbers of https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto.
"""

from __future__ import annotations

import bisect
import math
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
import pytest_asyncio

from modelrollout.analysis.samples.histogram_forms import in_one_form
from modelrollout.prometheus import Prometheus
from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered
from modelrollout.promql.selectors import histogram_selector
from tests.integration.scraped import Page, scraped, until

protobuf = pytest.importorskip("google.protobuf", reason="protobuf is not installed: pip install modelrollout[sandbox]")

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is not on PATH: apt-get install prometheus"
    ),
]

DELIMITED = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
HISTOGRAM_TYPE = 4
ZERO = 2.0**-128
CLASSIC = (0.1, 1.0, 10.0)
MINUTE = timedelta(minutes=1)

LATENCIES = {
    "wide": [0.0, 0.0011, 0.01, 0.01, 0.3, 0.31, 0.99, 1.0, 1.001, 7.5, 40.0],
    "narrow": [0.25, 0.26, 0.27],
    "negative": [-5.0, -0.5, -0.5, 0.0, 2.0],
    "empty": [],
}


def messages() -> Any:
    """The class of MetricFamily, with as much of it as is needed."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    types = {
        "string": field.TYPE_STRING,
        "enum": field.TYPE_INT32,
        "uint64": field.TYPE_UINT64,
        "double": field.TYPE_DOUBLE,
        "sint32": field.TYPE_SINT32,
        "sint64": field.TYPE_SINT64,
        "uint32": field.TYPE_UINT32,
    }
    described = {
        "LabelPair": "string name 1, string value 2",
        "Bucket": "uint64 cumulative_count 1, double upper_bound 2",
        "BucketSpan": "sint32 offset 1, uint32 length 2",
        "Histogram": "uint64 sample_count 1, double sample_sum 2, *Bucket bucket 3, sint32 schema 5, "
        "double zero_threshold 6, uint64 zero_count 7, *BucketSpan negative_span 9, *sint64 negative_delta 10, "
        "*BucketSpan positive_span 12, *sint64 positive_delta 13",
        "Metric": "*LabelPair label 1, Histogram histogram 7",
        "MetricFamily": "string name 1, string help 2, enum type 3, *Metric metric 4",
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="test/metrics.proto", package="io.prometheus.client", syntax="proto3"
    )
    for name, fields in described.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            kind, label, number = text.split()
            repeated = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            if kind in types:
                message.field.add(name=label, number=int(number), type=types[kind], label=repeated)
            else:
                type_name = f".io.prometheus.client.{kind}"
                message.field.add(
                    name=label, number=int(number), type=field.TYPE_MESSAGE, label=repeated, type_name=type_name
                )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("io.prometheus.client.MetricFamily"))


@dataclass(frozen=True)
class Observed:
    """One pod's observations, and the resolution in which it shows them."""

    pod: str
    values: Sequence[float]
    schema: int
    is_native: bool = True

    def show(self, metric: Any) -> None:
        metric.label.add(name="pod", value=self.pod)
        shown = metric.histogram
        shown.sample_count, shown.sample_sum = len(self.values), math.fsum(self.values)
        if not self.is_native:
            for edge in (*CLASSIC, math.inf):
                shown.bucket.add(cumulative_count=sum(value <= edge for value in self.values), upper_bound=edge)
            return
        shown.schema, shown.zero_threshold = self.schema, ZERO
        shown.zero_count = sum(abs(value) <= ZERO for value in self.values)
        _sparse((v for v in self.values if v > ZERO), self.schema, shown.positive_span, shown.positive_delta)
        _sparse((-v for v in self.values if v < -ZERO), self.schema, shown.negative_span, shown.negative_delta)
        if not shown.positive_span and not shown.negative_span:
            shown.positive_span.add(offset=0, length=0)  # how an empty native histogram is told from a classic one


def _sparse(values: Iterable[float], schema: int, spans: Any, deltas: Any) -> None:
    """Bucket i holds what is in (2^((i-1)/2^schema), 2^(i/2^schema)]; runs of buckets, counts as differences."""
    counts = Counter(math.ceil(round(math.log2(value) * 2.0**schema, 9)) for value in values)
    follows = before = 0
    for _, run in groupby(enumerate(sorted(counts)), key=lambda place: place[1] - place[0]):
        indices = [index for _, index in run]
        spans.add(offset=indices[0] - follows, length=len(indices))
        follows = indices[-1] + 1
        for index in indices:
            deltas.append(counts[index] - before)
            before = counts[index]


def page(*pods: Observed) -> bytes:
    family = messages()(name="latency_seconds", help="h", type=HISTOGRAM_TYPE)
    for pod in pods:
        pod.show(family.metric.add())
    content = family.SerializeToString()
    length, size = bytearray(), len(content)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([*length, size]) + content


class World:
    """A Prometheus that keeps native histograms, and the pages of two processes that it scrapes."""

    def __init__(self, page: Page, other_page: Page, client: Prometheus) -> None:
        self.page, self.other_page, self._client = page, other_page, client

    async def ask(self, promql: str, *, at_once: bool = False) -> Answer:
        now = datetime.now(UTC)
        query = Query("m", "candidate", "histogram", promql, now if at_once else now - MINUTE, now, None)
        if at_once:
            query = Query("m", "candidate", "value", promql, now, now, MINUTE)
        return (await self._client.ask([query]))[query]

    async def series(self, promql: str) -> tuple[Series, ...]:
        answer = await self.ask(promql)
        assert isinstance(answer, Answered), answer
        return answer.series

    async def buckets(self, promql: str) -> dict[str, dict[float, float]]:
        """For each pod the newest count at each edge."""
        found: dict[str, dict[float, float]] = {}
        for series in await self.series(promql):
            found.setdefault(series.labels["pod"], {})[float(series.labels["le"])] = series.samples[-1][1]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    shown = Page(page(*(Observed(pod, values, schema=3) for pod, values in LATENCIES.items())), DELIMITED)
    nothing, folder = Page(b"", DELIMITED), tmp_path_factory.mktemp("prometheus")
    async with (
        scraped([shown, nothing], folder, flags=["--enable-feature=native-histograms"]) as url,
        Prometheus(url) as client,
    ):
        world = World(shown, nothing, client)

        async def is_scraped() -> bool:
            return len(await world.buckets("latency_seconds")) == len(LATENCIES)

        await until(is_scraped)
        yield world


async def test_every_bucket_holds_what_was_observed(world: World) -> None:
    found = await world.buckets("latency_seconds")
    for pod, values in LATENCIES.items():
        assert found[pod][math.inf] == len(values)
        for edge, count in found[pod].items():
            assert count == bisect.bisect_right(sorted(values), edge * (1 + 1e-9)), (pod, edge)


async def test_all_pods_share_the_edges_of_the_resolution(world: World) -> None:
    found = await world.buckets('latency_seconds{pod!="negative"}')
    assert {round(math.log2(edge) * 8) for edge in found["wide"] if 0.5 <= edge <= 1} == set(range(-8, 1))
    assert set(found["wide"]) == set(found["narrow"]) == set(found["empty"])


async def test_quantiles_of_ours_are_those_of_prometheus_to_a_bucket(world: World) -> None:
    (theirs,) = (await _answered(world, 'histogram_quantile(0.5, latency_seconds{pod="wide"})')).series
    buckets = (await world.buckets('latency_seconds{pod="wide"}'))["wide"]
    median = min(edge for edge, count in buckets.items() if count >= buckets[math.inf] / 2)
    assert median / 2 ** (1 / 8) <= theirs.samples[-1][1] <= median * (1 + 1e-9)


async def _answered(world: World, promql: str) -> Answered:
    answer = await world.ask(promql, at_once=True)
    assert isinstance(answer, Answered), answer
    return answer


async def test_an_expression_must_not_yield_histograms(world: World) -> None:
    answer = await world.ask("sum(latency_seconds)", at_once=True)
    assert isinstance(answer, Unanswered)
    assert answer.rejected


async def test_resolution_growth_and_restart_show_as_they_were(world: World) -> None:
    """The last test of this file that reads the page as it was: it changes it."""
    promql = 'latency_seconds{pod="turning"}'
    lives = [
        Observed("turning", [1.05, 1.5], schema=3),
        Observed("turning", [1.05, 1.5, 1.5, 3.0], schema=1),
        Observed("turning", [6.0], schema=1),
    ]
    for life in lives:
        world.page.body = page(life)

        async def is_seen(life: Observed = life) -> bool:
            buckets = await world.buckets(promql)
            return bool(buckets) and buckets["turning"][math.inf] == len(life.values)

        await until(is_seen)
    by_edge = {series.labels["le"]: _turns(series) for series in await world.series(promql)}
    assert by_edge["1.41421356237"] == [1, 0]
    assert by_edge["2.0"] == [2, 3, 0]
    assert by_edge["8.0"] == by_edge["+Inf"] == [2, 4, 1]
    assert "1.09050773267" not in by_edge  # known at first, and later no more


def _turns(series: Series) -> list[float]:
    return [value for value, _ in groupby(value for _, value in series.samples)]


async def test_one_selector_finds_a_pod_that_has_native_and_one_that_has_classic_histograms(world: World) -> None:
    world.page.body = page(Observed("new", [0.5, 0.7], schema=3))
    world.other_page.body = page(Observed("old", LATENCIES["wide"], schema=3, is_native=False))
    for text in ("latency_seconds_bucket", "latency_seconds"):
        asked = histogram_selector(text + '{pod=~"old|new"}')

        async def are_both_there(asked: str = asked) -> bool:
            return {series.labels["pod"] for series in await world.series(asked)} == {"old", "new"}

        await until(are_both_there)
        answered = await world.series(asked)
        assert in_one_form(answered) == answered
        newest = {(one.labels["pod"], float(one.labels["le"])): one.samples[-1][1] for one in answered}
        assert [newest["old", edge] for edge in (*CLASSIC, math.inf)] == [4, 8, 10, 11]
        assert [newest["new", edge] for edge in (0.25, 0.5, 1.0, math.inf)] == [0, 1, 2, 2]
