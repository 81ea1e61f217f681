"""Smoke requests over HTTP: how they are sent, and what comes back however the other side behaves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import unused_port

from modelrollout.api.smoke import SmokeRequest
from modelrollout.comparer.answers import Answer, Failure, Reply, Trouble
from modelrollout.shell.smoking import ByHTTP
from modelrollout.trial.smoke import LARGEST, SmokeRound, unmet
from tests import builders
from tests.fakes.certificates import make_certificate
from tests.fakes.town import NOON

HOST = "127.0.0.1"


@asynccontextmanager
async def server(handler: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    try:
        port = unused_port()
        await web.TCPSite(runner, HOST, port, ssl_context=tls).start()
        yield f"http://{HOST}:{port}"
    finally:
        await runner.cleanup()


async def asked(url: str, *requests: dict[str, Any]) -> Mapping[str, Reply]:
    parsed = tuple(map(SmokeRequest.model_validate, requests))
    return await ByHTTP().ask(SmokeRound("new", NOON, url, parsed))


async def test_requests_are_sent_as_they_are_written_with_a_mark() -> None:
    seen = dict[str, tuple[str, str | None, str | None, bytes]]()

    async def handler(request: web.BaseRequest) -> web.Response:
        told = (request.headers.get("Content-Type"), request.headers.get("X-ModelRollout-Smoke"))
        seen[request.raw_path] = (request.method, *told, await request.read())
        return web.json_response({"label": "cat"})

    typed = {"headers": [{"name": "content-type", "value": "text/csv"}], "method": "PUT"}
    async with server(handler) as url:
        replies = await asked(
            url,
            builders.smoke("a", path="/get?top=3%20"),
            builders.smoke("b", path="/json", body={"pixels": [1, 0.5]}),
            builders.smoke("c", path="/text", body="1,2"),
            {**builders.smoke("d", path="/typed", body="1,2"), **typed},
        )
    assert seen == {
        "/get?top=3%20": ("GET", None, "true", b""),
        "/json": ("POST", "application/json", "true", b'{"pixels": [1, 0.5]}'),
        "/text": ("POST", "text/plain; charset=utf-8", "true", b"1,2"),
        "/typed": ("PUT", "text/csv", "true", b"1,2"),
    }
    assert {name: reply.body for name, reply in replies.items() if isinstance(reply, Answer)} == dict.fromkeys(
        "abcd", b'{"label": "cat"}'
    )


async def test_https_is_spoken_whoever_signed_the_certificate(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text="by TLS" if request.transport and request.transport.get_extra_info("cipher") else "")

    async with server(handler, tls) as url:
        (reply,) = (await asked(url, {**builders.smoke(), "scheme": "HTTPS"})).values()
    assert isinstance(reply, Answer)
    assert reply.body == b"by TLS"


async def test_a_server_without_tls_is_there_and_answers_wrongly() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response()

    request = SmokeRequest.model_validate({**builders.smoke(), "scheme": "HTTPS"})
    async with server(handler) as url:
        (reply,) = (await asked(url, request.to_wire())).values()
    found = unmet(request, reply, url)
    assert found is not None
    assert found.is_its_own
    assert found.message.endswith("the connection broke off, or what came was no HTTPS.")


async def test_redirects_are_answers_and_not_followed() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://metadata.example/secrets"})

    async with server(handler) as url:
        (reply,) = (await asked(url, builders.smoke())).values()
    assert isinstance(reply, Answer)
    assert reply.status == 302


async def test_a_service_that_leads_to_the_operators_own_host_is_not_asked() -> None:
    """An ExternalName, which anybody may write who may change Services."""
    seen = list[str]()

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request.raw_path)
        return web.Response()

    async with server(handler) as url:
        replies = await asked(url.replace(HOST, "localhost"), builders.smoke("a"))
    (reply,) = replies.values()
    assert isinstance(reply, Failure)
    assert (reply.trouble, seen) == (Trouble.UNREACHABLE, [])


async def test_nobody_there_is_no_fault_of_the_answer() -> None:
    (reply,) = (await asked(f"http://{HOST}:{unused_port()}", builders.smoke())).values()
    assert isinstance(reply, Failure)
    assert reply.trouble is Trouble.UNREACHABLE


async def test_bodies_are_read_up_to_a_limit() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"x" * (LARGEST + 1))

    async with server(handler) as url:
        (reply,) = (await asked(url, builders.smoke())).values()
    assert isinstance(reply, Failure)
    assert reply.trouble is Trouble.TOO_LARGE


async def test_all_are_asked_at_the_same_time() -> None:
    arrived = asyncio.Barrier(4)

    async def handler(request: web.BaseRequest) -> web.Response:
        await arrived.wait()
        return web.Response()

    async with server(handler) as url, asyncio.timeout(30):
        replies = await asked(url, *(builders.smoke(f"number-{number}") for number in range(4)))
    assert all(isinstance(reply, Answer) for reply in replies.values())
