"""The webhook's port: reviews over HTTPS, with a certificate that may be renewed at any time."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from modelrollout.shell.admission import Advisor
from modelrollout.shell.webhook import PATH, Certificate, CertificateError, Webhook
from tests.fakes.applied import NOON, History, applied, review, serving
from tests.fakes.certificates import make_certificate
from tests.fakes.cluster import FakeCluster


@asynccontextmanager
async def webhook(folder: Path) -> AsyncIterator[str]:
    """Its address."""
    advisor = Advisor(FakeCluster(), History(), clock=lambda: NOON)  # type: ignore[arg-type]
    server = Webhook(advisor, Certificate(folder), "127.0.0.1", 0)
    port = await server.start()
    try:
        yield f"https://127.0.0.1:{port}{PATH}"
    finally:
        await server.stop()


async def post(url: str, authority: Path, **what: Any) -> tuple[int, Any]:
    """The answer over a connection of its own."""
    tls = ssl.create_default_context(cafile=authority)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
        session.post(url, **what) as reply,
    ):
        return reply.status, await (reply.json() if reply.content_type == "application/json" else reply.text())


async def test_answers_a_review(tmp_path: Path) -> None:
    authority = make_certificate(tmp_path)
    async with webhook(tmp_path) as url:
        status, answer = await post(url, authority, json=review(applied(), serving()))
    assert status == 200
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert answer["response"]["uid"] == "review-1"
    assert len(answer["response"]["warnings"]) == 1


@pytest.mark.parametrize("body", [b"", b"not JSON", b"{}"])
async def test_turns_away_what_is_no_review(tmp_path: Path, body: bytes) -> None:
    authority = make_certificate(tmp_path)
    async with webhook(tmp_path) as url:
        status, told = await post(url, authority, data=body)
    assert status == 400
    assert told.startswith("This is not")


async def test_a_renewed_certificate_is_shown_from_the_next_connection_on(tmp_path: Path) -> None:
    before = make_certificate(tmp_path)
    async with webhook(tmp_path) as url:
        assert (await post(url, before, json=review(serving())))[0] == 200
        after = make_certificate(tmp_path)
        assert (await post(url, after, json=review(serving())))[0] == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await post(url, before, json=review(serving()))


async def test_one_that_is_half_renewed_does_not_take_the_place_of_a_good_one(tmp_path: Path) -> None:
    before = make_certificate(tmp_path)
    async with webhook(tmp_path) as url:
        key = (tmp_path / "tls.key").read_bytes()
        after = make_certificate(tmp_path)
        new_key = (tmp_path / "tls.key").read_bytes()
        (tmp_path / "tls.key").write_bytes(key)
        assert (await post(url, before, json=review(serving())))[0] == 200
        (tmp_path / "tls.key").write_bytes(new_key)
        assert (await post(url, after, json=review(serving())))[0] == 200


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=rf"tls.crt and tls.key in {tmp_path} .*: No such file or directory\.$"):
        Certificate(tmp_path)
