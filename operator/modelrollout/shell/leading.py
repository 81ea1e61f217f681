"""One operator process from its start to its end: it stands by, leads, and hands over.

While it leads, kopf runs. A process that loses its Lease ends: what it knew of the world may be old by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import kopf

from modelrollout.kube import Candidacy, Cluster, Leadership, Terms
from modelrollout.shell.handlers import register
from modelrollout.shell.process import Process
from modelrollout.shell.settings import Settings
from modelrollout.shell.tasks import ended

logger = logging.getLogger(__name__)


async def run(settings: Settings) -> int:
    """Until it is told to stop; the exit code. Raises KubeError, OSError for a port, and ValueError for a setting."""
    told = asyncio.Event()
    _on_signals(told.set)
    async with contextlib.AsyncExitStack() as ending:
        leadership = await _leadership(settings, ending) if settings.leader_election else None
        process = Process(settings, leadership)
        ending.push_async_callback(process.stop)
        if await _first(process.start(), told.wait()) == 1:
            return 0
        if leadership is None:
            await _serve(process, settings, told, told.wait())
            return 0
        ending.push_async_callback(leadership.resign)
        if not await _elected(leadership, process, told):
            return 0
        return await _lead(leadership, process, settings, told)


async def _leadership(settings: Settings, ending: contextlib.AsyncExitStack) -> Leadership:
    """On a connection of its own: renewals wait for nobody else's requests."""
    terms = Terms(settings.lease_duration.timedelta)
    own = Cluster.connect(settings.kubeconfig, settings.context, timeout=terms.renewal_deadline / 2)
    cluster = await ending.enter_async_context(own)
    namespace = settings.lease_namespace or await cluster.default_namespace()
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"  # of this process: a restarted one is another
    return Leadership(cluster, Candidacy(namespace, settings.lease, identity, terms, settings.namespaces))


async def _elected(leadership: Leadership, process: Process, told: asyncio.Event) -> bool:
    """Stands by until this process leads (True) or is told to stop."""
    logger.info("Standing by for %s.", leadership)
    return await _first(told.wait(), leadership.campaign(), beside=process.standby.run()) == 1


async def _lead(leadership: Leadership, process: Process, settings: Settings, told: asyncio.Event) -> int:
    logger.info("This process leads by %s.", leadership)
    lost: list[str] = []

    async def until_it_ends() -> None:
        async def keep() -> None:
            lost.append(await leadership.keep())

        await _first(told.wait(), keep())
        if lost:
            logger.error("This process lost %s and ends: %s.", leadership, lost[0])
        else:
            await leadership.resign()  # at once: what kopf has to end writes nothing

    await _serve(process, settings, told, until_it_ends())
    return 1 if lost else 0


async def _serve(process: Process, settings: Settings, told: asyncio.Event, until: Coroutine[Any, Any, object]) -> None:
    """Runs kopf until something ends."""
    registry, over = kopf.OperatorRegistry(), asyncio.Event()
    register(registry, process)

    async def end() -> None:
        try:
            await until
        finally:  # even where that fails: nobody would renew the Lease any more
            process.rounds.end()
            over.set()

    ending = asyncio.create_task(end())
    others = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        stop_flag=over,
    )
    _on_signals(told.set)  # kopf has put its own in their place
    try:
        await kopf.run_tasks(tasks, ignored=others)
    finally:
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending


async def _first(*those: Coroutine[Any, Any, object], beside: Coroutine[Any, Any, None] | None = None) -> int:
    """Runs them side by side; which of them ended first. Raises what it raised."""
    tasks = [asyncio.create_task(each) for each in those]
    others = [] if beside is None else [asyncio.create_task(beside)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        unfinished = [task for task in (*tasks, *others) if not task.done()]
        await ended(*unfinished)
    number = next(n for n, task in enumerate(tasks) if task not in unfinished)
    tasks[number].result()
    return number


def _on_signals(act: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, act)
