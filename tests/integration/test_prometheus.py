"""A real Prometheus scraping pods of a real or built-in API server, asked through the operator's own client.

The pods are objects in the API, with an exporter of this test behind each address: what they expose is known exactly.
"""

import asyncio
import math
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from localcluster.kubernetes import api_server
from localcluster.metrics import Metrics, PrometheusFailedError, PrometheusMissingError, prometheus
from localcluster.metrics.server import Server, reserved_port
from modelrollout.kube import Cluster
from modelrollout.objects.resources import PODS
from modelrollout.prometheus import Prometheus
from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is not on PATH: apt-get install prometheus"
    ),
]

SCRAPE = timedelta(milliseconds=250)
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Exporter:
    """What stands behind a pod's address: `text` on /metrics, or an error while `is_broken`."""

    host: str
    port: int = 0
    text: str = ""
    path: str = "/metrics"
    is_broken: bool = False
    scrapes: int = field(default=0)

    async def reply(self, request: web.Request) -> web.Response:
        if request.path != self.path:
            return web.Response(status=404)
        self.scrapes += 1
        return web.Response(status=500) if self.is_broken else web.Response(text=self.text)


@dataclass(frozen=True, slots=True)
class World:
    cluster: Cluster
    metrics: Metrics
    client: Prometheus
    exits: AsyncExitStack
    exporters: dict[str, Exporter] = field(default_factory=dict)  # by the name of their pod

    async def pod(
        self,
        name: str,
        host: str,
        text: str,
        *,
        port_name: str = "http",
        path: str = "/metrics",
        annotations: dict[str, str] | None = None,
        **metadata: Any,
    ) -> None:
        """A pod in the API and what it exposes; `_PORT_` in an annotation stands for its port."""
        exporter = await self.exits.enter_async_context(exporting(Exporter(host, text=text, path=path)))
        values = {key: value.replace("_PORT_", str(exporter.port)) for key, value in (annotations or {}).items()}
        container = {"name": "server", "image": "x", "ports": [{"name": port_name, "containerPort": exporter.port}]}
        metadata |= {"name": name, "namespace": "default", "annotations": values}
        spec = {"nodeName": "sandbox", "containers": [container]}
        await self.cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        status = {"phase": "Running", "podIP": host, "podIPs": [{"ip": host}]}
        await self.cluster.patch(PODS, "default", name, {"status": status}, subresource="status")
        self.exporters[name] = exporter

    async def now(self, promql: str) -> Answer:
        moment = datetime.now(UTC)
        query = Query("m", "candidate", "value", promql, moment, moment, SCRAPE)
        return (await self.client.ask([query]))[query]

    async def raw(self, promql: str, start: datetime, end: datetime) -> Answer:
        query = Query("m", "candidate", "bad", promql, start, end, None)
        return (await self.client.ask([query]))[query]

    async def values(self, promql: str) -> list[float]:
        return [series.samples[-1][1] for series in series_of(await self.now(promql))]

    async def recent(self, promql: str) -> list[tuple[float, float]]:
        """The samples of the last minute of the one series."""
        end = datetime.now(UTC)
        found = series_of(await self.raw(promql, end - MINUTE, end))
        return list(found[0].samples) if found else []

    async def are_up(self) -> bool:
        """Whether all pods that can be have been scraped."""
        return len(await self.values("up == 1")) == len(self.exporters) - 1  # shy does not want to be


def series_of(answer: Answer) -> Sequence[Series]:
    assert isinstance(answer, Answered), answer
    return answer.series


