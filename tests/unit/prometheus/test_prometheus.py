"""The client against a Prometheus that is scripted, and that breaks in every way. Nothing here may raise or block."""

import asyncio
import contextlib
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from localcluster.apiserver.certificates import write_serving_files
from modelrollout.prometheus import Prometheus
from modelrollout.prometheus.silence import FIRST_PAUSE
from modelrollout.prometheus.worker import LONGEST_GET
from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered
from tests.fakes.clock import HandClock
from tests.fakes.prometheus import (
    FakePrometheus,
    Trouble,
    fails,
    fake_prometheus,
    hang,
    hang_up,
    says,
    trickle,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
T = NOON.timestamp()
PATIENCE = timedelta(seconds=20)  # never to be used up
IMPATIENCE = timedelta(milliseconds=500)
MOMENT = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def raw(promql: str, start: float, end: float) -> Query:
    """The samples with NOON + start < t ≤ NOON + end."""
    return Query("errors", "candidate", "bad", promql, NOON + seconds(start), NOON + seconds(end), None)


def stepped(promql: str, start: float, end: float, step: float = 1) -> Query:
    return Query("accuracy", "stable", "value", promql, NOON + seconds(start), NOON + seconds(end), seconds(step))


def now(promql: str) -> Query:
    return stepped(promql, 0, 0)


@pytest.fixture
async def server() -> AsyncIterator[FakePrometheus]:
    async with fake_prometheus() as prometheus:
        yield prometheus


async def ask_one(server: FakePrometheus, query: Query, patience: timedelta = PATIENCE, **how: Any) -> Answer:
    async with Prometheus(server.url, timeout=patience, **how) as client:
        return (await client.ask([query]))[query]


class TestAnswers:
    async def test_raw_samples_are_those_after_the_start_up_to_the_end(self, server: FakePrometheus) -> None:
        server.add("errors_total", {"pod": "a"}, [(T + i, 10.0 * i) for i in range(5)])
        assert await ask_one(server, raw("errors_total", 1, 3)) == Answered(
            (Series({"__name__": "errors_total", "pod": "a"}, ((T + 2, 20.0), (T + 3, 30.0))),)
        )

    @pytest.mark.parametrize("version", [2, 3])
    async def test_windows_that_follow_one_another_share_no_sample_and_miss_none(self, version: int) -> None:
        samples = tuple((T + i / 8, float(i)) for i in range(1, 81))
        moments = [0, 0.125, 1, 1.0004, 2.4999, 2.5, 2.50049, 7.375, 10]
        async with fake_prometheus(version) as server:
            server.add("errors_total", {}, samples)
            windows = [raw("errors_total", *pair) for pair in pairwise(moments)]
            async with Prometheus(server.url, timeout=PATIENCE) as client:
                answers = await client.ask(windows)
        read = [s for a in answers.values() if isinstance(a, Answered) for series in a.series for s in series.samples]
        assert tuple(read) == samples

    async def test_an_empty_window_holds_nothing_and_is_not_asked_for(self, server: FakePrometheus) -> None:
        assert await ask_one(server, raw("errors_total", 3, 3)) == Answered(())
        assert server.asked == []

    async def test_a_counter_that_was_reset_or_not_scraped_is_shown_as_it_was(self, server: FakePrometheus) -> None:
        samples = ((T + 1, 5.0), (T + 2, 9.0), (T + 6, 2.0))
        server.add("errors_total", {}, samples)
        assert await ask_one(server, raw("errors_total", 0, 9)) == Answered(
            (Series({"__name__": "errors_total"}, samples),)
        )

    async def test_an_expression_is_evaluated_at_every_step_from_start_to_end(self, server: FakePrometheus) -> None:
        server.add("accuracy", {}, [(T + 0.5, 0.9), (T + 1.5, 0.8)])
        assert await ask_one(server, stepped("accuracy", 0.5, 2.5)) == Answered(
            (Series({"__name__": "accuracy"}, ((T + 0.5, 0.9), (T + 1.5, 0.8), (T + 2.5, 0.8))),)
        )  # at the halves: the library by itself rounds to whole seconds

    async def test_one_moment_is_asked_for_as_one(self, server: FakePrometheus) -> None:
        server.script("scalar(accuracy)", "scalar", [T, "0.93"])
        assert await ask_one(server, now("scalar(accuracy)")) == Answered((Series({}, ((T, 0.93),)),))
        assert server.asked[0]["path"] == "/api/v1/query"

    async def test_text_is_refused(self, server: FakePrometheus) -> None:
        server.script('"0.93"', "string", [T, "0.93"])
        answer = await ask_one(server, now('"0.93"'))
        assert isinstance(answer, Unanswered)
        assert answer.rejected

    @pytest.mark.parametrize("query", [raw("up", -1, 1), stepped("up", 0, 2), now("up")])
    async def test_a_partial_answer_is_none(self, server: FakePrometheus, query: Query) -> None:
        server.add("up", {}, [(T, 1.0)])
        server.warnings = ["store gateway-2 is away"]
        why = f"Prometheus at {server.url} has only a partial answer: store gateway-2 is away"
        assert await ask_one(server, query) == Unanswered(why, rejected=False)

    async def test_a_remark_on_the_meaning_of_a_query_is_logged(
        self, server: FakePrometheus, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        server.add("up", {}, [(T, 1.0)])
        server.warnings = ["PromQL info: metric might not be a counter"]
        assert await ask_one(server, now("up")) == Answered((Series({"__name__": "up"}, ((T, 1.0),)),))
        assert "metric might not be a counter" in caplog.text

    @pytest.mark.parametrize("query", [raw("up", -1, 1), stepped("up", 0, 2)])
    async def test_an_answer_of_another_type_is_the_worlds_trouble(self, server: FakePrometheus, query: Query) -> None:
        body = '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}'
        server.trouble = says(200, body, "application/json")
        answer = await ask_one(server, query)
        assert isinstance(answer, Unanswered)
        assert (not answer.rejected, "with a vector where a matrix was asked for" in answer.why) == (True, True)

    async def test_a_range_where_one_number_is_wanted_is_refused_with_a_way_out(self, server: FakePrometheus) -> None:
        server.script("up[5m]", "matrix", [{"metric": {}, "values": [[T, "1"]]}])
        answer = await ask_one(server, now("up[5m]"))
        assert isinstance(answer, Unanswered)
        assert (answer.rejected, "avg_over_time(…)" in answer.why) == (True, True)

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"status":"success","data":{"resultType":"matrix","result":[{"me'])
    async def test_an_answer_that_is_empty_or_cut_is_none(self, server: FakePrometheus, body: bytes) -> None:
        server.trouble = says(200, body, "application/json")
        answer = await ask_one(server, raw("up", -1, 1))
        assert isinstance(answer, Unanswered)
        assert (not answer.rejected, "instead of query results" in answer.why) == (True, True)

    @pytest.mark.parametrize("length", [b"Content-Length: 999", b"Transfer-Encoding: chunked"])
    async def test_a_connection_that_breaks_in_mid_answer_is_the_worlds_trouble(self, length: bytes) -> None:
        whole = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
        body = whole if b"Length" in length else b"%x\r\n%b\r\n" % (len(whole), whole)  # and no last chunk

        async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + b"\r\n\r\n" + body)
            writer.close()

        async with await asyncio.start_server(broken, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with Prometheus(f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
                (answer,) = (await client.ask([raw("up", -1, 1)])).values()
        assert isinstance(answer, Unanswered)
        assert not answer.rejected

    async def test_the_same_query_is_sent_once_and_the_answers_keep_the_order(self, server: FakePrometheus) -> None:
        server.add("up", {}, [(T, 1.0)])
        async with Prometheus(server.url, timeout=PATIENCE) as client:
            answers = await client.ask([now("down"), now("up"), now("down")])
        assert list(answers) == [now("down"), now("up")]
        assert len(server.asked) == 2

    async def test_nothing_asked_nothing_sent(self, server: FakePrometheus) -> None:
        async with Prometheus(server.url) as client:
            assert await client.ask([]) == {}
        assert server.asked == []

    async def test_a_query_too_long_for_a_url_still_arrives(self, server: FakePrometheus) -> None:
        pods = "|".join(f"fraud-7d9f-{i:05}" for i in range(2_000))
        server.add("up", {"pod": "fraud-7d9f-01999"}, [(T, 1.0)])
        answer = await ask_one(server, now(f'up{{pod=~"{pods}"}}'))
        assert isinstance(answer, Answered)
        assert len(answer.series) == 1
        await ask_one(server, now("up"))
        assert [asked["method"] for asked in server.asked] == ["POST", "GET"]
        assert len(pods) > LONGEST_GET

    async def test_headers_go_with_every_request(self, server: FakePrometheus) -> None:
        seen: list[tuple[str | None, str | None]] = []

        async def note(request: web.Request) -> web.StreamResponse:
            seen.append((request.headers.get("X-Scope-OrgID"), request.headers.get("Authorization")))
            return web.Response(status=503)

        server.trouble = note
        await ask_one(server, now("up"), headers={"X-Scope-OrgID": "ml", "Authorization": "Bearer t"})
        assert seen == [("ml", "Bearer t")]


class TestTrouble:
    @pytest.mark.parametrize(
        ("trouble", "words", "rejected"),
        [
            (fails(400, "bad_data", "parse error"), "rejects the query: parse error", True),
            (fails(422, "execution", "many-to-many"), "cannot evaluate the query: many-to-many", True),
            (fails(503, "timeout", "query timed out"), "503 (timeout): query timed out", False),
            (says(503, "Service Unavailable"), "answered 503 Service Unavailable", False),
            (says(200, "<html>Log in</html>", "text/html"), "a web page instead of query results", False),
            (says(200, b"\xff\xfe{"), "something else instead of query results", False),
            (says(200, '{"status": "success"}', "application/json"), "other JSON instead", False),
            (says(200, "not gzip", **{"Content-Encoding": "gzip"}), "did not answer: ", False),
            (says(302, "", Location="http://127.0.0.1:9/login"), "redirects to http://127.0.0.1:9/login", False),
            (hang, "did not answer within 0.5 s.", False),
            (trickle, "did not answer within 0.5 s.", False),
            (hang_up, "did not answer: ", False),
        ],
    )
    async def test_is_told_in_a_sentence_and_asked_for_only_once(
        self, server: FakePrometheus, trouble: Trouble, words: str, rejected: bool
    ) -> None:
        server.trouble = trouble
        answer = await ask_one(server, now("up"), IMPATIENCE if trouble in (hang, trickle) else PATIENCE)
        assert isinstance(answer, Unanswered)
        assert words in answer.why
        assert answer.rejected is rejected
        assert len(server.asked) == 1

    async def test_of_one_query_leaves_the_others_answered(self, server: FakePrometheus) -> None:
        server.add("up", {}, [(T, 1.0)])
        async with Prometheus(server.url, timeout=PATIENCE) as client:
            answers = await client.ask([now("up"), now("sum(")])
        assert [type(answer) for answer in answers.values()] == [Answered, Unanswered]

    async def test_a_refused_connection_is_named_as_such(self, server: FakePrometheus) -> None:
        await server.stop()
        assert await ask_one(server, now("up")) == Unanswered(
            f"Prometheus at {server.url} did not answer: Connection refused.", rejected=False
        )

    @pytest.mark.parametrize("url", ["http://no-such-host.invalid:9090", "http://a b", "http://a..b"])
    async def test_an_address_that_leads_nowhere_is_the_worlds_trouble_too(self, url: str) -> None:
        async with Prometheus(url, timeout=PATIENCE) as client:
            answer = (await client.ask([now("up")]))[now("up")]
        assert isinstance(answer, Unanswered)
        assert answer.why.startswith(f"Prometheus at {url} did not answer: ")
        assert not answer.rejected

    @pytest.mark.parametrize("url", ["", "prometheus:9090", "http://", "http://[", "ftp://prometheus"])
    async def test_what_can_be_no_address_says_how_one_looks(self, url: str) -> None:
        async with Prometheus(url) as client:
            answer = (await client.ask([now("up")]))[now("up")]
        why = f"{url!r} is no address of a Prometheus; it has to look like http://prometheus:9090"
        assert answer == Unanswered(why, rejected=False)

    async def test_a_file_of_authorities_that_is_not_there_is_named(self, server: FakePrometheus) -> None:
        url = server.url.replace("http", "https")
        async with Prometheus(url, timeout=PATIENCE, verify="/no/such/file.pem") as client:
            answer = (await client.ask([now("up")]))[now("up")]
        assert isinstance(answer, Unanswered)
        assert "/no/such/file.pem" in answer.why

    async def test_it_answers_again_at_once_when_it_is_back(self, server: FakePrometheus) -> None:
        server.add("up", {}, [(T, 1.0)])
        async with Prometheus(server.url, timeout=PATIENCE, in_flight=1) as client:
            assert isinstance((await client.ask([now("up")]))[now("up")], Answered)
            await server.stop()
            assert isinstance((await client.ask([now("up")]))[now("up")], Unanswered)
            await server.start()
            assert isinstance((await client.ask([now("up")]))[now("up")], Answered)

    async def test_a_password_in_the_url_is_not_shown(self, server: FakePrometheus) -> None:
        server.trouble = says(503, "")
        secret = server.url.replace("http://", "http://admin:secret@")
        async with Prometheus(secret, timeout=PATIENCE) as client:
            answer = (await client.ask([now("up")]))[now("up")]
        assert answer == Unanswered(f"Prometheus at {server.url} answered 503 Service Unavailable", rejected=False)

    async def test_an_answer_of_endless_size_is_not_read_to_its_end(self, server: FakePrometheus) -> None:
        async def pour(request: web.Request) -> web.StreamResponse:
            reply = web.StreamResponse()
            await reply.prepare(request)
            while True:
                await reply.write(b" " * 2**20)

        server.trouble = pour
        answer = await ask_one(server, now("up"))
        assert isinstance(answer, Unanswered)
        assert answer.rejected
        assert "more than 32 MiB" in answer.why


class TestTrust:
    @pytest.fixture
    async def secure(self, tmp_path: Path) -> AsyncIterator[tuple[FakePrometheus, Path]]:
        """A server with a certificate of its own authority, and that authority's file."""
        files = write_serving_files(tmp_path)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(files.certificate, files.key)
        async with fake_prometheus(tls=tls) as prometheus:
            prometheus.add("up", {}, [(T, 1.0)])
            yield prometheus, files.authority

    async def test_a_certificate_of_an_unknown_authority_is_refused(self, secure: tuple[FakePrometheus, Path]) -> None:
        server, _ = secure
        answer = await ask_one(server, now("up"))
        assert isinstance(answer, Unanswered)
        assert "certificate verify failed" in answer.why
        assert server.asked == []

    async def test_the_authority_may_be_named_or_waived(self, secure: tuple[FakePrometheus, Path]) -> None:
        server, authority = secure
        assert isinstance(await ask_one(server, now("up"), verify=str(authority)), Answered)
        assert isinstance(await ask_one(server, now("up"), verify=False), Answered)

    async def test_the_environment_may_name_the_authority(
        self, secure: tuple[FakePrometheus, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server, authority = secure
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        assert isinstance(await ask_one(server, now("up")), Answered)


class TestWaiting:
    async def test_many_queries_to_a_dead_server_wait_for_one_timeout_together(self, server: FakePrometheus) -> None:
        server.trouble = hang
        async with Prometheus(server.url, timeout=IMPATIENCE, in_flight=2) as client:
            queries = [now(f"m{i}") for i in range(20)]
            answers = await client.ask(queries)
        assert set(answers.values()) == {Unanswered(f"Prometheus at {server.url} did not answer within 0.5 s.", False)}
        # The eighteen others were turned away without being sent: each pair would have cost a timeout of its own.
        assert len(server.asked) == 2

    async def test_a_slow_query_does_not_turn_others_away_while_the_server_answers(
        self, server: FakePrometheus
    ) -> None:
        async def hang_on_slow(request: web.Request) -> web.StreamResponse:
            return await hang(request) if request.query["query"] == "slow" else nothing()

        server.trouble, clock = hang_on_slow, HandClock()
        async with Prometheus(server.url, timeout=PATIENCE, in_flight=2, clock=clock, sleep=clock.sleep) as client:
            slow = asyncio.create_task(client.ask([now("slow")]))
            await _until(lambda: len(server.asked) == 1)
            clock.move(1)
            first = await client.ask([now(f"m{i}") for i in range(25)])
            clock.move(PATIENCE.total_seconds())
            assert isinstance((await slow)[now("slow")], Unanswered)
            second = await client.ask([now(f"m{i}") for i in range(25)])
        assert {*first.values(), *second.values()} == {Answered(())}

    async def test_no_more_requests_than_allowed_are_under_way(self, server: FakePrometheus) -> None:
        under_way = most = 0
        three = asyncio.Event()

        async def count(_: web.Request) -> web.StreamResponse:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            if under_way == 3:
                three.set()
            await three.wait()
            for _turn in range(20):  # in which a fourth could come
                await asyncio.sleep(0)
            under_way -= 1
            return nothing()

        server.trouble = count
        async with Prometheus(server.url, timeout=PATIENCE, in_flight=3) as client:
            rounds = [client.ask([now(f"m{i}.{j}") for j in range(5)]) for i in range(20)]
            answers = await asyncio.gather(*rounds)
        assert {answer for each in answers for answer in each.values()} == {Answered(())}
        assert most == 3

    async def test_who_queues_for_too_long_behind_slow_queries_is_told(self, server: FakePrometheus) -> None:
        may_go = asyncio.Semaphore(0)

        async def take_a_while(_: web.Request) -> web.StreamResponse:
            await may_go.acquire()
            return nothing()

        server.trouble, clock = take_a_while, HandClock()
        async with Prometheus(server.url, timeout=PATIENCE, in_flight=1, clock=clock, sleep=clock.sleep) as client:
            asking = asyncio.create_task(client.ask([now(f"m{i}") for i in range(20)]))
            for number in range(1, 4):  # each takes 8 s, and 20.5 s is as long as anybody queues
                await _until(lambda number=number: len(server.asked) == number)
                clock.move(8)
                for _ in range(50):  # turns of the loop: whoever has queued for too long leaves before one is served
                    await asyncio.sleep(0)
                may_go.release()
            answers = [*(await asking).values()]
        busy = Unanswered(f"Prometheus at {server.url} is busy: 1 queries were under way for 20 s.", rejected=False)
        assert answers[0] == Answered(())
        assert answers[-1] == busy
        assert set(answers) == {Answered(()), busy}

    async def test_cancelling_leaves_at_once_and_the_client_works_on(self, server: FakePrometheus) -> None:
        server.add("up", {}, [(T, 1.0)])
        server.trouble = hang
        async with Prometheus(server.url, timeout=PATIENCE, in_flight=2) as client:
            hung = asyncio.create_task(client.ask([now("m0")]))
            await _until(lambda: len(server.asked) == 1)
            hung.cancel()
            async with asyncio.timeout(PATIENCE.total_seconds() / 2):
                with contextlib.suppress(asyncio.CancelledError):
                    await hung
                server.trouble = None
                assert isinstance((await client.ask([now("up")]))[now("up")], Answered)

    async def test_cancelling_who_queues_gives_the_place_to_the_next(self, server: FakePrometheus) -> None:
        release = asyncio.Event()

        async def wait(_: web.Request) -> web.StreamResponse:
            await release.wait()
            return nothing()

        server.trouble = wait
        async with Prometheus(server.url, timeout=PATIENCE, in_flight=1) as client:
            rounds = [asyncio.create_task(client.ask([now(f"m{i}")])) for i in range(4)]
            await _until(lambda: len(server.asked) == 1)
            for task in rounds[1:3]:
                task.cancel()
            release.set()
            done = await asyncio.gather(*rounds, return_exceptions=True)
        assert [type(each) for each in done] == [dict, asyncio.CancelledError, asyncio.CancelledError, dict]

    async def test_closing_turns_away_who_queues_and_who_comes_after(self, server: FakePrometheus) -> None:
        server.trouble = hang
        client = Prometheus(server.url, timeout=IMPATIENCE, in_flight=1)
        queued = asyncio.create_task(client.ask([now("m0"), now("m1")]))
        await _until(lambda: len(server.asked) == 1)
        await client.close()
        closed = Unanswered("The connection to Prometheus was closed.", rejected=False)
        assert (await queued)[now("m1")] == closed
        assert await client.ask([now("m2")]) == {now("m2"): closed}

    async def test_a_hanging_request_does_not_keep_the_process_from_ending(self, server: FakePrometheus) -> None:
        server.trouble = hang
        code = f"""
import asyncio, sys
from datetime import UTC, datetime, timedelta
from modelrollout.prometheus import Prometheus
from modelrollout.promql.query import Query

async def main():
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    async with Prometheus({server.url!r}, timeout=timedelta(hours=1)) as client:
        asked = asyncio.create_task(client.ask([Query("m", "a", "p", "up", noon, noon, timedelta(seconds=1))]))
        await asyncio.to_thread(sys.stdin.readline)
        asked.cancel()

asyncio.run(main())
"""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-c", code), stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        await _until(lambda: len(server.asked) == 1)
        async with asyncio.timeout(60):
            _, errors = await process.communicate(b"It is under way.\n")
        assert (process.returncode, errors) == (0, b"")


class TestSilence:
    async def test_after_a_silence_asks_are_turned_away_at_once_and_told_until_when(
        self, server: FakePrometheus
    ) -> None:
        server.trouble = hang
        async with Prometheus(server.url, timeout=IMPATIENCE) as client:
            await client.ask([now("m0")])
            (answer,) = (await client.ask([now("m1")])).values()
        assert isinstance(answer, Unanswered)
        assert re.fullmatch(
            f"Prometheus at {server.url} has not answered since {MOMENT}; it is asked again at {MOMENT}.", answer.why
        )
        assert not answer.rejected
        assert len(server.asked) == 1

    async def test_one_sign_of_life_at_a_time_goes_through_and_one_reply_ends_it(self, server: FakePrometheus) -> None:
        server.trouble = hang
        clock = HandClock()
        async with Prometheus(server.url, timeout=IMPATIENCE, clock=clock) as client:
            await client.ask([now("m0")])
            clock.move(FIRST_PAUSE)
            probing = await client.ask([now(f"m{i}") for i in range(5)])
            assert [asked["query"] for asked in server.asked] == ["m0", "1"]
            whys = [answer.why for answer in probing.values() if isinstance(answer, Unanswered)]
            assert whys[0] == f"Prometheus at {server.url} did not answer within 0.5 s."
            assert all(why.endswith("it is being asked again now.") for why in whys[1:])
            server.trouble = None
            server.add("up", {}, [(T, 1.0)])
            clock.move(2 * FIRST_PAUSE)
            (answer,) = (await client.ask([now("up")])).values()
            assert isinstance(answer, Answered)
            answers = await client.ask([now("up"), *(now(f'up{{a="{i}"}}') for i in range(5))])
            assert {type(answer) for answer in answers.values()} == {Answered}

    async def test_a_refused_connection_ends_it_and_begins_none(self, server: FakePrometheus) -> None:
        server.trouble = hang
        refused = Unanswered(f"Prometheus at {server.url} did not answer: Connection refused.", rejected=False)
        clock = HandClock()
        async with Prometheus(server.url, timeout=IMPATIENCE, clock=clock) as client:
            await client.ask([now("m0")])
            await server.stop()
            clock.move(FIRST_PAUSE)
            for i in range(3):
                assert (await client.ask([now(f"m{i}")])) == {now(f"m{i}"): refused}

    async def test_a_probe_that_nobody_waits_for_any_more_still_tells(self, server: FakePrometheus) -> None:
        server.trouble = hang
        clock = HandClock()
        async with Prometheus(server.url, timeout=IMPATIENCE, clock=clock) as client:
            await client.ask([now("m0")])
            clock.move(FIRST_PAUSE)
            probe = asyncio.create_task(client.ask([now("m1")]))
            await _until(lambda: len(server.asked) == 2)
            probe.cancel()
            async with asyncio.timeout(30):
                # How the probe ended is heard when its connection times out, which goes by the machine's clock.
                while (answer := (await client.ask([now("m2")]))[now("m2")]).why.endswith("asked again now."):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert isinstance(answer, Unanswered)
        assert "it is asked again at" in answer.why


def nothing() -> web.StreamResponse:
    """The answer to a query that matches no series."""
    return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})


async def _until(is_so: Any) -> None:
    async with asyncio.timeout(30):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.01)
