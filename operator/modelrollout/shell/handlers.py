"""The thin shell around kopf: events only wake, one daemon for each rollout makes the passes, deletion is guarded.

kopf watches ModelRollouts; everything around them is watched by mirrors.py.
Only this module, notes.py and leading.py import kopf. Handlers return None and never raise kopf's errors.
"""

from __future__ import annotations

from typing import Any

import kopf

from modelrollout.api.base import GROUP, PLURAL, VERSION
from modelrollout.shell.finalizer import FINALIZER
from modelrollout.shell.notes import NoDiffBase, NoProgress
from modelrollout.shell.process import Process


def register(registry: kopf.OperatorRegistry, process: Process) -> None:
    """All handlers of an operator process."""

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)

    # kopf waits for all tasks that were begun while it ran, such as the connections to our ports.
    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await process.stop()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await connection_info(process)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def rollout_changed(namespace: str | None, name: str | None, **_: Any) -> None:
        process.rounds.poke((namespace or "", name or ""))

    @kopf.daemon(GROUP, VERSION, PLURAL, registry=registry, cancellation_backoff=2, cancellation_timeout=5)
    async def keep_reconciling(namespace: str | None, name: str | None, stopped: kopf.DaemonStopped, **_: Any) -> None:
        await process.rounds.keep((namespace or "", name or ""), stopped)

    # Unfiltered on purpose: with a filter the finalizer is lost once the daemon is gone.
    @kopf.on.delete(GROUP, VERSION, PLURAL, registry=registry)
    async def finalise(namespace: str | None, name: str | None, **_: Any) -> None:
        await process.rounds.finalise((namespace or "", name or ""))


def configure(settings: kopf.OperatorSettings) -> None:
    """Has kopf write nothing to objects but our finalizer, and puts a time limit on each of its calls."""
    settings.persistence.finalizer = FINALIZER
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.networking.request_timeout = 30
    settings.posting.enabled = False  # Events come from plans
    settings.scanning.disabled = True  # else it asks to see all namespaces and all definitions of the cluster


async def connection_info(process: Process) -> kopf.ConnectionInfo:
    """Logs kopf's own client in with our credentials. kopf calls this again when they are refused."""
    way = await process.cluster.credentials()
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