@asynccontextmanager
async def exporting(exporter: Exporter) -> AsyncIterator[Exporter]:
    app = web.Application()
    app.router.add_get("/{path:.*}", exporter.reply)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, exporter.host, 0).start()
        exporter.port = runner.addresses[0][1]
        yield exporter
    finally:
        await runner.cleanup()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    async with (
        api_server(folder / "kubernetes") as endpoint,
        Cluster.connect(endpoint.kubeconfig) as cluster,
        AsyncExitStack() as exits,
        prometheus(cluster, folder / "metrics", scrape_interval=SCRAPE) as metrics,
        Prometheus(metrics.url) as client,
    ):
        world = World(cluster, metrics, client, exits)
        # All at once: Prometheus looks for new targets every five seconds only.
        where = {"prometheus.io/port": "_PORT_", "prometheus.io/path": "/stats"}
        await world.pod("fraud-a", "127.64.201.1", "up_to_date 1\n", labels={"app.kubernetes.io/name": "fraud"})
        await world.pod("annotated", "127.64.201.2", "annotated 1\n", port_name="x", path="/stats", annotations=where)
        await world.pod("shy", "127.64.201.3", "shy 1\n", annotations={"prometheus.io/scrape": "false"})
        await world.pod("leaving", "127.64.201.4", "served_total 7\n", finalizers=["test.modelrollout.dev/leaving"])
        await world.pod("odd", "127.64.201.5", 'odd{kind="a"} NaN\nodd{kind="b"} +Inf\nodd{kind="c"} -Inf\n')
        await world.pod("restarting", "127.64.201.6", "errors_total 5\n")
        await world.pod("steady", "127.64.201.7", "requests_total 1\n")
        await until(world.are_up)
        yield world


async def test_a_pod_is_scraped_under_the_names_it_has_on_a_cluster(world: World) -> None:
    (series,) = series_of(await world.now("up_to_date"))
    assert series.labels == {
        "__name__": "up_to_date",
        "job": "pods",
        "instance": f"127.64.201.1:{world.exporters['fraud-a'].port}",
        "namespace": "default",
        "pod": "fraud-a",
        "container": "server",
        "app_kubernetes_io_name": "fraud",
    }


async def test_annotations_lead_to_another_port_and_path_or_to_none(world: World) -> None:
    assert await world.values("annotated") == [1.0]
    assert world.exporters["shy"].scrapes == 0  # it would have been discovered together with the others


async def test_a_terminating_pod_is_scraped_until_it_is_gone_and_then_goes_stale(world: World) -> None:
    exporter = world.exporters["leaving"]
    await world.cluster.delete(PODS, "default", "leaving", grace=0)
    pod = await world.cluster.read(PODS, "default", "leaving")
    assert pod
    assert pod["metadata"]["deletionTimestamp"]
    scrapes = exporter.scrapes + 30  # longer than Prometheus takes to drop a target: five seconds

    async def is_still_scraped() -> bool:
        return exporter.scrapes >= scrapes

    await until(is_still_scraped)
    await world.cluster.patch(PODS, "default", "leaving", {"metadata": {"finalizers": None}})

    async def is_stale() -> bool:
        return await world.values('served_total{pod="leaving"}') == []

    await until(is_stale)  # long before the five minutes for which a sample is taken for current
    samples = await world.recent('served_total{pod="leaving"}')
    assert len(samples) > 30
    assert {value for _, value in samples} == {7.0}  # the marker of staleness is no sample


async def test_nan_and_infinity_arrive_as_numbers_and_nothing_as_nothing(world: World) -> None:
    nan, positive, negative = await world.values("odd")
    assert math.isnan(nan)
    assert (positive, negative) == (math.inf, -math.inf)
    assert [math.isnan(v) for _, v in await world.recent('odd{kind="a"}')].count(False) == 0
    assert await world.now("no_such_metric") == Answered(())
    assert [math.isnan(value) for value in await world.values("0/0")] == [True]
    assert await world.values("vector(1) > 2") == []


async def test_scalars_are_read_and_texts_are_not(world: World) -> None:
    (scalar,) = series_of(await world.now("scalar(vector(0.93))"))
    assert (scalar.labels, [value for _, value in scalar.samples]) == ({}, [0.93])
    assert await world.now('"0.93"') == Unanswered(
        "The query answers with a string; it has to yield numbers.", rejected=True
    )


async def test_an_expression_is_evaluated_at_every_step(world: World) -> None:
    end = datetime.now(UTC).replace(microsecond=250_000)
    query = Query("m", "stable", "value", "vector(time())", end - timedelta(seconds=2), end, timedelta(seconds=1))
    (series,) = series_of((await world.client.ask([query]))[query])
    assert series.samples == tuple((end.timestamp() - i, end.timestamp() - i) for i in (2, 1, 0))


