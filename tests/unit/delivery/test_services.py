"""Messages by Apprise, each by a process of its own: what may be asked for, and what becomes of trouble."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from modelrollout.delivery import services
from modelrollout.delivery.deliverer import Undelivered
from modelrollout.delivery.sender import _refusal, _sent
from modelrollout.delivery.services import Message, Services
from tests.unit.delivery.receivers import receiver


def message(url: str, *, is_trusted: bool = False) -> Message:
    return Message(url, "RolledBack: ml/fraud", "errors 20 %", "RolledBack", is_trusted)


async def told(url: str, *, is_trusted: bool = False) -> str:
    with pytest.raises(Undelivered) as caught:
        await Services().send(message(url, is_trusted=is_trusted))
    return str(caught.value)


async def test_message_arrives_with_title_text_and_urgency() -> None:
    async with receiver() as there:
        await Services().send(message(there.url.replace("http://", "json://"), is_trusted=True))
    (got,) = there.got
    said = json.loads(got.body)
    assert (said["title"], said["message"], said["type"]) == ("RolledBack: ml/fraud", "errors 20 %", "failure")


async def test_refusal_of_the_service_is_told_and_a_redirect_is_not_followed() -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with receiver(elsewhere) as there:
        why = await told(there.url.replace("http://", "json://"), is_trusted=True)
    assert why == "the service answered 307"
    assert len(there.got) == 1


async def test_user_may_not_have_anything_said_to_this_machine_by_name_or_by_address() -> None:
    async with receiver() as there:
        port = there.url.split(":")[2].split("/")[0]
        for url in (f"ntfy://localhost:{port}/hidden", f"mailto://hidden:hidden@example.com:{port}?smtp=127.0.0.1"):
            assert await told(url) == "the service did not take it, or cannot be reached"
    assert there.got == []


async def test_service_that_never_answers_is_given_up() -> None:
    with pytest.raises(Undelivered, match="the service was not reached in time, or its answer was too large"):
        await Services(longest=0.05).send(message("json://192.0.2.1/", is_trusted=True))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "syslog://",
        "dbus://",
        "windows://",
        "json://10.0.0.1/",
        "exec://rm",
        "hidden",
        "//hidden",
        "",
    ],
)
def test_user_may_choose_services_by_which_people_are_told_and_no_others(url: str) -> None:
    why = _sent({"url": url, "is_trusted": False})
    assert why.startswith("its address begins with none of these: https, slack, ")
    assert "hidden" not in why


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"template": "/etc/passwd"}, "its address has an option that is not allowed here: template"),
        ({"redirect": "yes", "verify": "no", "rto": "9"}, "…: redirect, rto, verify"),
        ({"pgppub": "/x"}, "…: pgppub"),
        ({"T0K-EN": ""}, "…: …"),
        ({"channel": "x", "token": "y"}, ""),
    ],
)
def test_of_a_services_options_those_that_read_files_or_change_connections_are_refused(
    options: dict[str, Any], why: str
) -> None:
    told = why.replace("…:", "its address has an option that is not allowed here:", 1)
    assert _refusal({"schema": "slack", "qsd": options}) == told


@pytest.mark.parametrize(
    ("url", "is_service"),
    [
        ("slack://T/B/C", True),
        ("https://hooks.slack.com/services/T/B/C", True),
        ("https://prod-12.westus.logic.azure.com:443/workflows/1/triggers", True),
        ("https://example.com/hook", False),
        ("http://hooks.slack.com.example.com/", False),
    ],
)
def test_addresses_that_services_show_to_their_users_are_not_taken_for_webhooks(url: str, is_service: bool) -> None:
    assert services.takes(url) is is_service


def test_address_is_not_printed() -> None:
    assert "hidden" not in repr(message("slack://hidden"))
