"""CloudEvents over HTTP (structured mode), signed as Standard Webhooks have it.

https://github.com/cloudevents/spec and https://www.standardwebhooks.com; docs/notifications.md has types and fields.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from cloudevents.core.bindings.http import to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook
from yarl import URL

from modelrollout.api.base import GROUP, PLURAL
from modelrollout.delivery.addresses import Forbidden, is_forbidden
from modelrollout.delivery.deliverer import Undelivered
from modelrollout.delivery.resolving import Judged

DATA_SCHEMA = f"https://{GROUP}/schemas/rollout-notification.v1.json"
TYPES: Mapping[str, str] = {
    "Started": "dev.modelrollout.rollout.started.v1",
    "Promoted": "dev.modelrollout.rollout.promoted.v1",
    "RollingBack": "dev.modelrollout.rollout.rollingback.v1",
    "RolledBack": "dev.modelrollout.rollout.rolledback.v1",
    "WaitingForPerson": "dev.modelrollout.rollout.waitingforperson.v1",
    "Stuck": "dev.modelrollout.rollout.stuck.v1",
    "TrafficShareMismatch": "dev.modelrollout.rollout.trafficsharemismatch.v1",
}
"""The `type` of each topic's events. A type's meaning never changes: another one gets another number."""
LONGEST_WAIT = 10.0
"""Seconds from the first packet to the end of an answer."""
LONGEST_ANSWER = 64 * 1024
"""Bytes of an answer that are read; nothing in it matters."""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a webhook is. Not to be printed."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    is_trusted: bool = False  # whether whoever runs the operator chose it


def cloud_event(id_: str, uid: str, values: Mapping[str, str], text: str) -> tuple[str, bytes]:
    """The content type and the body. `values`: all fields of a text."""
    namespace, rollout = values["namespace"], values["rollout"]
    attributes = {
        "id": id_,
        "source": f"/apis/{GROUP}/namespaces/{namespace}/{PLURAL}/{rollout}",
        "type": TYPES[values["topic"]],
        "subject": values["revision"] or rollout,
        "time": datetime.fromisoformat(values["time"]),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
    }
    said = {name: value for name, value in values.items() if value}
    message = to_structured(CloudEvent(attributes, {**said, "uid": uid, "text": text}), JSONFormat())
    return message.headers["content-type"], message.body


async def post(hook: Hook, id_: str, content_type: str, body: bytes) -> None:
    """One attempt. A redirect is an answer like any other: who is trusted with news is said in the Secret. Raises
    Undelivered."""
    headers = {"Content-Type": content_type, "User-Agent": "modelrollout", **_signed(hook.secret, id_, body)}
    url = _url(hook)
    resolver = None if hook.is_trusted else Judged(lambda *_: Forbidden())
    options: dict[str, Any] = {
        "connector": aiohttp.TCPConnector(resolver=resolver, force_close=True),
        "timeout": aiohttp.ClientTimeout(LONGEST_WAIT),
        "cookie_jar": aiohttp.DummyCookieJar(),
        "auto_decompress": False,  # a few bytes may unpack to any number
    }
    try:
        async with (
            aiohttp.ClientSession(**options) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            await answer.content.read(LONGEST_ANSWER)
            status = answer.status
    except (aiohttp.ClientError, OSError, ValueError) as trouble:
        raise Undelivered(_told(trouble)) from None
    if not 200 <= status < 300:
        raise Undelivered(f"its receiver answered {status}")


def _url(hook: Hook) -> URL:
    try:
        url = URL(hook.url)
    except ValueError:
        raise Undelivered("its address is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Undelivered("its address is not a URL such as https://example.com/hook")
    if not hook.is_trusted and is_forbidden(url.host):
        raise Undelivered(f"{Forbidden()}")
    return url


def _signed(secret: str | None, id_: str, body: bytes) -> dict[str, str]:
    """The headers by which a receiver tells who sent this, when, and whether it has it already."""
    now = datetime.now(UTC)
    told = {"webhook-id": id_, "webhook-timestamp": f"{int(now.timestamp())}"}
    if secret is None:
        return told
    try:
        signature = Webhook(secret).sign(id_, now, body.decode())
    except (EmptyWebhookSecretError, binascii.Error, ValueError):
        raise Undelivered("its signing secret is not like whsec_ with base64 after it") from None
    return {**told, "webhook-signature": signature}


def _told(trouble: Exception) -> str:
    """Without the library's own words: they name hosts, and an address may have a token anywhere."""
    if isinstance(why := getattr(trouble, "os_error", None), Forbidden):
        return f"{why}"
    match trouble:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorDNSError():
            return "its host is not known"
        case aiohttp.ClientConnectorError():
            return "nobody answers at its address"
        case TimeoutError():
            return f"no answer within {LONGEST_WAIT:g} s"
        case ValueError():
            return "its address is not a URL"
        case _:
            return f"the connection broke ({type(trouble).__name__})"