async def test_a_counter_that_was_reset_and_a_gap_in_scraping_show_as_they_were(world: World) -> None:
    exporter = world.exporters["restarting"]

    async def newest_is(value: float) -> None:
        async def is_so() -> bool:
            samples = await world.recent('errors_total{pod="restarting"}')
            return bool(samples) and samples[-1][1] == value

        await until(is_so)

    await newest_is(5)
    exporter.is_broken = True
    missed = exporter.scrapes + 4
    await until(_reaches(exporter, missed))
    exporter.text, exporter.is_broken = "errors_total 2\n", False
    await newest_is(2)
    samples = await world.recent('errors_total{pod="restarting"}')
    assert sorted({value for _, value in samples}) == [2.0, 5.0]
    steps = [after[0] - before[0] for before, after in pairwise(samples)]
    assert max(steps) > 4 * SCRAPE.total_seconds()  # nothing was filled in
    (dip,) = [after[0] - before[0] for before, after in pairwise(samples) if after[1] < before[1]]
    assert dip == max(steps)


def _reaches(exporter: Exporter, scrapes: int) -> Callable[[], Awaitable[bool]]:
    async def reaches() -> bool:
        return exporter.scrapes >= scrapes

    return reaches


async def test_windows_that_follow_one_another_share_no_sample_and_miss_none(world: World) -> None:
    exporter = world.exporters["steady"]
    await until(_reaches(exporter, exporter.scrapes + 12))
    promql = 'requests_total{pod="steady"}'
    all_of_it = await world.recent(promql)
    first = datetime.fromtimestamp(all_of_it[0][0], UTC) - timedelta(milliseconds=1)
    # Windows that begin and end exactly at samples: what 2.x would count into both.
    moments = [first, *(datetime.fromtimestamp(at, UTC) for at, _ in all_of_it[2::3])]
    pieces: list[tuple[float, float]] = []
    for start, end in pairwise(moments):
        for series in series_of(await world.raw(promql, start, end)):
            pieces += series.samples
    assert len(pieces) > 6
    assert pieces == all_of_it[: len(pieces)]


async def test_wrong_queries_are_the_users_to_mend(world: World) -> None:
    answers = [
        await world.now("sum(rate(x[1m])"),
        await world.now("up + on(job) group_left() up"),
        await world.raw("rate(up[1m])", datetime.now(UTC) - MINUTE, datetime.now(UTC)),
    ]
    assert all(isinstance(answer, Unanswered) and answer.rejected for answer in answers), answers
    assert "parse error" in str(answers[0])


async def test_prometheus_is_taken_away_and_comes_back_where_it_was_with_what_it_knew(world: World) -> None:
    before = await world.recent('requests_total{pod="steady"}')
    await world.metrics.stop()
    await world.metrics.stop()
    assert await world.now("up") == Unanswered(
        f"Prometheus at {world.metrics.url} did not answer: Connection refused.", rejected=False
    )
    await world.metrics.start()
    await world.metrics.start()

    async def has_gone_on() -> bool:
        samples = await world.recent('requests_total{pod="steady"}')
        assert samples[: len(before)] == before
        return len(samples) > len(before)

    await until(has_gone_on)


async def test_nothing_is_left_behind(world: World, tmp_path: Path) -> None:
    urls = []

    async def fail_while_it_runs() -> None:
        async with prometheus(world.cluster, tmp_path) as metrics:
            urls.append(metrics.url)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_while_it_runs()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(urls[0])


async def test_a_prometheus_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text("scrape_configs: nonsense\n")
    program = shutil.which("prometheus")
    assert program
    with reserved_port() as port, pytest.raises(PrometheusFailedError, match="cannot unmarshal"):
        await Server(Path(program), tmp_path, port).start()


async def test_a_machine_without_prometheus_is_told_what_to_install(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrometheusMissingError, match="apt-get install prometheus, or https://"):
        async with prometheus(world.cluster, tmp_path):
            pass
