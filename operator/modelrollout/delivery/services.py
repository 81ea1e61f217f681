"""Chat, pagers and e-mail, by Apprise in a process of its own for each message.

Apprise waits in threads that nobody can end, reads answers of any size, and has more than a hundred modules. A process
can be ended, has a limit of memory, and resolves no name to a forbidden address: see sender.py.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import asdict, dataclass, field

from modelrollout.delivery.deliverer import Undelivered

MOST_AT_A_TIME = 4
"""Each process takes about 100 MB while it runs, which is a second or two."""
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
    """Sends a few messages at a time."""

    def __init__(self, longest: float = LONGEST_SENDING) -> None:
        self._turn, self._longest = asyncio.Semaphore(MOST_AT_A_TIME), longest

    async def send(self, message: Message) -> None:
        """One attempt. Raises Undelivered."""
        async with self._turn:
            told = await _sent(json.dumps(asdict(message)).encode(), self._longest)
        if told is None:
            raise Undelivered("the service was not reached in time, or its answer was too large")
        if told:
            raise Undelivered(told)


async def _sent(message: bytes, longest: float) -> str | None:
    """What the process says: nothing, or why it was not sent. None: it came to no end."""
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modelrollout.delivery.sender", stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(longest):
            said, _ = await sender.communicate(message)
    except TimeoutError:
        return None
    finally:
        if sender.returncode is None:
            sender.kill()
            await sender.wait()
    return said.decode() if sender.returncode == 0 else None
