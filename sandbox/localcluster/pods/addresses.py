"""Addresses for pods: each its own on loopback, so that container ports are used as they are.

Several local clusters share the machine: each claims a block of 254 addresses, by listening on the block's first one.
"""

from __future__ import annotations

import random
import socket
from collections import deque
from types import TracebackType
from typing import Self

SECOND, BLOCKS = range(64, 96), range(256)  # 127.64.0.0 to 127.95.255.255; ClusterIPs start at 127.96.0.0
LOCK_PORT = 6464
TRIES = 200


class NoAddressError(Exception):
    """No block of addresses could be claimed; the message says why."""


class Addresses:
    """A context manager: outside of it the blocks are anybody's."""

    def __init__(self) -> None:
        self._locks: list[socket.socket] = []
        self._free: deque[str] = deque()

    def __enter__(self) -> Self:
        self._claim()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for lock in self._locks:
            lock.close()

    def take(self) -> str:
        """An address that nobody uses, the longest unused first: old connections must not meet a new pod."""
        if not self._free:
            self._claim()
        return self._free.popleft()

    def give_back(self, address: str) -> None:
        self._free.append(address)

    def _claim(self) -> None:
        why: OSError | None = None
        for _ in range(TRIES):
            block = f"127.{random.choice(SECOND)}.{random.choice(BLOCKS)}"  # noqa: S311 - not a secret
            lock = socket.socket()
            try:
                lock.bind((f"{block}.0", LOCK_PORT))
                lock.listen(1)
            except OSError as error:  # another local cluster has it, or this is no Linux
                lock.close()
                why = error
            else:
                self._locks.append(lock)
                self._free.extend(f"{block}.{last}" for last in range(1, 255))
                return
        raise NoAddressError(
            f"No addresses for pods: programs cannot listen below 127.64.0.0/11 ({why}). Linux lets them; "
            "other systems need each address added to the loopback interface first."
        )
