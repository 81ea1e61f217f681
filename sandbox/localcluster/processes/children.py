"""Local processes that cannot outlive us: each leads a process group of its own and dies with this process.

Knows nothing of pods; it starts, signals and waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from localcluster.processes import guard as guard_script

PR_SET_PDEATHSIG = 1


class CannotStartError(Exception):
    """The program is not there or may not be run; the message says which."""


class Guard:
    """Kills, when we are gone, the groups that it watches; see `guard.py`. A context manager."""

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-S", "-E", str(Path(guard_script.__file__))], stdin=subprocess.PIPE, process_group=0
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate()

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self._child.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # somebody killed the guard, or this comes after its time
                self._child.stdin.write(line.encode())
                self._child.stdin.flush()


class Process:
    """A running program and whatever it starts in its group."""

    def __init__(self, child: asyncio.subprocess.Process, guard: Guard | None) -> None:
        self._child, self._guard = child, guard

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        guard: Guard | None = None,
    ) -> Self:
        """Run `command` in `folder`; its output is appended to `log`. Raises `CannotStartError`.

        Without a guard, only the program itself is sure to end when we are killed, not what it started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            try:
                child = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=folder,
                    env=dict(environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    process_group=0,  # Ctrl-C in the terminal is for us; we stop our children in our own order
                    preexec_fn=dies_with_parent(),
                )
            except (OSError, ValueError) as error:
                raise CannotStartError(f'exec "{command[0]}": {error}') from error
        if guard is not None:
            guard.watch(child.pid)
        return cls(child, guard)

    @property
    def pid(self) -> int:
        return self._child.pid

    async def wait(self) -> int:
        """Its exit code, as a shell tells it: 128 + n when signal n ended it. Stragglers of its group end with it."""
        code = await self._child.wait()
        self._signal(signal.SIGKILL)
        if self._guard is not None:
            self._guard.forget(self._child.pid)
        return 128 - code if code < 0 else code

    async def stop(self, grace: float) -> int:
        """Ask it to end, insist after `grace` seconds; its exit code. Cancelled, it insists at once."""
        if self._child.returncode is None:
            self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                return await self.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            return await self.wait()
        except asyncio.CancelledError:
            self._signal(signal.SIGKILL)
            raise

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)


def dies_with_parent() -> Callable[[], None] | None:
    """The first call of a child: Linux then kills it when we die, even by SIGKILL. None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    set_option, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        set_option(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)

    return tie
