"""Secrets are planted wherever the operator is given any, and looked for in all that it says: status, Events, logs of
every level, metrics, pages, errors. The Prometheus of these tests quotes whatever it is shown."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.analysis import PrometheusServer
from modelrollout.api.status import Phase
from modelrollout.kube import SecretTrouble, read_secret
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import SECRETS
from modelrollout.prometheus.credentials import Credentials
from modelrollout.prometheus.guard import Guard
from modelrollout.prometheus.servers import Servers, Unreadable
from modelrollout.promql.query import Answer, Query
from tests import builders
from tests.fakes.answers import WRONG
from tests.fakes.prometheus import FakePrometheus, Trouble
from tests.fakes.town import Town, run

PLANT = "pl4nted"
"""In every secret of these tests."""
TENANT = {"token": f"{PLANT}-token-of-the-tenant", "headers": f"X-Key: {PLANT}-key-of-the-tenant"}
PAIR = {"username": "tenant", "password": f"{PLANT}-password-of-the-tenant"}
BROKEN = {"token": f"{PLANT}-one\n{PLANT}-two", "headers": f"{PLANT} is no header"}
IN_THE_URL = f"{PLANT}-in-the-url-of-the-operator"
OWN = {"token": f"{PLANT}-token-of-the-operator", "headers": f"X-Scope-OrgID: {PLANT}-tenant-of-the-operator"}


def quoted(request: web.Request) -> str:
    return " ".join(f"{name}: {value}" for name, value in request.headers.items())


async def fails(request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text=quoted(request))


async def rejects(request: web.Request) -> web.StreamResponse:
    said = {"status": "error", "errorType": "bad_data", "error": f"1:1: parse error {quoted(request)}"}
    return web.json_response(said, status=400)


async def sends_away(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": f"http://login/?from={request.headers['Authorization']}"})


async def lacks_a_part(request: web.Request) -> web.StreamResponse:
    data = {"resultType": "matrix", "result": []}
    return web.json_response({"status": "success", "data": data, "warnings": [quoted(request)]})


async def warns(request: web.Request) -> web.StreamResponse:
    data = {"resultType": "matrix", "result": []}
    return web.json_response({"status": "success", "data": data, "warnings": [f"PromQL info: {quoted(request)}"]})


class Asker:
    """Asks the server of these tests with what the real operator would show it."""

    def __init__(self, servers: Servers) -> None:
        self.servers, self.whys = servers, list[str]()

    async def ask(
        self, namespace: str, named: PrometheusServer | None, queries: tuple[Query, ...]
    ) -> Mapping[Query, Answer]:
        answers = await self.servers.ask(namespace, named, queries)
        self.whys += [repr(answer) for answer in answers.values()]
        return answers

    def note_share(self) -> None:
        """Nobody splits what is over."""


def secret(content: Mapping[str, str]) -> Manifest:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "ml", "name": "prometheus"}, "data": data}


async def of_the_cluster(town: Town, namespace: str, name: str) -> Mapping[str, str]:
    try:
        return await read_secret(town.cluster, namespace, name)
    except SecretTrouble as trouble:
        raise Unreadable(f"{trouble}") from trouble


def told(town: Town, log: pytest.LogCaptureFixture) -> Iterator[tuple[str, str]]:
    """All that is written anywhere, but for the Secret itself, by where it is."""
    yield "log", log.text
    yield "records", " ".join(f"{vars(record)}" for record in log.records)
    yield "metrics", town.exposition().decode()
    for manifest in town.cluster.objects.values():
        if manifest["kind"] != SECRETS.kind:
            kept = {part: value for part, value in manifest.items() if part != "spec"}
            yield manifest["kind"], json.dumps(kept)
    yield "errors", f"{town.troubles!r}"


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    """It listens in the loop of the towns."""
    server = FakePrometheus()
    run(server.start())
    yield server
    run(server.stop())


def released(town: Town, prometheus: FakePrometheus, own: Path, server: Mapping[str, Any] | None) -> Asker:
    """Version 2 is about to come, and its metrics are asked for."""
    url = prometheus.url.replace("127.0.0.1", "localhost")
    allowed = AllowedAddresses.parse(prometheus.url.replace("http://", f"http://operator:{IN_THE_URL}@"), [url])
    asker = Asker(Servers(allowed, Credentials(own), partial(of_the_cluster, town), guard=Guard(lambda _: None)))
    named = {"prometheus": {"url": url, **server}} if server is not None else {}
    analysis = {"analysis": {**builders.spec()["analysis"], **named}}
    town.wish("1", **analysis)
    town.go(Phase.HEALTHY, minutes=2)
    town.metrics = asker  # type: ignore[assignment]  # all that the operator wants of it
    town.restart()
    town.wish("2", **analysis)
    town.run(minutes=1)
    run(asker.servers.close())
    return asker


@pytest.mark.parametrize("trouble", [fails, rejects, sends_away, lacks_a_part, warns])
@pytest.mark.parametrize(
    ("server", "content"),
    [(None, {}), ({"secretRef": {"name": "prometheus"}}, TENANT), ({"secretRef": {"name": "prometheus"}}, PAIR)],
    ids=["the operator's own", "a token", "a password"],
)
def test_nothing_that_prometheus_is_shown_is_told_anywhere_even_if_it_quotes_it(
    trouble: Trouble,
    server: Mapping[str, Any] | None,
    content: Mapping[str, str],
    prometheus: FakePrometheus,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, text in OWN.items():
        (tmp_path / name).write_text(text)
    town, shown = Town(), list[str]()

    async def remembers(request: web.Request) -> web.StreamResponse:
        shown.append(quoted(request))
        return await trouble(request)

    town.cluster.put(secret(content))
    prometheus.trouble = remembers
    with caplog.at_level(logging.DEBUG):
        asker = released(town, prometheus, tmp_path, server)
    assert any(PLANT in one or "Basic " in one for one in shown)
    pairs = (f"tenant:{PAIR['password']}", f"operator:{IN_THE_URL}")
    hidden = (PLANT, *(base64.b64encode(pair.encode()).decode() for pair in pairs))
    assert not [where for where, text in told(town, caplog) for one in hidden if one in text]
    assert not [one for one in hidden if one in f"{asker.whys} {vars(asker.servers)}"]


def test_a_secret_that_cannot_be_used_is_told_of_without_a_letter_of_it(
    prometheus: FakePrometheus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "token").write_text(OWN["token"])
    town = Town()
    town.cluster.put(secret(BROKEN))
    with caplog.at_level(logging.DEBUG):
        asker = released(town, prometheus, tmp_path, {"secretRef": {"name": "prometheus"}})
    assert prometheus.asked == []
    assert "cannot be used: token has more than one line" in asker.whys[0]
    assert not [where for where, text in told(town, caplog) if PLANT in text]
    assert PLANT not in f"{asker.whys}"


def test_headers_of_smoke_requests_stay_where_they_were_written(caplog: pytest.LogCaptureFixture) -> None:
    wanted = builders.smoke("predicts", json=[{"path": "$.label", "equals": "cat"}])
    request = {**wanted, "headers": [{"name": "X-Key", "value": f"{PLANT}-key"}]}
    town = Town()
    with caplog.at_level(logging.DEBUG):
        town.wish("1")
        town.go(Phase.HEALTHY)
        town.answers.says = {"2": WRONG}
        town.wish("2", stages=[builders.blue_green(smoke=[request])])
        town.go(Phase.ROLLED_BACK, minutes=20)
    assert "SmokeFailed" in {entry.reason for entry in town.status.rejected}
    assert not [where for where, text in told(town, caplog) if PLANT in text]


@pytest.mark.parametrize("shown", [OWN, TENANT, PAIR])
def test_values_that_hold_secrets_do_not_print_them(shown: Mapping[str, str], tmp_path: Path) -> None:
    for name, text in shown.items():
        (tmp_path / name).write_text(text)
    credentials = Credentials(tmp_path)
    texts: list[Callable[[object], str]] = [repr, str]
    assert not [one for one in texts if PLANT in one(credentials.shown())]
