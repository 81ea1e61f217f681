"""A Prometheus that knows what a test tells it: a real HTTP server on loopback that speaks the query API.

Evaluates selectors (`name{label=~"…"}`, also with a range) over the samples it was given; every other expression has to
be scripted whole. Breaks in the ways in which a Prometheus, or what stands before it, breaks.

    async with fake_prometheus() as prometheus:
        prometheus.add("up", {"pod": "a"}, [(10.0, 1.0), (11.0, 0.0)])
        prometheus.script("sum(up)", "vector", [{"metric": {}, "value": [11, "1"]}])
        prometheus.trouble = hang
"""

import ast
import asyncio
import math
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from modelrollout.promql.query import Series

Trouble = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOKBACK = 300.0  # seconds for which an instant query still sees a sample
SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)?\s*(\{(?P<matchers>.*)\})?\s*(\[(?P<range>\w+)\])?", re.DOTALL)
MATCHER = re.compile(r"""\s*(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)\s*,?""")
DURATION = re.compile(r"(\d+)(ms|[smhd])")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class FakePrometheus:
    """Start it with `fake_prometheus`. Version 2 counts in a sample at the very start of a range, 3 does not."""

    def __init__(self, version: int = 3, tls: ssl.SSLContext | None = None) -> None:
        self.trouble: Trouble | None = None  # answers instead of us, while it is set
        self.warnings: list[str] = []
        self.asked: list[dict[str, str]] = []  # the parameters of each query that arrived, plus its method and path
        self._version, self._tls = version, tls
        self._series: list[Series] = []
        self._histograms: list[tuple[dict[str, str], list[tuple[float, dict[str, Any]]]]] = []
        self._scripts: dict[str, dict[str, Any]] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def add(self, name: str, labels: Mapping[str, str], samples: Iterable[tuple[float, float]]) -> None:
        """More samples, (unix seconds, value), of the series of that name and those labels."""
        self._series.append(Series({"__name__": name, **labels}, tuple(samples)))

    def add_histogram(
        self, name: str, labels: Mapping[str, str], samples: Iterable[tuple[float, dict[str, Any]]]
    ) -> None:
        """A native histogram: (unix seconds, {"count", "sum", "buckets"}) as the API shows it. For ranges only."""
        self._histograms.append(({"__name__": name, **labels}, list(samples)))

    def script(self, promql: str, kind: str, result: Any) -> None:
        """What to answer to exactly that expression, at any time."""
        self._scripts[promql] = {"resultType": kind, "result": result}

    async def start(self) -> None:
        """Also after `stop`: at the same address, still knowing everything."""
        app = web.Application()
        for path in ("/api/v1/query", "/api/v1/query_range"):
            app.router.add_route("*", path, self._reply)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """From now on connections are refused."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        asked = {key: str(value) for key, value in {**request.query, **await request.post()}.items()}
        self.asked.append({"method": request.method, "path": request.path, **asked})
        if self.trouble:
            return await self.trouble(request)
        try:
            data = self._scripts.get(asked["query"]) or self._evaluate(asked)
        except ValueError as mistake:
            return failure(400, "bad_data", str(mistake))
        return web.json_response({"status": "success", "data": data, "warnings": self.warnings})

    def _evaluate(self, asked: Mapping[str, str]) -> dict[str, Any]:
        selector = SELECTOR.fullmatch(asked["query"].strip())
        if not selector or not asked["query"].strip():
            raise ValueError(f'invalid parameter "query": parse error, or not scripted in this fake: {asked["query"]}')
        matches = _matches(selector)
        found = [series for series in self._merged() if matches(series.labels)]
        if selector["range"]:
            histograms = [one for one in self._histograms if matches(one[0])]
            return self._raw(found, histograms, float(asked["time"]), _seconds(selector["range"]))
        if "step" in asked:
            return _stepped(found, float(asked["start"]), float(asked["end"]), float(asked["step"]))
        at = float(asked["time"])
        values = ((series, _value_at(series, at)) for series in found)
        vector = [{"metric": dict(s.labels), "value": [at, _text(v)]} for s, v in values if v is not None]
        return {"resultType": "vector", "result": vector}

    def _merged(self) -> Iterable[Series]:
        together: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for series in self._series:
            together.setdefault(tuple(sorted(series.labels.items())), []).extend(series.samples)
        return (Series(dict(labels), tuple(sorted(samples))) for labels, samples in together.items())

    def _raw(
        self,
        found: Iterable[Series],
        histograms: Iterable[tuple[dict[str, str], list[tuple[float, dict[str, Any]]]]],
        end: float,
        length: float,
    ) -> dict[str, Any]:
        start = round(end - length, 3)

        def is_inside(at: float) -> bool:
            return (start <= at if self._version == 2 else start < at) and at <= end

        inside = ((s, [[at, _text(value)] for at, value in s.samples if is_inside(at)]) for s in found)
        matrix: list[dict[str, Any]] = [{"metric": dict(s.labels), "values": v} for s, v in inside if v]
        for labels, samples in histograms:
            if shown := [[at, histogram] for at, histogram in samples if is_inside(at)]:
                matrix.append({"metric": labels, "histograms": shown})
        return {"resultType": "matrix", "result": matrix}


def _stepped(found: Iterable[Series], start: float, end: float, step: float) -> dict[str, Any]:
    moments = [round(start + i * step, 3) for i in range(math.floor((end - start) / step + 1e-9) + 1)]
    matrix = []
    for series in found:
        values = ((at, _value_at(series, at)) for at in moments)
        if shown := [[at, _text(value)] for at, value in values if value is not None]:
            matrix.append({"metric": dict(series.labels), "values": shown})
    return {"resultType": "matrix", "result": matrix}


def _value_at(series: Series, at: float) -> float | None:
    seen = [value for t, value in series.samples if at - LOOKBACK < t <= at]
    return seen[-1] if seen else None


def _matches(selector: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    text = (selector["matchers"] or "").strip()
    matchers = [(label, kind, _unquoted(value)) for label, kind, value in MATCHER.findall(text)]
    if MATCHER.sub("", text):
        raise ValueError(f'invalid parameter "query": parse error in {{{text}}}')
    if selector["name"]:
        matchers.append(("__name__", "=", selector["name"]))

    def matches(labels: Mapping[str, str]) -> bool:
        return all(
            (
                re.fullmatch(wanted, labels.get(label, "")) is not None
                if "~" in kind
                else labels.get(label, "") == wanted
            )
            != kind.startswith("!")
            for label, kind, wanted in matchers
        )

    return matches


def _unquoted(text: str) -> str:
    # Go's escapes, which PromQL has, are among Python's.
    return text[1:-1] if text.startswith("`") else str(ast.literal_eval(text))


def _seconds(duration: str) -> float:
    return sum(int(number) * SECONDS[unit] for number, unit in DURATION.findall(duration))


def _text(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def failure(status: int, kind: str, why: str) -> web.Response:
    """An error in Prometheus' own form."""
    return web.json_response({"status": "error", "errorType": kind, "error": why}, status=status)


def fails(status: int, kind: str, why: str) -> Trouble:
    """Prometheus says what is wrong."""

    async def trouble(_: web.Request) -> web.StreamResponse:
        return failure(status, kind, why)

    return trouble


def says(status: int, body: str | bytes, content_type: str = "text/plain", **headers: str) -> Trouble:
    """Something else answers, or Prometheus while it starts."""
    content = body.encode() if isinstance(body, str) else body

    async def trouble(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=content, content_type=content_type, headers=headers)

    return trouble


async def hang(_: web.Request) -> web.StreamResponse:
    """Takes the request and never answers."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def trickle(request: web.Request) -> web.StreamResponse:
    """Begins an answer and goes on with it for ever, a byte at a time."""
    reply = web.StreamResponse(headers={"Content-Type": "application/json"})
    await reply.prepare(request)
    while True:
        await reply.write(b" ")
        await asyncio.sleep(0.02)


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Closes the connection instead of answering."""
    assert request.transport
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def fake_prometheus(version: int = 3, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakePrometheus]:
    """Running, and knowing nothing yet."""
    prometheus = FakePrometheus(version, tls)
    await prometheus.start()
    try:
        yield prometheus
    finally:
        await prometheus.stop()
