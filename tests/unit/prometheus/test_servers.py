"""Whom a rollout may have asked, and what a server that it names is shown: what its own Secret has, no more."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from localcluster.apiserver.certificates import write_serving_files
from modelrollout.api.addresses import AllowedAddresses, IPAddress
from modelrollout.api.analysis import PrometheusServer, SecretRef
from modelrollout.prometheus.credentials import Credentials
from modelrollout.prometheus.guard import Guard
from modelrollout.prometheus.servers import Servers, Unreadable
from modelrollout.promql.query import Answer, Answered, Unanswered
from tests.fakes.prometheus import FakePrometheus, fake_prometheus
from tests.unit.prometheus.test_credentials import ANYWHERE, SECRET, UP, Gate, localhost, tenants_may_name, written

OWN_TOKEN = "token-of-the-operator"  # noqa: S105 - it is to be looked for


def named(url: str | None = None, secret: str | None = None) -> PrometheusServer:
    return PrometheusServer(url=url, secret_ref=SecretRef(name=secret) if secret else None)


class Secrets:
    """Of namespaces, by namespace and name."""

    def __init__(self, known: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
        self.known, self.asked = dict(known), list[tuple[str, str]]()

    async def __call__(self, namespace: str, name: str) -> Mapping[str, str]:
        self.asked.append((namespace, name))
        if (namespace, name) not in self.known:
            raise Unreadable(f"Secret '{name}' does not exist in namespace '{namespace}'")
        return self.known[namespace, name]


@asynccontextmanager
async def gated() -> AsyncIterator[tuple[FakePrometheus, Gate]]:
    async with fake_prometheus() as prometheus:
        prometheus.trouble = gate = Gate()
        yield prometheus, gate


async def answer(servers: Servers, server: PrometheusServer | None, namespace: str = "ml") -> Answer:
    return (await servers.ask(namespace, server, (UP,)))[UP]


async def why(servers: Servers, server: PrometheusServer | None) -> str:
    told = await answer(servers, server)
    assert isinstance(told, Unanswered)
    assert not told.rejected  # so the weight is held, and nothing is promoted or taken back
    return told.why


async def test_a_server_that_a_spec_names_is_shown_what_the_secret_of_its_namespace_has() -> None:
    async with gated() as (prometheus, gate):
        secrets = Secrets({("ml", "own"): {"token": SECRET}, ("other", "own"): {"token": "another"}})
        servers = Servers(tenants_may_name(prometheus), None, secrets, guard=ANYWHERE)
        assert await answer(servers, named(localhost(prometheus), "own")) == Answered(())
        assert isinstance(await answer(servers, named(localhost(prometheus), "own"), "other"), Unanswered)
        assert isinstance(await answer(servers, named(localhost(prometheus))), Unanswered)
        assert gate.seen == [f"Bearer {SECRET}", "Bearer another", None]
        assert secrets.asked == [("ml", "own"), ("other", "own")]
        await servers.close()


async def test_a_secret_that_is_rotated_is_shown_at_the_next_look() -> None:
    async with gated() as (prometheus, gate):
        secrets = Secrets({("ml", "own"): {"token": SECRET}})
        servers = Servers(tenants_may_name(prometheus), None, secrets, guard=ANYWHERE)
        assert await answer(servers, named(localhost(prometheus), "own")) == Answered(())
        gate.token = "rotated"  # noqa: S105
        secrets.known["ml", "own"] = {"token": "rotated"}
        assert await answer(servers, named(localhost(prometheus), "own")) == Answered(())
        await servers.close()


def threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "prometheus"}


async def test_two_looks_at_a_secret_that_was_rotated_leave_no_thread_behind() -> None:
    before = threads()
    async with gated() as (prometheus, gate):
        secrets = Secrets({("ml", "own"): {"token": SECRET}})
        servers = Servers(tenants_may_name(prometheus), None, secrets, guard=ANYWHERE)
        server = named(localhost(prometheus), "own")
        assert await answer(servers, server) == Answered(())
        gate.token = "rotated"  # noqa: S105
        secrets.known["ml", "own"] = {"token": "rotated"}
        assert await asyncio.gather(answer(servers, server), answer(servers, server)) == [Answered(()), Answered(())]
        await servers.close()
    assert threads() - before == set()


async def test_the_operators_own_server_is_shown_the_rollouts_secret_in_place_of_the_operators(tmp_path: Path) -> None:
    async with gated() as (prometheus, gate):
        secrets = Secrets({("ml", "own"): {"token": SECRET}})
        servers = Servers(AllowedAddresses(prometheus.url), Credentials(written(tmp_path, token=OWN_TOKEN)), secrets)
        for server in (named(None, "own"), named(prometheus.url, "own"), named(f"{prometheus.url}/"), None):
            await answer(servers, server)
        assert gate.seen == [f"Bearer {SECRET}", f"Bearer {SECRET}", f"Bearer {OWN_TOKEN}", f"Bearer {OWN_TOKEN}"]
        await servers.close()


async def test_whoever_brings_a_secret_is_not_let_in_by_the_password_in_the_operators_address() -> None:
    async with gated() as (prometheus, gate):
        own = prometheus.url.replace("http://", "http://operator:password@")
        servers = Servers(AllowedAddresses(own), None, Secrets({("ml", "own"): {"token": SECRET}}))
        assert await answer(servers, named(None, "own")) == Answered(())
        await answer(servers, None)
        assert gate.seen == [f"Bearer {SECRET}", "Basic b3BlcmF0b3I6cGFzc3dvcmQ="]
        await servers.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "spec.analysis.prometheus.secretRef: Secret 'own' does not exist in namespace 'ml'."),
        (
            {"token": SECRET, "username": "us", "password": SECRET},
            "spec.analysis.prometheus.secretRef: Secret 'own' cannot be used: there are both token and username.",
        ),
    ],
)
async def test_a_secret_that_cannot_be_used_is_told_of_and_nobody_is_asked(
    content: Mapping[str, str] | None, told: str
) -> None:
    async with gated() as (prometheus, gate):
        secrets = Secrets({("ml", "own"): content} if content else {})
        servers = Servers(tenants_may_name(prometheus), None, secrets, guard=ANYWHERE)
        assert await why(servers, named(localhost(prometheus), "own")) == told
        assert gate.seen == []


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture
async def tls(tmp_path: Path) -> AsyncIterator[tuple[FakePrometheus, str, str]]:
    """A server with a certificate of its own authority; that authority, and another one."""
    own, foreign = (write_serving_files(folder(tmp_path / name)) for name in ("own", "foreign"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own.certificate, own.key)
    async with fake_prometheus(tls=context) as prometheus:
        prometheus.add("up", {}, [])
        yield prometheus, own.authority.read_text(), foreign.authority.read_text()


async def test_an_authority_in_the_secret_is_the_only_one_that_counts(tls: tuple[FakePrometheus, str, str]) -> None:
    prometheus, own, foreign = tls
    secrets = Secrets(
        {("ml", "own"): {"ca.crt": own}, ("ml", "foreign"): {"ca.crt": foreign}, ("ml", "no"): {"ca.crt": "x"}}
    )
    servers = Servers(tenants_may_name(prometheus), None, secrets, guard=ANYWHERE)
    assert await answer(servers, named(localhost(prometheus), "own")) == Answered(())
    assert "certificate verify failed" in await why(servers, named(localhost(prometheus), "foreign"))
    assert "did not answer" in await why(servers, named(localhost(prometheus), "no"))
    await servers.close()


async def test_an_address_that_is_not_allowed_is_not_asked() -> None:
    async with gated() as (prometheus, gate):
        servers = Servers(AllowedAddresses("http://prometheus.example"), None, Secrets({}), guard=ANYWHERE)
        assert "is not asked. This operator asks *.ml.svc" in await why(servers, named(localhost(prometheus), "own"))
        assert gate.seen == []


async def test_a_name_that_leads_to_loopback_is_not_connected_to() -> None:
    async with gated() as (prometheus, gate):
        servers = Servers(tenants_may_name(prometheus))
        told = await why(servers, named(localhost(prometheus)))
        assert told.startswith(f"Prometheus at {localhost(prometheus)} is not asked: it leads to ")
        assert told.endswith(", a loopback address, which no ModelRollout may name.")
        assert gate.seen == []
        await servers.close()


async def test_a_name_that_dns_cannot_have_is_told_and_ends_no_pass() -> None:
    url = f"http://{'a' * 64}.ml.svc"
    servers = Servers(AllowedAddresses())
    told = "did not answer: its name is none that DNS can have."
    assert await why(servers, named(url)) == f"Prometheus at {url} {told}"
    await servers.close()


class NameServer:
    """Its answers change from one look-up to the next."""

    def __init__(self, *answers: str) -> None:
        self.left, self.asked = list(answers), list[str]()

    def __call__(self, host: str, port: int, **options: Any) -> Any:
        self.asked.append(host)
        return socket.getaddrinfo(self.left.pop(0) if len(self.left) > 1 else self.left[0], port, **options)


def only_the_first_of_loopback(address: IPAddress) -> str | None:
    return None if str(address) == "127.0.0.1" else "somewhere else"


async def test_the_address_that_was_judged_is_the_one_connected_to() -> None:
    """DNS rebinding: harmless when it is judged, and another one when it is connected to."""
    async with gated() as (prometheus, gate):
        server = named(f"http://rebinding.example:{prometheus.url.rpartition(':')[2]}")
        allowed, names = AllowedAddresses.parse(None, ["rebinding.example"]), NameServer("127.0.0.1", "127.0.0.2")
        servers = Servers(allowed, guard=Guard(only_the_first_of_loopback, names))
        await answer(servers, server)
        assert (gate.seen, names.asked) == ([None], ["rebinding.example"])
        await servers.close()
        servers = Servers(allowed, guard=Guard(only_the_first_of_loopback, names))
        assert "it leads to 127.0.0.2, somewhere else" in await why(servers, server)
        assert gate.seen == [None]
        await servers.close()


async def test_a_redirect_is_not_followed() -> None:
    async with gated() as (prometheus, gate), fake_prometheus() as away:

        async def elsewhere(request: web.Request) -> web.StreamResponse:
            gate.seen.append(request.headers.get("Authorization"))
            return web.Response(status=307, headers={"Location": away.url + str(request.rel_url)})

        prometheus.trouble = elsewhere
        servers = Servers(
            tenants_may_name(prometheus), None, Secrets({("ml", "own"): {"token": SECRET}}), guard=ANYWHERE
        )
        assert "redirects to" in await why(servers, named(localhost(prometheus), "own"))
        assert away.asked == []
        await servers.close()


async def test_a_proxy_of_the_environment_is_not_asked_for_a_server_that_a_spec_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would look the name up by itself, after it was judged."""
    async with gated() as (prometheus, gate), fake_prometheus() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        servers = Servers(tenants_may_name(prometheus), guard=ANYWHERE)
        await answer(servers, named(localhost(prometheus)))
        assert gate.seen == [None]
        assert proxy.asked == []
        await servers.close()


async def test_a_server_that_quotes_what_it_was_shown_is_quoted_without_it() -> None:
    async with fake_prometheus() as prometheus:

        async def quotes(request: web.Request) -> web.StreamResponse:
            said = "x" * 190 + f"no such token: {request.headers['Authorization']} {request.headers['X-Key']}"
            return web.Response(status=500, text=said)

        prometheus.trouble = quotes
        secrets = Secrets({("ml", "own"): {"token": SECRET, "headers": f"X-Key: {SECRET}-key"}})
        servers = Servers(tenants_may_name(prometheus), None, secrets, guard=ANYWHERE)
        told = await why(servers, named(localhost(prometheus), "own"))
        assert "answered 500" in told
        assert SECRET[:6] not in told
        await servers.close()


async def test_whoever_names_many_servers_takes_the_operators_own_from_nobody() -> None:
    async with fake_prometheus() as prometheus:
        servers = Servers(AllowedAddresses(prometheus.url), most=2)
        await answer(servers, None)
        (own,) = servers._servers.values()
        for number in range(4):
            await answer(servers, named(f"http://nowhere-{number}.ml.svc:9"))
        assert len(servers._servers) == 3
        assert own in servers._servers.values()
        await servers.close()
