"""The parts of one operator process, and in which order they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.delivery.deliverer import Deliverer
from modelrollout.delivery.notifier import Notifier
from modelrollout.delivery.standing import StandingTargets
from modelrollout.kube import Cluster, Leadership, SecretTrouble, read_secret
from modelrollout.plan.errands import NOTIFICATION
from modelrollout.prometheus.credentials import Credentials
from modelrollout.prometheus.servers import Servers, Unreadable
from modelrollout.shell.admission import Advisor
from modelrollout.shell.announce import Announcer
from modelrollout.shell.installation import rollouts_are_served
from modelrollout.shell.mirrors import Mirrors
from modelrollout.shell.own_certificate import OwnCertificate
from modelrollout.shell.permissions import left_alone
from modelrollout.shell.probes import Probes
from modelrollout.shell.reconcile import Reconciler
from modelrollout.shell.rounds import Rounds
from modelrollout.shell.settings import Settings
from modelrollout.shell.standby import Standby
from modelrollout.shell.succession import Succession
from modelrollout.shell.tasks import ended
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.tracing import traces
from modelrollout.shell.wakeups import Wakeups
from modelrollout.shell.webhook import Certificate, Identity, Webhook

logger = logging.getLogger(__name__)

DELIVERY_SECONDS = 2.0
"""Seconds for the Events that wait when the operator stops."""


class Process:
    """Made when the event loop runs. Between `start` and `stop` it answers whoever asks; what it does is up to others.

    All that passes write goes through the fence of a leadership, where there is one.
    """

    def __init__(self, settings: Settings, leadership: Leadership | None) -> None:
        """Raises CertificateError or CredentialsError when files that are wanted cannot be used."""
        self._namespaces = settings.namespaces
        self._running = contextlib.AsyncExitStack()
        self.cluster = Cluster.connect(settings.kubeconfig, settings.context, left_alone=left_alone(settings.without))
        wakeups, writing = Wakeups(), self.cluster if leadership is None else self.cluster.fenced(leadership)
        self._telemetry = Telemetry(self.cluster, most=settings.metrics_rollouts, traces=traces(os.environ))
        folder, addresses = settings.prometheus_credentials, settings.addresses
        own = Credentials(folder) if folder is not None else None
        self._asker = Servers(addresses, own, self._read_secret)
        self._announcer = Announcer(self.cluster)  # not fenced: Events tell what was decided while this process led
        self._mirrors = Mirrors(
            self.cluster, wakeups.poke, namespaces=settings.namespaces, resync=settings.resync_every
        )
        self.standby = Standby(self.cluster, self._mirrors, settings.namespaces)
        notifier = Notifier(self.cluster, StandingTargets(settings.notifications), settings.link_template)
        leads = (lambda: True) if leadership is None else (lambda: leadership.leads)
        self._deliverer = Deliverer({NOTIFICATION: notifier}, wakeups.poke, leads=leads)
        reconciler = Reconciler(
            *(writing, self._mirrors, self._asker, self._announcer, self._telemetry),
            resync=settings.resync_every,
            clock=self.cluster.now,
            comparer_image=settings.comparer_image,
            addresses=addresses,
            vets_authors=settings.require_approvers,
            succession=Succession(writing, self._mirrors) if leadership is not None else None,
            deliverer=self._deliverer,
        )
        self.rounds = Rounds(writing, wakeups, reconciler, self._telemetry)
        self._probes = Probes(self._telemetry, settings.host, settings.port)
        self._own_certificate: OwnCertificate | None = None
        if settings.webhook_configuration is not None:
            holder = (self.cluster, settings.webhook_configuration, socket.gethostname())
            self._own_certificate = OwnCertificate(*holder, self.cluster.now)
        self._webhook = self._made_webhook(settings, addresses)
        self._telemetry.show_ages(self._mirrors.ages)
        self._telemetry.show_leadership(leadership)

    def _made_webhook(self, settings: Settings, addresses: AllowedAddresses) -> Webhook | None:
        certificate: Identity | None = self._own_certificate
        if settings.webhook_certificates is not None:
            certificate = Certificate(settings.webhook_certificates)
        if certificate is None:
            return None
        advisor = Advisor(self.cluster, self._asker, clock=self.cluster.now, addresses=addresses)
        return Webhook(advisor, certificate, settings.host, settings.webhook_port)

    async def _read_secret(self, namespace: str, name: str) -> Mapping[str, str]:
        """Raises Unreadable."""
        try:
            return await read_secret(self.cluster, namespace, name)
        except SecretTrouble as trouble:
            raise Unreadable(f"{trouble}") from trouble

    async def start(self) -> None:
        """Raises KubeError, and OSError when a port is taken."""
        ending = self._running
        await ending.enter_async_context(self.cluster)
        ending.push_async_callback(asyncio.to_thread, self._telemetry.stop)
        ending.push_async_callback(self._asker.close)
        announcing = asyncio.create_task(self._announcer.run())
        ending.push_async_callback(self._stop_announcing, announcing)
        ending.push_async_callback(self._deliverer.stop)
        ending.push_async_callback(self._mirrors.stop)
        port = await self._probes.start()
        ending.push_async_callback(self._probes.stop)
        logger.info("Serving /healthz and /metrics on port %d.", port)
        await rollouts_are_served(self.cluster, self._namespaces)
        if self._webhook is not None:
            logger.info("Serving the admission webhook on port %d.", await self._webhook.start())
            ending.push_async_callback(self._webhook.stop)
        if self._own_certificate is not None:
            renewing = asyncio.create_task(self._own_certificate.run())
            ending.push_async_callback(ended, renewing)

    async def stop(self) -> None:
        """In the opposite order. A second time does nothing."""
        await self._running.aclose()

    async def _stop_announcing(self, announcing: asyncio.Task[None]) -> None:
        """Waiting Events get a moment to be written; the log has them already."""
        await ended(announcing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DELIVERY_SECONDS):
                await self._announcer.deliver()
