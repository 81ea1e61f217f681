"""Webhooks: CloudEvents and signatures that other libraries read and verify, and addresses that are refused."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from modelrollout.api.notifications import Topic
from modelrollout.api.status import Errand
from modelrollout.delivery.deliverer import Undelivered
from modelrollout.delivery.webhook import TYPES, Hook, cloud_event, post
from modelrollout.plan import notices
from tests.unit.delivery.receivers import receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the specification's example
ERRAND = Errand(
    id="uid-fraud.0123456789",
    kind="notification",
    to=("audit",),
    at=datetime(2026, 1, 1, 12, tzinfo=UTC),
    facts={
        "topic": "RolledBack",
        "reason": "MetricFailed",
        "message": "errors 20 %",
        "revision": "b41c",
        "version": "2",
    },
)
VALUES = notices.fields("ml", "fraud", ERRAND, None)
EVENT = cloud_event(ERRAND.id, "uid-fraud", VALUES, "Version 2 was taken back.")


async def test_event_is_read_by_the_library_of_cloud_events_and_its_signature_is_verified_by_that_of_webhooks() -> None:
    async with receiver() as there:
        await post(Hook(there.url, SECRET, is_trusted=True), ERRAND.id, *EVENT)
    (got,) = there.got
    Webhook(SECRET).verify(got.body, got.headers)
    event = from_structured(HTTPMessage(got.headers, got.body), JSONFormat())
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["webhook-id"] == event.get_id() == ERRAND.id
    assert event.get_source() == "/apis/modelrollout.dev/namespaces/ml/modelrollouts/fraud"
    assert (event.get_type(), event.get_subject()) == ("dev.modelrollout.rollout.rolledback.v1", "b41c")
    assert (event.get_specversion(), event.get_time()) == ("1.0", ERRAND.at)
    assert event.get_data() == {
        "namespace": "ml",
        "rollout": "fraud",
        "topic": "RolledBack",
        "time": "2026-01-01T12:00:00Z",
        "version": "2",
        "revision": "b41c",
        "reason": "MetricFailed",
        "message": "errors 20 %",
        "next": notices.NEXT["RolledBack"],
        "uid": "uid-fraud",
        "text": "Version 2 was taken back.",
    }


async def test_what_was_changed_on_its_way_or_signed_by_another_is_told() -> None:
    async with receiver() as there:
        await post(Hook(there.url, SECRET, is_trusted=True), ERRAND.id, *EVENT)
    (got,) = there.got
    for secret, body in ((SECRET, got.body.replace(b"20 %", b"0 %")), ("whsec_" + "A" * 32, got.body)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, got.headers)


async def test_without_a_secret_there_is_an_id_and_no_signature() -> None:
    async with receiver() as there:
        await post(Hook(there.url, None, is_trusted=True), ERRAND.id, *EVENT)
    (got,) = there.got
    assert "webhook-signature" not in got.headers
    assert got.headers["webhook-id"] == ERRAND.id


def test_each_topic_has_a_type() -> None:
    assert set(TYPES) == set(Topic)
    assert len(set(TYPES.values())) == len(TYPES)


async def told(hook: Hook) -> str:
    with pytest.raises(Undelivered) as caught:
        await post(hook, ERRAND.id, *EVENT)
    return str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500])
async def test_answer_that_is_no_success_is_told_and_a_redirect_is_not_followed(status: int) -> None:
    async def answers(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with receiver(answers) as there:
        assert await told(Hook(there.url, is_trusted=True)) == f"its receiver answered {status}"
    assert len(there.got) == 1


async def test_of_an_endless_answer_only_the_beginning_is_read() -> None:
    async def answers(request: web.Request) -> web.StreamResponse:
        endless = web.StreamResponse()
        await endless.prepare(request)
        for _ in range(1000):
            await endless.write(b"x" * 65536)
        return endless

    async with receiver(answers) as there, asyncio.timeout(10):
        await post(Hook(there.url, is_trusted=True), ERRAND.id, *EVENT)


async def test_answer_is_not_unpacked() -> None:
    async def answers(request: web.Request) -> web.Response:
        return web.Response(body=b"not packed at all", headers={"Content-Encoding": "gzip"})

    async with receiver(answers) as there:
        await post(Hook(there.url, is_trusted=True), ERRAND.id, *EVENT)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]", "0.0.0.0"),  # noqa: S104
        *("[64:ff9b::7f00:1]", "[fd00:ec2::254]", "100.100.100.200", "localhost", "0x7f.1"),
        *("2130706433", "127.1", "0", "0177.0.0.1", "2852039166", "0x7f000001", "0x7F.0.1", "127.1.", "１２７.1"),
    ],
)
async def test_user_may_not_choose_an_address_of_this_machine_or_of_the_cloud(host: str) -> None:
    refused = await told(Hook(f"http://{host}:9/hook?token=hidden", SECRET))
    assert refused == "its host is an address of this machine or of its network's own services"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://", "its address is not a URL such as https://example.com/hook"),
        ("ftp://example.com/hidden", "its address is not a URL such as https://example.com/hook"),
        ("https://[hidden", "its address is not a URL"),
        ("http://2130706433/hidden", "its address is not a URL"),  # 127.0.0.1 as a number
        ("http://127.0.0.1:1/hidden", "nobody answers at its address"),
        ("http://hidden.invalid/hidden", "its host is not known"),
    ],
)
async def test_trouble_is_told_without_the_address(url: str, why: str) -> None:
    assert await told(Hook(url, is_trusted=True)) == why


async def test_secret_that_is_none_is_told_without_it() -> None:
    for secret in ("whsec_", "whsec_a"):
        why = await told(Hook("http://example.invalid/", secret, is_trusted=True))
        assert why == "its signing secret is not like whsec_ with base64 after it"


def test_neither_address_nor_secret_is_printed() -> None:
    assert "hidden" not in repr(Hook("https://hidden", "hidden"))


def test_event_stays_small_however_much_there_is_to_say() -> None:
    facts = dict.fromkeys(("message", "evidence"), "ä" * 700)
    values = notices.fields("ml", "fraud", ERRAND.model_copy(update={"facts": {**ERRAND.facts, **facts}}), None)
    _, body = cloud_event(ERRAND.id, "uid", values, notices.text(values, None))
    assert len(body) < 20_000  # what Standard Webhooks ask for
    assert json.loads(body)["data"]["topic"] == "RolledBack"
