"""A certificate for the admission webhook that the process makes for itself, so that no other tool is needed.

Its key never leaves the memory of the process. The certificate is its own authority, and goes into the `caBundle` of
the webhook's configuration beside those of the other processes that stand behind the same Service.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modelrollout.kube import Cluster, KubeError
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import WEBHOOK_CONFIGURATIONS

logger = logging.getLogger(__name__)

VALIDITY = timedelta(days=30)
RENEWED_BEFORE_ITS_END = timedelta(days=10)
FUZZ = timedelta(hours=1)
"""How far clocks may differ."""
CHECKED_EVERY = timedelta(minutes=5)
"""Somebody may put the configuration back as Git has it."""
SOON = timedelta(seconds=5)
MOST_IN_A_BUNDLE = 32


class NothingToServeError(Exception):
    """The configuration does not say where the webhook is."""


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate with its key, in PEM; `names` are those that it is for."""

    certificate: x509.Certificate
    pem: bytes
    key: bytes
    names: tuple[str, ...]

    def lasts(self, names: tuple[str, ...], now: datetime) -> bool:
        """Whether it is for these names, and need not be renewed yet."""
        return self.names == names and now < self.certificate.not_valid_after_utc - RENEWED_BEFORE_ITS_END

    def context(self) -> ssl.SSLContext:
        """For connections. The ssl module takes files alone; this one has no name and no place on a disk."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        file = os.memfd_create("certificate")
        try:
            os.write(file, self.pem + self.key)
            context.load_cert_chain(f"/proc/self/fd/{file}")
        finally:
            os.close(file)
        return context


class OwnCertificate:
    """Serves once `run` has told the API server whom to trust, and renews in time."""

    def __init__(
        self,
        cluster: Cluster,
        configuration: str,
        holder: str,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`holder` names the pod: what it made before it was started anew is of no use any more."""
        self._cluster, self._configuration, self._holder = cluster, configuration, holder
        self._clock, self._sleep = clock, sleep
        self._made: Made | None = None
        self._in_force: Made | None = None
        self._context: ssl.SSLContext | None = None
        self._trouble = ""

    def server_context(self) -> ssl.SSLContext:
        """For a server: every connection gets the certificate that is there when it begins."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self._choose
        return context

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
                self._trouble, pause = "", CHECKED_EVERY
            except (KubeError, NothingToServeError) as trouble:
                if str(trouble) != self._trouble:
                    logger.warning("The admission webhook's own certificate is not in force: %s", trouble)
                self._trouble, pause = str(trouble), SOON
            await self._sleep(pause.total_seconds())

    async def look(self) -> None:
        """Sees to it that the configuration trusts a certificate of ours that lasts. Raises KubeError."""
        found = await self._cluster.read(WEBHOOK_CONFIGURATIONS, None, self._configuration)
        if found is None:
            raise NothingToServeError(f"ValidatingWebhookConfiguration '{self._configuration}' does not exist")
        names, now = tuple(sorted(set(_hosts(found)))), self._clock()
        if not names:
            raise NothingToServeError(f"ValidatingWebhookConfiguration '{self._configuration}' names no Service")
        if (made := self._made) is None or not made.lasts(names, now):
            made = self._made = make(names, self._holder, now)
        if not all(made.pem in bundle for bundle in _bundles(found)):
            await self._publish(made, found, now)
        if made is not self._in_force:  # not before it is trusted
            self._in_force, self._context = made, made.context()
            logger.info("The admission webhook has a certificate until %s.", made.certificate.not_valid_after_utc)

    async def _publish(self, made: Made, found: Manifest, now: datetime) -> None:
        webhooks = [
            {**webhook, "clientConfig": {**webhook["clientConfig"], "caBundle": _encoded(_joined(bundle, made, now))}}
            for webhook, bundle in zip(found["webhooks"], _bundles(found), strict=True)
        ]
        seen = {"resourceVersion": found["metadata"]["resourceVersion"]}
        patch = {"metadata": seen, "webhooks": webhooks}
        await self._cluster.patch(WEBHOOK_CONFIGURATIONS, None, self._configuration, patch)

    def _choose(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        if self._context is not None:
            connection.context = self._context


def make(names: Sequence[str], holder: str, now: datetime) -> Made:
    """A certificate that is its own authority, for these names and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, holder[:64])])
    certificate = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - FUZZ)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Made(certificate, certificate.public_bytes(Encoding.PEM), private, tuple(names))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _hosts(configuration: Manifest) -> Iterator[str]:
    """Under which names the API server will ask for it."""
    for webhook in configuration.get("webhooks") or ():
        client = webhook.get("clientConfig") or {}
        if (service := client.get("service")) is not None:
            yield f"{service['name']}.{service['namespace']}.svc"
        elif host := urlsplit(client.get("url") or "").hostname:
            yield host


def _bundles(configuration: Manifest) -> list[bytes]:
    return [base64.b64decode(one["clientConfig"].get("caBundle") or "") for one in configuration["webhooks"]]


def _joined(bundle: bytes, made: Made, now: datetime) -> bytes:
    """The bundle with ours, without those that are over and those of the same pod; what is no certificate goes."""
    try:
        before = x509.load_pem_x509_certificates(bundle) if bundle.strip() else []
    except ValueError:
        before = []
    own = made.certificate.subject
    others = [one for one in before if one.not_valid_after_utc > now and one.subject != own]
    newest = sorted(others, key=lambda one: one.not_valid_before_utc)[-(MOST_IN_A_BUNDLE - 1) :]
    return b"".join(one.public_bytes(Encoding.PEM) for one in (*newest, made.certificate))


def _encoded(bundle: bytes) -> str:
    return base64.b64encode(bundle).decode()
