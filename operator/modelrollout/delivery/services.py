"""Chat, pagers and e-mail, by Apprise in a process of its own for each message.

Apprise waits in threads that nobody can end, reads answers of any size, and has more than a hundred modules. A process
can be ended, has a limit of memory, and resolves no name to a forbidden address: see sender.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from modelrollout.delivery.deliverer import Undelivered

MOST_AT_A_TIME, MOST_OF_ITS_OWN = 2, 1
"""Processes for targets of rollouts, and for the operator's own, which wait for nobody else's. Each takes 55 MB for a
second or two, and up to 105 MB where a receiver means no good: together they stay within the chart's `resources`."""
LONGEST_SENDING = 30.0
"""Seconds, of which starting takes one or two."""
_NATIVE = (
    *("https://hooks.slack.com/", "https://discord.com/api/webhooks/", "https://chat.googleapis.com/"),
    "https://webexapis.com/",
)
"""Beginnings of addresses that services show to their users, and that Apprise takes as they are."""
_AZURE = (".logic.azure.com", ".api.powerplatform.com")


@dataclass(frozen=True, slots=True)
class Message:
    """Not to be printed."""

    url: str = field(repr=False)
    title: str
    text: str
    topic: str
    is_trusted: bool  # whether whoever runs the operator chose the address


def takes(url: str) -> bool:
    """Whether the address is that of a service, not of a webhook for CloudEvents."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in ("http", "https"):
        return True
    host = rest.partition("/")[0].partition(":")[0].lower()
    return url.startswith(_NATIVE) or host.endswith(_AZURE)


class Services:
    """Sends a few messages at a time. `python`: what runs the sender."""

    def __init__(self, longest: float = LONGEST_SENDING, python: str = sys.executable) -> None:
        self._longest, self._python = longest, python
        self._turn, self._own_turn = asyncio.Semaphore(MOST_AT_A_TIME), asyncio.Semaphore(MOST_OF_ITS_OWN)

    async def send(self, message: Message) -> None:
        """One attempt. Raises Undelivered."""
        async with self._own_turn if message.is_trusted else self._turn:
            told = await self._sent(message)
        if told:
            raise Undelivered(told)

    async def _sent(self, message: Message) -> str:
        """Empty, or why it was not sent."""
        try:
            sender = await self._started(message.is_trusted)
        except OSError as trouble:
            return f"the process that sends it cannot be started: {trouble.strerror}"
        try:
            async with asyncio.timeout(self._longest):
                said, _ = await sender.communicate(json.dumps(asdict(message)).encode())
        except TimeoutError:
            return f"the service did not take it within {self._longest:g} s"
        finally:
            if sender.returncode is None:
                sender.kill()
                await sender.wait()
        return said.decode() or _ended(sender)

    async def _started(self, is_trusted: bool) -> Process:
        return await asyncio.create_subprocess_exec(
            *(self._python, "-m", "modelrollout.delivery.sender"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=None if is_trusted else _without_proxies(os.environ),
        )


def _without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """A proxy would look names up by itself, after which nothing is left to judge. The operator's settings are nobody
    else's matter."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("MODELROLLOUT_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "NO_PROXY": "*", "no_proxy": "*"}


def _ended(sender: Process) -> str:
    """Why a process that said nothing did not send; empty if it did."""
    match sender.returncode:
        case 0:
            return ""
        case int(code) if code < 0:
            return f"the process that sends it was killed (signal {-code})"
        case code:
            return f"the process that sends it failed (exit code {code})"
