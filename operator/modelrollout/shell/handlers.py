"""The thin shell around kopf: events only wake, one daemon for each rollout makes the passes, deletion is guarded.

kopf watches ModelRollouts; everything around them is watched by mirrors.py.
Only this module, notes.py and __main__ import kopf. Handlers return None and never raise kopf's errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import kopf

from modelrollout.api.base import GROUP, PLURAL, VERSION
from modelrollout.kube import Cluster
from modelrollout.prometheus.servers import Servers
from modelrollout.shell.admission import Advisor
from modelrollout.shell.announce import Announcer
from modelrollout.shell.installation import rollouts_are_served
from modelrollout.shell.mirrors import Mirrors
from modelrollout.shell.notes import NoDiffBase, NoProgress
from modelrollout.shell.permissions import left_alone
from modelrollout.shell.probes import Probes
from modelrollout.shell.reconcile import FINALIZER, Reconciler
from modelrollout.shell.settings import Settings
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.wakeups import RolloutKey, Wakeups
from modelrollout.shell.webhook import Certificate, Webhook

logger = logging.getLogger(__name__)

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds until a failed pass is tried again; doubled with every failure in a row."""
DELIVERY_SECONDS = 2.0
"""Seconds for the Events that wait when the operator stops."""


def register(registry: kopf.OperatorRegistry, settings: Settings) -> None:
    """All handlers of an operator process."""
    shell = Shell(settings)

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)
        await shell.start()

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await shell.stop()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await shell.login()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def rollout_changed(namespace: str | None, name: str | None, **_: Any) -> None:
        shell.wakeups.poke((namespace or "", name or ""))

    @kopf.daemon(GROUP, VERSION, PLURAL, registry=registry, cancellation_backoff=2, cancellation_timeout=5)
    async def keep_reconciling(namespace: str | None, name: str | None, stopped: kopf.DaemonStopped, **_: Any) -> None:
        await shell.keep((namespace or "", name or ""), stopped)

    # Unfiltered on purpose: with a filter the finalizer is lost once the daemon is gone.
    @kopf.on.delete(GROUP, VERSION, PLURAL, registry=registry)
    async def finalise(namespace: str | None, name: str | None, **_: Any) -> None:
        await shell.finalise((namespace or "", name or ""))


def configure(settings: kopf.OperatorSettings) -> None:
    """Has kopf write nothing to objects but our finalizer, and puts a time limit on each of its calls."""
    settings.persistence.finalizer = FINALIZER
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.networking.request_timeout = 30
    settings.posting.enabled = False  # Events come from plans
    settings.scanning.disabled = True  # else it asks to see all namespaces and all definitions of the cluster


@dataclass(frozen=True, slots=True)
class Done:
    """An attempt that did not fail."""

    due: timedelta | None  # the time until the next one


class Shell:
    """The parts that the handlers share. Made at start-up, when the event loop runs."""

    def __init__(self, settings: Settings) -> None:
        """Raises CertificateError when the webhook is wanted and its files cannot be used."""
        self._settings = settings
        self.wakeups = Wakeups()
        self._cluster = Cluster.connect(settings.kubeconfig, settings.context, left_alone=left_alone(settings.without))
        self._asker = Servers(settings.prometheus_url)
        self._telemetry = Telemetry(self._cluster)
        self._probes = Probes(self._telemetry, settings.host, settings.port)
        self._mirrors = Mirrors(
            self._cluster, self.wakeups.poke, namespaces=settings.namespaces, resync=settings.resync_every
        )
        self._telemetry.show_ages(self._mirrors.ages)
        self._announcer = Announcer(self._cluster)
        self._announcing: asyncio.Task[None] | None = None
        self._reconciler = Reconciler(
            *(self._cluster, self._mirrors, self._asker, self._announcer, self._telemetry),
            resync=settings.resync_every,
            comparer_image=settings.comparer_image,
        )
        self._webhook: Webhook | None = None
        if settings.webhook_certificates is not None:
            certificate = Certificate(settings.webhook_certificates)
            advisor = Advisor(self._cluster, self._asker)
            self._webhook = Webhook(advisor, certificate, settings.host, settings.webhook_port)

    async def start(self) -> None:
        await self._cluster.__aenter__()
        self._announcing = asyncio.create_task(self._announcer.run())
        port = await self._probes.start()
        logger.info("Serving /healthz and /metrics on port %d.", port)
        await rollouts_are_served(self._cluster, self._settings.namespaces)
        if self._webhook is not None:
            logger.info("Serving the admission webhook on port %d.", await self._webhook.start())

    async def stop(self) -> None:
        if self._webhook is not None:
            await self._webhook.stop()
        await self._probes.stop()
        await self._mirrors.stop()
        await self._stop_announcing()
        await self._asker.close()
        await self._cluster.__aexit__()

    async def _stop_announcing(self) -> None:
        """Waiting Events get a moment to be written; the log has them already."""
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.gather(self._announcing, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DELIVERY_SECONDS):
                await self._announcer.deliver()

    async def login(self) -> kopf.ConnectionInfo:
        """Logs kopf's own client in with our credentials. kopf calls this again when they are refused."""
        way = await self._cluster.credentials()
        return kopf.ConnectionInfo(
            server=way.server,
            insecure=not way.verify,
            ca_path=way.ca_path,
            scheme="Bearer" if way.token else None,
            token=way.token,
            certificate_path=way.certificate_path,
            private_key_path=way.private_key_path,
            username=way.username,
            password=way.password,
        )

    async def keep(self, key: RolloutKey, stopped: kopf.DaemonStopped) -> None:
        """Pass after pass until the rollout or the operator goes. Must neither return nor raise by itself."""
        failures = 0
        poked = functools.partial(self.wakeups.wait, key, None)

        async def make_a_pass() -> timedelta | None:
            with self._telemetry.passes.time():
                return None if stopped else await self._reconciler.reconcile(key, poked)

        while not stopped:
            self._telemetry.next_pass(key, 0)
            if (made := await self._tried(key, make_a_pass)) is None:
                pause: float | None = min(LONGEST_RETRY, FIRST_RETRY * 2**failures)
                failures = min(failures + 1, 10)
            else:
                pause, failures = made.due.total_seconds() if made.due is not None else None, 0
            self._telemetry.next_pass(key, pause)
            await self.wakeups.wait(key, pause)

    async def finalise(self, key: RolloutKey) -> None:
        """Until the rollout is let go. kopf would keep count of its own retries on the object, which may be full."""
        failures = 0

        async def let_go() -> None:
            await self._reconciler.finalise(key)
            await self._reconciler.release(key)

        while await self._tried(key, let_go) is None:
            await self.wakeups.wait(key, min(LONGEST_RETRY, FIRST_RETRY * 2**failures))
            failures = min(failures + 1, 10)
        self.wakeups.forget(key)
        self._telemetry.forget(key)

    async def _tried(self, key: RolloutKey, attempt: Callable[[], Awaitable[timedelta | None]]) -> Done | None:
        """One attempt, with the rollout to itself: deletion runs beside passes, not after them. None: it failed."""
        try:
            async with self.wakeups.lock(key):
                return Done(await attempt())
        except Exception:  # the only place that catches everything: whatever happens, there is a next attempt
            logger.exception("A pass over %s/%s failed and will be tried again.", *key)
            self._telemetry.failures.inc()
            return None
