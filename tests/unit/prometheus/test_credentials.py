"""What the operator's own Prometheus is shown: read from files, renewed with them, and told to nobody else."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.analysis import PrometheusServer
from modelrollout.prometheus.credentials import Credentials, CredentialsError, Shown
from modelrollout.prometheus.guard import Guard
from modelrollout.prometheus.servers import Servers
from modelrollout.promql.query import Answered, Query, Unanswered
from tests.fakes.prometheus import FakePrometheus, fake_prometheus

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
UP = Query("up", "candidate", "value", "up", NOON, NOON, timedelta(seconds=1))
SECRET = "planted-secret"  # noqa: S105 - it is to be looked for


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "headers"),
    [
        ({"token": f"{SECRET}\n"}, {"Authorization": f"Bearer {SECRET}"}),
        ({"username": "us", "password": "a:b"}, {"Authorization": "Basic dXM6YTpi"}),
        ({"headers": "X-Scope-OrgID: risk\n\nX-Other:  a: b \n"}, {"X-Scope-OrgID": "risk", "X-Other": "a: b"}),
        ({"token": "t", "headers": "X-Scope-OrgID: risk"}, {"Authorization": "Bearer t", "X-Scope-OrgID": "risk"}),
        ({"ca_crt": "PEM"}, {}),
    ],
)
def test_files_become_headers(tmp_path: Path, files: dict[str, str], headers: dict[str, str]) -> None:
    shown = Credentials(written(tmp_path, **files)).shown()
    assert dict(shown.headers) == headers
    assert shown.authority == files.get("ca_crt", "")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "there is none of token, username, password, headers and ca.crt"),
        ({"username": "us"}, "username and password go together"),
        ({"token": SECRET, "username": "us", "password": SECRET}, "there are both token and username"),
        ({"token": f"{SECRET}\n{SECRET}"}, "token has more than one line"),
        ({"headers": f"X-Scope-OrgID: risk\n{SECRET}"}, "line 2 of headers is not like X-Scope-OrgID: tenant"),
        ({"headers": f"X-Scope-OrgID: {SECRET}\u00e9"}, "line 1 of headers is not like X-Scope-OrgID: tenant"),
        ({"headers": f"Host: {SECRET}"}, "line 1 of headers is about the request itself: leave it out"),
        ({"token": f"{SECRET}\x07"}, "token has letters that no header may have"),
        ({"ca_crt": f"{SECRET}\u00e9"}, "ca.crt is not in PEM"),
    ],
)
def test_files_that_make_no_sense_are_refused_without_their_content(
    tmp_path: Path, files: dict[str, str], why: str
) -> None:
    with pytest.raises(CredentialsError) as refused:
        Credentials(written(tmp_path, **files))
    assert str(refused.value) == f"The files in {tmp_path} (--prometheus-credentials) cannot be used: {why}."


def test_files_that_are_broken_later_leave_the_old_ones_in_force_and_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = Credentials(written(tmp_path, token="first"))  # noqa: S106
    written(tmp_path, username="us")
    with caplog.at_level(logging.WARNING):
        assert {credentials.shown() for _ in range(3)} == {Shown((("Authorization", "Bearer first"),))}
    assert len(caplog.records) == 1
    (tmp_path / "username").unlink()
    written(tmp_path, token="second")  # noqa: S106
    assert dict(credentials.shown().headers) == {"Authorization": "Bearer second"}


class Gate:
    """Lets nobody in but those who show the token; remembers what it was shown."""

    def __init__(self) -> None:
        self.token, self.seen = SECRET, list[str | None]()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.headers.get("Authorization"))
        if self.seen[-1] != f"Bearer {self.token}":
            return web.Response(status=401)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})


def localhost(prometheus: FakePrometheus) -> str:
    """By a name, as tenants write it."""
    return prometheus.url.replace("127.0.0.1", "localhost")


def tenants_may_name(prometheus: FakePrometheus, own: str | None = None) -> AllowedAddresses:
    return AllowedAddresses.parse(own, [localhost(prometheus)])


ANYWHERE = Guard(lambda _: None)
"""No address is refused: the servers of these tests are on loopback."""


@pytest.fixture
async def behind_a_gate() -> AsyncIterator[tuple[FakePrometheus, Gate]]:
    async with fake_prometheus() as prometheus:
        prometheus.trouble = gate = Gate()
        yield prometheus, gate


async def test_the_operators_own_prometheus_is_shown_the_token_and_its_successor(
    behind_a_gate: tuple[FakePrometheus, Gate], tmp_path: Path
) -> None:
    prometheus, gate = behind_a_gate
    servers = Servers(AllowedAddresses(prometheus.url), Credentials(written(tmp_path, token=SECRET)))
    assert (await servers.ask("ml", None, (UP,)))[UP] == Answered(())
    gate.token = "rotated"  # noqa: S105
    assert isinstance((await servers.ask("ml", None, (UP,)))[UP], Unanswered)
    written(tmp_path, token="rotated")  # noqa: S106
    assert (await servers.ask("ml", None, (UP,)))[UP] == Answered(())
    await servers.close()


async def test_a_prometheus_that_a_spec_names_is_shown_nothing(
    behind_a_gate: tuple[FakePrometheus, Gate], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prometheus, gate = behind_a_gate
    allowed = tenants_may_name(prometheus, own="http://prometheus.example")
    servers = Servers(allowed, Credentials(written(tmp_path, token=SECRET)), guard=ANYWHERE)
    with caplog.at_level(logging.DEBUG):
        answers = await servers.ask("ml", PrometheusServer(url=localhost(prometheus)), (UP,))
    assert gate.seen == [None]
    assert SECRET not in f"{answers} {caplog.text} {servers._credentials and servers._credentials.shown()}"
    await servers.close()
