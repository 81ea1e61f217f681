"""A comparer between two versions, over HTTP: what it asks, counts, sheds and survives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.fakes.versions import (
    Answering,
    byte_server,
    compare,
    comparer,
    comparison,
    config,
    model_server,
    says,
    streams,
    waits_for,
)

NOBODY = "http://127.0.0.1:9"


async def test_counts_answers_that_agree() -> None:
    async with comparison(says({"label": 3}), says({"label": 3})) as (bench, _, _):
        await bench.compared({"features": [1]})
        assert await bench.counts("comparisons_total", "revision") == {"new": 1}
        assert await bench.counts("agreements_total", "rollout") == {"fraud": 1}
        assert await bench.counts("disagreements_total") == {}
        assert await bench.counts("answer_seconds_count", "arm") == {"stable": 1, "candidate": 1}


async def test_counts_answers_that_do_not() -> None:
    async with comparison(says({"label": 3}), says({"label": 5}), agreement={"path": "$.label"}) as (bench, _, _):
        await bench.compared({"features": [1]})
        assert await bench.counts("disagreements_total", "reason") == {"number": 1}
        assert await bench.counts("comparisons_total") == {"comparisons_total": 1}


async def test_counters_are_there_before_anything_happens() -> None:
    async with comparison(says({}), says({})) as (bench, _, _):
        text = await bench.read("/metrics")
    assert 'modelrollout_comparer_comparisons_total{revision="new",rollout="fraud",rollout_ns="ml",' in text
    assert 'modelrollout_comparer_disagreements_total{reason="value",revision="new",rollout="fraud"' in text


async def test_asks_both_with_the_same_request_marked_as_a_shadow() -> None:
    async with comparison(says({}), says({})) as (bench, stable, candidate):
        headers = {"Content-Type": "application/json", "Connection": "keep-alive, X-Hop", "X-Hop": "1", "X-User": "7"}
        await bench.compared({"a": 1}, path="/v1/predict?top=3", Host="fraud.example.com-shadow", **headers)
    for server in (stable, candidate):
        (asked,) = server.asked
        assert (asked.method, asked.raw_path, await asked.read()) == ("POST", "/v1/predict?top=3", b'{"a": 1}')
        assert asked.headers["X-ModelRollout-Shadow"] == "true"
        assert asked.headers["Host"] == "fraud.example.com"
        assert asked.headers["X-User"] == "7"
        assert "X-Hop" not in asked.headers


async def test_answers_the_gateway_while_the_versions_still_think() -> None:
    thought = asyncio.Event()
    async with comparison(waits_for(thought), waits_for(thought)) as (bench, _, _):
        assert await bench.send({}) == 202
        thought.set()
        await bench.running.intake.rest()
        assert await bench.counts("agreements_total") == {"agreements_total": 1}


async def test_a_copy_beyond_the_limit_is_shed_and_never_waits() -> None:
    thought = asyncio.Event()
    async with comparison(waits_for(thought), says({"label": 1}), limits={"concurrency": 1}) as (bench, stable, _):
        assert [await bench.send({}) for _ in range(3)] == [202, 202, 202]
        thought.set()
        await bench.running.intake.rest()
        await bench.compared({})
        assert await bench.counts("shed_total", "reason") == {"busy": 2}
        assert await bench.counts("copies_total", "size") == {"1KiB": 4}
        assert len(stable.asked) == 2


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"method": "DELETE"}, "method"),
        ({"body": {}, "x-modelrollout-shadow": "true"}, "marked"),
        ({"body": b"x" * 1025}, "too_large"),
    ],
)
async def test_sheds_what_must_not_be_asked_twice(sent: dict[str, Any], reason: str) -> None:
    async with comparison(says({}), says({}), limits={"bodyKibibytes": 1}) as (bench, stable, candidate):
        await bench.compared(**sent)
        assert await bench.counts("shed_total", "reason") == {reason: 1}
    assert (stable.asked, candidate.asked) == ([], [])


async def test_a_body_that_never_said_how_long_it_is_is_cut_at_the_limit() -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b"x" * 1024

    async with comparison(says({}), says({}), limits={"bodyKibibytes": 1}) as (bench, _, _):
        url = f"http://127.0.0.1:{bench.running.copies}/"
        async with bench.client.post(url, data=endless()) as response:
            assert response.status == 202
        assert await bench.counts("shed_total", "reason") == {"too_large": 1}
        assert await bench.counts("copies_total", "size") == {"untold": 1}


async def test_a_gateway_that_hangs_up_in_the_middle_leaves_its_place() -> None:
    async with comparison(says({}), says({}), limits={"concurrency": 1}) as (bench, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.running.copies)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        writer.write_eof()
        await reader.read()
        writer.close()
        await bench.compared({})
        assert await bench.counts("agreements_total") == {"agreements_total": 1}


async def test_outside_the_sample_the_candidate_alone_is_asked() -> None:
    async with comparison(says({}), says({}), sample="0.0000001%") as (bench, stable, candidate):
        await bench.compared({})
        assert await bench.counts("answer_seconds_count", "arm") == {"candidate": 1}
        assert await bench.counts("comparisons_total") == {}
    assert (len(stable.asked), len(candidate.asked)) == (0, 1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "broken"),
        (b"\x00\xff\x13garbage\r\n\r\n", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, "too_large"),
        (b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {"choices": [{}]}\n\n', "truncated"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"y" * 100_000 + b"\r\n\r\n", "broken"),
    ],
)
async def test_garbage_of_either_version_is_a_failure_of_it_and_hurts_nobody(reply: bytes, reason: str) -> None:
    limits = compare(limits={"bodyKibibytes": 1})
    async with model_server(says({})) as good, byte_server(reply) as bad:
        for told, arm in ((config(good.url, bad, limits), "candidate"), (config(bad, good.url, limits), "stable")):
            async with comparer(told) as bench:
                await bench.compared({})
                assert await bench.counts("failures_total", "arm") == {arm: 1}
                assert await bench.counts("failures_total", "reason") == {reason: 1}
                assert await bench.counts("shed_total") == {}


async def test_a_candidate_that_fails_where_stable_answers_disagrees() -> None:
    async with comparison(says({}), says({}, status=503)) as (bench, _, _):
        await bench.compared({})
        assert await bench.counts("disagreements_total", "reason") == {"failed": 1}
        assert await bench.counts("failures_total", "reason") == {"status": 1}


@pytest.mark.parametrize(
    ("stable", "candidate", "reason"),
    [
        (says({}, status=500), says({}), "stable_failed"),
        (says({}, status=404), says({}, status=404), "refused_by_both"),
        (streams(b"{nonsense", content_type="application/json"), says({}), "stable_unreadable"),
    ],
)
async def test_says_nothing_where_stable_has_no_answer(stable: Answering, candidate: Answering, reason: str) -> None:
    async with comparison(stable, candidate) as (bench, _, _):
        await bench.compared({})
        assert await bench.counts("uncompared_total", "reason") == {reason: 1}
        assert await bench.counts("comparisons_total") == {}


async def test_a_candidate_that_nobody_reaches_is_not_said_to_disagree() -> None:
    async with model_server(says({})) as stable, comparer(config(stable.url, NOBODY)) as bench:
        await bench.compared({})
        assert await bench.counts("uncompared_total", "reason") == {"candidate_unreachable": 1}


async def test_another_status_disagrees() -> None:
    async with comparison(says({}), says({}, status=422)) as (bench, _, _):
        await bench.compared({})
        assert await bench.counts("disagreements_total", "reason") == {"status": 1}


async def test_a_version_that_never_answers_takes_its_place_for_the_timeout_only() -> None:
    never = asyncio.Event()
    async with comparison(says({}), waits_for(never), limits={"timeout": "50ms"}) as (bench, _, _):
        await bench.compared({})
        assert await bench.counts("disagreements_total", "reason") == {"failed": 1}
        assert await bench.counts("failures_total", "reason") == {"timeout": 1}
        never.set()


async def test_segments_come_from_a_header_and_are_never_more_than_allowed() -> None:
    async with comparison(says({}), says({}), segment={"header": "x-tenant", "values": 2}) as (bench, _, _):
        for tenant in ("a", "b", "c", "a", "d"):
            await bench.compared({}, **{"x-tenant": tenant})
        await bench.compared({})
        assert await bench.counts("comparisons_total", "segment") == {"a": 2, "b": 1, "other": 2, "none": 1}


async def test_segments_come_from_the_body() -> None:
    async with comparison(says({}), says({}), segment={"path": "$.user.country"}) as (bench, _, _):
        for body in ({"user": {"country": "ch"}}, {"user": {"country": "\ud800"}}, {"user": {}}, b"no JSON"):
            await bench.compared(body)
        assert await bench.counts("comparisons_total", "segment") == {"ch": 1, "?": 1, "none": 2}


async def test_a_disagreement_can_be_looked_at_without_its_bodies() -> None:
    async with comparison(says({"label": 3}), says({"label": 5})) as (bench, _, _):
        await bench.compared({"name": "Ada"}, path="/predict?name=Ada", **{"x-request-id": "r1"})
        (found,) = await bench.disagreements()
    assert {key: found[key] for key in ("reason", "segment", "method", "path", "requestId")} == {
        "reason": "number",
        "segment": "all",
        "method": "POST",
        "path": "/predict",
        "requestId": "r1",
    }
    assert (found["stable"]["status"], found["candidate"]["status"]) == (200, 200)
    assert "Ada" not in str(found)


async def test_bodies_are_kept_where_it_was_asked_for_and_blacked_out() -> None:
    examples = {"keep": 1, "bodies": True, "redact": ["$.name"]}
    async with comparison(says({"label": 3}), says({"label": 5, "name": "Ada"}), examples=examples) as (bench, _, _):
        await bench.compared({"name": "Bob"})
        await bench.compared({"name": "Ada", "age": 36})
        (found,) = await bench.disagreements()
    assert found["requestBody"] == {"name": "(redacted)", "age": 36}
    assert (found["stableBody"], found["candidateBody"]) == ({"label": 3}, {"label": 5, "name": "(redacted)"})


async def test_a_body_that_is_no_json_is_blacked_out_whole() -> None:
    examples = {"bodies": True, "redact": ["$.name"]}
    async with comparison(says({"label": 3}), says({"label": 5}), examples=examples) as (bench, _, _):
        await bench.compared(b"name=Ada")
        assert (await bench.disagreements())[0]["requestBody"] == "(redacted)"


async def test_a_packed_body_is_passed_on_as_it_came() -> None:
    async def packed(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"encoding": request.headers["Content-Encoding"]})

    async with comparison(packed, packed) as (bench, _, _):
        await bench.compared(b"\x1f\x8bnot really", **{"Content-Encoding": "gzip"})
        assert await bench.counts("agreements_total") == {"agreements_total": 1}


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async def elsewhere(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://elsewhere.example.com/"})

    async with comparison(elsewhere, elsewhere) as (bench, _, candidate):
        await bench.compared({})
        assert await bench.counts("uncompared_total", "reason") == {"refused_by_both": 1}
        assert len(candidate.asked) == 1


async def test_says_that_it_is_well() -> None:
    async with comparison(says({}), says({})) as (bench, _, _):
        assert await bench.read("/healthz") == "ok\n"
