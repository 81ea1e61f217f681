"""Pass after pass over each rollout, for as long as it is there. Whatever fails is tried again."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from modelrollout.kube import Cluster, NotLeading
from modelrollout.shell.finalizer import release
from modelrollout.shell.journal import working_for
from modelrollout.shell.reconcile import Reconciler
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.wakeups import RolloutKey, Wakeups

logger = logging.getLogger(__name__)

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds until a failed pass is tried again; doubled with every failure in a row."""


@dataclass(frozen=True, slots=True)
class Done:
    """An attempt that did not fail."""

    due: timedelta | None  # the time until the next one


class Rounds:
    """What the handlers call. `stopped` is true once the rollout or the process goes."""

    def __init__(self, cluster: Cluster, wakeups: Wakeups, reconciler: Reconciler, telemetry: Telemetry) -> None:
        self._cluster, self._wakeups, self._reconciler, self._telemetry = cluster, wakeups, reconciler, telemetry
        self._are_over = False

    def poke(self, key: RolloutKey) -> None:
        """Have a pass made soon."""
        self._wakeups.poke(key)

    def end(self) -> None:
        """The process ends: no pass begins any more. What is left undone, the next process does."""
        self._are_over = True
        self._wakeups.poke_all()

    async def keep(self, key: RolloutKey, stopped: object) -> None:
        """Pass after pass until the rollout or the process goes. Must neither return nor raise by itself."""
        failures = 0
        poked = functools.partial(self._wakeups.wait, key, None)

        async def make_a_pass() -> timedelta | None:
            return None if stopped else await self._reconciler.reconcile(key, poked)

        while not stopped and not self._are_over:
            with self._telemetry.a_pass(key):
                made = await self._tried(key, make_a_pass)
            if made is None:
                pause: float | None = min(LONGEST_RETRY, FIRST_RETRY * 2**failures)
                failures = min(failures + 1, 10)
            else:
                pause, failures = made.due.total_seconds() if made.due is not None else None, 0
            self._telemetry.next_pass(key, pause)
            await self._wakeups.wait(key, pause)

    async def finalise(self, key: RolloutKey) -> None:
        """Until the rollout is let go. kopf would keep count of its own retries on the object, which may be full."""
        failures = 0

        async def let_go() -> None:
            await self._reconciler.finalise(key)
            await release(self._cluster, key)

        with working_for(key):
            while await self._tried(key, let_go) is None:
                await self._wakeups.wait(key, min(LONGEST_RETRY, FIRST_RETRY * 2**failures))
                failures = min(failures + 1, 10)
        self._wakeups.forget(key)
        self._telemetry.forget(key)

    async def _tried(self, key: RolloutKey, attempt: Callable[[], Awaitable[timedelta | None]]) -> Done | None:
        """One attempt, with the rollout to itself: deletion runs beside passes, not after them. None: it failed."""
        try:
            async with self._wakeups.lock(key):
                return None if self._are_over else Done(await attempt())
        except NotLeading as why:  # this process is about to end
            logger.info("The pass over %s/%s ends: %s", *key, why)
        except Exception:  # whatever happens, there is a next attempt; a delivery has its own, see deliverer.py
            if not self._are_over:
                logger.exception("A pass over %s/%s failed and will be tried again.", *key)
                self._telemetry.failures.inc()
        return None
