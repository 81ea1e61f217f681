"""The load generator against small servers that answer, stall, break off or are not there."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import pytest
from aiohttp import web

from localcluster.load import Failure, LoadGenerator, Sample, User

SAMPLES = [Sample((float(digit),) * 64, digit) for digit in range(10)]
TRUTH = list(range(10))
BRIEFLY = timedelta(seconds=0.5)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/predict", handler)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/predict"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.StreamResponse:
    """A model that reads the label off the first pixel."""
    label = int((await request.json())["features"][0])
    return web.json_response({"label": label, "version": "v1"}, headers={"x-model-version": "v1"})


async def test_replays_every_sample_with_its_true_label_to_the_host_it_was_told() -> None:
    seen: set[tuple[float, str, str]] = set()

    async def model(request: web.Request) -> web.StreamResponse:
        seen.add(((await request.json())["features"][0], request.headers["x-true-label"], request.host))
        return await echo(request)

    async with served(model) as url:
        users = LoadGenerator(url, SAMPLES, TRUTH, rate=100, host="digits.example", arrivals="even")
        await users.run(BRIEFLY)
    assert seen == {(float(digit), str(digit), "digits.example") for digit in range(10)}
    total = users.snapshot().total
    assert (total.requests, total.errors, total.wrong, total.harmed) == (len(users.outcomes), 0, 0, 0)


@pytest.mark.parametrize("arrivals", ["even", "poisson"])
async def test_keeps_its_rate(arrivals: str) -> None:
    async with served(echo) as url:
        users = LoadGenerator(url, SAMPLES, TRUTH, rate=200, arrivals=arrivals)  # type: ignore[arg-type]
        await users.run(timedelta(seconds=1))
    assert abs(users.snapshot().total.requests - 200) < 5 * 200**0.5


async def test_the_same_seed_brings_the_same_users_at_the_same_moments() -> None:
    async def gaps(seed: int) -> list[float]:
        async with served(echo) as url:
            users = LoadGenerator(url, SAMPLES, TRUTH, rate=100, seed=seed)
            await users.run(BRIEFLY)
        moments = sorted(outcome.at for outcome in users.outcomes)
        return [after - before for before, after in pairwise(moments)]

    first, again, other = await gaps(1), await gaps(1), await gaps(2)
    assert first == pytest.approx(again, abs=0.001)
    assert first != pytest.approx(other[: len(first)], abs=0.001)


async def test_a_stalled_server_delays_no_request_and_cannot_hide_its_stall() -> None:
    """Everybody is sent when due, and the wait of each counts from then."""
    waiting, everybody_sent = 0, asyncio.Event()

    async def model(request: web.Request) -> web.StreamResponse:
        nonlocal waiting
        waiting += 1
        if waiting == 40:
            everybody_sent.set()
        await everybody_sent.wait()
        return await echo(request)

    async with served(model) as url:
        users = LoadGenerator(url, SAMPLES, TRUTH, rate=100, arrivals="even")
        await users.run(BRIEFLY)
    waits = [outcome.latency for outcome in sorted(users.outcomes, key=lambda outcome: outcome.at)]
    assert waits[0] > 0.35
    assert waits[0] > waits[20] > waits[39]


async def test_connections_are_kept_and_used_again() -> None:
    peers: set[object] = set()

    async def model(request: web.Request) -> web.StreamResponse:
        peers.add(request.transport.get_extra_info("peername") if request.transport else None)
        return await echo(request)

    async with served(model) as url:
        users = LoadGenerator(url, SAMPLES, TRUTH, rate=100, arrivals="even")
        await users.run(BRIEFLY)
    assert len(peers) < users.snapshot().total.requests / 4


async def test_counts_whom_nobody_answered() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        users = LoadGenerator(f"http://127.0.0.1:{closed.getsockname()[1]}/predict", SAMPLES, TRUTH, rate=50)
        await users.run(BRIEFLY)
    counts = users.snapshot()
    assert counts.total.requests > 0
    assert counts.failures == {Failure.CONNECT: counts.total.requests}
    assert counts.failed_by_switch == counts.total.harmed == counts.total.requests


async def test_counts_whose_connection_broke() -> None:
    async def model(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with served(model) as url:
        users = LoadGenerator(url, SAMPLES, TRUTH, rate=50)
        await users.run(BRIEFLY)
    assert users.snapshot().failures == {Failure.RESET: users.snapshot().total.requests}


async def test_counts_who_waited_in_vain() -> None:
    async def model(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with served(model) as url:
        users = LoadGenerator(url, SAMPLES, TRUTH, rate=50, patience=timedelta(seconds=0.05))
        await users.run(timedelta(seconds=0.3))
    assert users.snapshot().failures == {Failure.TIMEOUT: users.snapshot().total.requests}


async def test_a_new_stable_changes_who_counts_as_harmed_from_then_on() -> None:
    async def model(_: web.Request) -> web.StreamResponse:
        return web.Response(text=json.dumps({"label": 0}), headers={"x-model-version": "v2"})

    async with served(model) as url:
        users = LoadGenerator(url, [Sample((1.0,), 1)], [1], stable="v1", rate=100)
        await users.run(timedelta(seconds=0.2))
        before = users.snapshot().total
        assert before.harmed == before.wrong == before.requests > 0
        users.stable_is([0], "v2")
        await users.run(timedelta(seconds=0.2))
    after = users.snapshot().total
    assert after.wrong > before.wrong
    assert after.harmed == before.harmed


async def test_stop_lets_the_last_answers_come() -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def model(request: web.Request) -> web.StreamResponse:
        asked.set()
        await may_answer.wait()
        return await echo(request)

    async with served(model) as url:
        users = LoadGenerator(url, SAMPLES, TRUTH, rate=100)
        running = asyncio.create_task(users.run())
        await asked.wait()
        users.stop()
        may_answer.set()
        await running
    assert users.snapshot().total.requests > 0
    assert users.snapshot().failures == {}


def test_refuses_answers_that_do_not_fit_the_samples() -> None:
    with pytest.raises(ValueError, match="10 samples, but 1 expected"):
        LoadGenerator("http://127.0.0.1/predict", SAMPLES, [1])
    with pytest.raises(ValueError, match="no samples"):
        LoadGenerator("http://127.0.0.1/predict", [], [])


async def test_users_come_with_their_own_headers_and_the_cookies_that_they_were_given() -> None:
    seen: set[tuple[str, str]] = set()

    async def model(request: web.Request) -> web.StreamResponse:
        bucket = request.headers["x-bucket"]
        seen.add((bucket, request.headers.get("Cookie", "")))
        answer = await echo(request)
        answer.set_cookie("arm", f"arm-of-{bucket}")
        return answer

    people = (User("anne", {"x-bucket": "b0"}), User("bob", {"x-bucket": "b1"}))
    async with served(model) as url:
        load = LoadGenerator(url, SAMPLES, TRUTH, rate=100, users=people)
        await load.run(BRIEFLY)
    assert seen == {("b0", ""), ("b0", "arm=arm-of-b0"), ("b1", ""), ("b1", "arm=arm-of-b1")}
    assert {one.user for one in load.outcomes} == {"anne", "bob"}


async def test_strangers_have_no_names_and_keep_no_cookies() -> None:
    seen: set[str] = set()

    async def model(request: web.Request) -> web.StreamResponse:
        seen.add(request.headers.get("Cookie", ""))
        answer = await echo(request)
        answer.set_cookie("arm", "candidate")
        return answer

    async with served(model) as url:
        load = LoadGenerator(url, SAMPLES, TRUTH, rate=100)
        await load.run(BRIEFLY)
    assert seen == {""}
    assert {one.user for one in load.outcomes} == {None}
