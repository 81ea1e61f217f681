"""The webhook's own certificate: trusted before it is shown, renewed in time, and beside those of other pods."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from modelrollout.kube import Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import WEBHOOK_CONFIGURATIONS
from modelrollout.shell.admission import Advisor
from modelrollout.shell.own_certificate import VALIDITY, NothingToServeError, OwnCertificate
from modelrollout.shell.webhook import PATH, Webhook
from tests.fakes.applied import History, applied, review, serving
from tests.fakes.cluster import FakeCluster

TODAY = datetime.now(UTC).replace(microsecond=0)  # the machine's own clock decides whether a certificate is over
LOOPBACK = {"url": f"https://127.0.0.1:9443{PATH}"}
SERVICE = {"service": {"name": "releaser-webhook", "namespace": "tools", "path": PATH}}


class Site:
    """A configuration in a cluster, and a clock."""

    def __init__(self, client: Manifest = LOOPBACK) -> None:
        self.cluster, self.now = FakeCluster(), TODAY
        self.cluster.put(
            {
                "apiVersion": WEBHOOK_CONFIGURATIONS.api_version,
                "kind": WEBHOOK_CONFIGURATIONS.kind,
                "metadata": {"name": "releaser"},
                "webhooks": [{"name": "warnings.modelrollout.dev", "clientConfig": client}],
            }
        )

    def process(self, pod: str = "pod-1", **more: Any) -> OwnCertificate:
        return OwnCertificate(self.cluster, "releaser", pod, lambda: self.now, **more)  # type: ignore[arg-type]

    def configuration(self) -> Manifest:
        found = self.cluster.get(WEBHOOK_CONFIGURATIONS, "releaser", namespace="")
        assert found is not None
        return found

    def bundle(self) -> bytes:
        (webhook,) = self.configuration()["webhooks"]
        return base64.b64decode(webhook["clientConfig"].get("caBundle", ""))

    def trusted(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.bundle())

    def pods(self) -> list[str]:
        return [str(one.subject.rfc4514_string()) for one in self.trusted()]


@asynccontextmanager
async def serving_with(certificate: OwnCertificate) -> AsyncIterator[str]:
    advisor = Advisor(FakeCluster(), History(), clock=lambda: TODAY)  # type: ignore[arg-type]
    server = Webhook(advisor, certificate, "127.0.0.1", 0)
    port = await server.start()
    try:
        yield f"https://127.0.0.1:{port}{PATH}"
    finally:
        await server.stop()


async def status(url: str, bundle: bytes) -> int:
    """As the API server asks: it trusts the bundle and nothing else."""
    tls = ssl.create_default_context(cadata=bundle.decode())
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
        session.post(url, json=review(applied(), serving())) as reply,
    ):
        return reply.status


async def test_it_is_served_once_the_api_server_trusts_it() -> None:
    site = Site()
    certificate = site.process()
    async with serving_with(certificate) as url:
        with pytest.raises(aiohttp.ClientError):
            await status(url, b"")
        await certificate.look()
        assert await status(url, site.bundle()) == 200


async def test_it_is_for_the_name_of_the_service_that_the_configuration_says() -> None:
    site = Site(SERVICE)
    await site.process().look()
    (one,) = site.trusted()
    names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["releaser-webhook.tools.svc"]


async def test_pods_stand_beside_each_other_and_one_that_was_started_anew_takes_its_own_place() -> None:
    site = Site()
    first, second = site.process("pod-1"), site.process("pod-2")
    await first.look()
    await second.look()
    assert site.pods() == ["CN=pod-1", "CN=pod-2"]
    await site.process("pod-1").look()
    assert site.pods() == ["CN=pod-2", "CN=pod-1"]


async def test_it_is_renewed_in_time_and_what_is_over_goes() -> None:
    site = Site()
    other, certificate = site.process("pod-gone"), site.process()
    await other.look()
    await certificate.look()
    before = site.bundle()
    async with serving_with(certificate) as url:
        site.now += VALIDITY - timedelta(days=11)
        await certificate.look()
        assert site.bundle() == before
        site.now += timedelta(days=2)
        await certificate.look()
        assert site.pods() == ["CN=pod-gone", "CN=pod-1"]
        # Its beginning lies in this machine's future: what is looked at is whose it is.
        with pytest.raises(aiohttp.ClientError, match="not yet valid"):
            await status(url, site.bundle())
        site.now += timedelta(days=10)
        await site.process().look()
        assert site.pods() == ["CN=pod-1"]


async def test_a_configuration_that_was_put_back_as_git_has_it_is_filled_in_again() -> None:
    site = Site()
    certificate = site.process()
    await certificate.look()
    (before,) = site.trusted()
    site.cluster.put({**site.configuration(), "webhooks": [{"name": "w", "clientConfig": LOOPBACK}]})
    await certificate.look()
    assert site.trusted() == [before]


@pytest.mark.parametrize("bundle", ["", base64.b64encode(b"no certificate").decode()])
async def test_a_bundle_that_is_none_is_replaced(bundle: str) -> None:
    site = Site({**LOOPBACK, "caBundle": bundle})
    await site.process().look()
    assert site.pods() == ["CN=pod-1"]


async def test_what_stands_in_its_way_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    site, pauses = Site(), list[float]()
    forbidden = Refused(403, "validatingwebhookconfigurations is forbidden", "/apis")

    def hook(moment: str, verb: str, plural: str, name: str) -> None:
        if len(pauses) < 2:
            raise forbidden

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    site.cluster.hook = hook
    with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
        await site.process(sleep=sleep).run()
    assert pauses == [5.0, 5.0, 300.0]
    assert [record.getMessage() for record in caplog.records] == [
        f"The admission webhook's own certificate is not in force: {forbidden}"
    ]
    assert site.pods() == ["CN=pod-1"]


async def test_a_configuration_that_is_missing_or_says_no_address_is_told_by_its_name() -> None:
    site = Site({})
    with pytest.raises(NothingToServeError, match="'releaser' names no Service"):
        await site.process().look()
    site.cluster.remove(WEBHOOK_CONFIGURATIONS, "releaser", namespace="")
    with pytest.raises(NothingToServeError, match="'releaser' does not exist"):
        await site.process().look()
