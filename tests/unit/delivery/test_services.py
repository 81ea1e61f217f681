"""Messages by Apprise, each by a process of its own: what may be asked for, and what becomes of trouble."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from modelrollout.delivery import services
from modelrollout.delivery.deliverer import Undelivered
from modelrollout.delivery.sender import _refusal, _sent
from modelrollout.delivery.services import MOST_AT_A_TIME, Message, Services
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


async def test_of_an_endless_answer_no_more_is_read_than_the_container_has_room_for() -> None:
    read = 0

    async def answers(request: web.Request) -> web.StreamResponse:
        nonlocal read
        endless = web.StreamResponse()
        await endless.prepare(request)
        while read < 200 << 20:
            await endless.write(b"x" * (1 << 20))
            read += 1 << 20
        return endless

    async with receiver(answers) as there:
        why = await told(there.url.replace("http://", "json://"), is_trusted=True)
    assert why == "the answer of the service is too large, or makes no sense"
    assert read < 100 << 20


async def test_service_that_never_answers_is_given_up() -> None:
    with pytest.raises(Undelivered, match=r"the service did not take it within 0.05 s"):
        await Services(longest=0.05).send(message("json://192.0.2.1/", is_trusted=True))


def script(tmp_path: Path, text: str) -> str:
    """What runs in place of Python."""
    made = tmp_path / "python"
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return str(made)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kill -9 $$", "the process that sends it was killed (signal 9)"),
        ("exit 3", "the process that sends it failed (exit code 3)"),
    ],
)
async def test_process_that_ends_without_a_word_is_told_by_how_it_ended(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Undelivered) as caught:
        await Services(python=script(tmp_path, text)).send(message("slack://a"))
    assert str(caught.value) == why


async def test_process_that_cannot_be_started_is_the_worlds_trouble(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match="cannot be started: No such file or directory"):
        await Services(python=str(tmp_path / "python")).send(message("slack://a"))


async def test_targets_of_rollouts_that_hang_keep_none_of_the_operators_own_waiting(tmp_path: Path) -> None:
    services = Services(python=script(tmp_path, "grep -q '\"is_trusted\": true' || exec sleep 60"))
    hanging = [asyncio.create_task(services.send(message("slack://a"))) for _ in range(MOST_AT_A_TIME + 4)]
    async with asyncio.timeout(20):
        await services.send(message("slack://a", is_trusted=True))
    for one in hanging:
        one.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


@pytest.mark.parametrize(
    ("is_trusted", "seen"), [(False, "proxies: none; none for: * *; settings: none"), (True, "proxies: http://proxy")]
)
async def test_proxies_and_settings_are_not_for_what_a_rollout_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool, seen: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.setenv("MODELROLLOUT_LINK_TEMPLATE", "hidden")
    told = "proxies: ${HTTPS_PROXY-none}; none for: $NO_PROXY $no_proxy; settings: ${MODELROLLOUT_LINK_TEMPLATE-none}"
    python = script(tmp_path, f'printf %s "{told}"')
    with pytest.raises(Undelivered) as caught:
        await Services(python=python).send(message("slack://a", is_trusted=is_trusted))
    assert str(caught.value).startswith(seen)


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
