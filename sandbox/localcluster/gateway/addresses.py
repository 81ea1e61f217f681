"""Finds and keeps a loopback address for every door. Opens sockets, but never accepts on one."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from localcluster.gateway.doors import Address, Door

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    address: Address
    wanted: Address | None
    reservation: socket.socket | None


class AddressBook:
    """The same door keeps the same address for as long as it is there.

    A socket that is bound and never listens reserves a free port: no other process is given it, and Envoy,
    which sets SO_REUSEADDR as well, may listen on it.
    """

    def __init__(self) -> None:
        self._held: dict[Door, _Held] = {}

    def give(self, doors: Mapping[Door, Address | None]) -> dict[Door, Address]:
        """An address for each of these doors; the addresses of all others are let go."""
        for door in [d for d, held in self._held.items() if d not in doors or doors[d] != held.wanted]:
            self._let_go(door)
        for door, wanted in doors.items():
            if door not in self._held:
                self._held[door] = _hold(door, wanted)
        return self.addresses

    @property
    def addresses(self) -> dict[Door, Address]:
        return {door: held.address for door, held in self._held.items()}

    def close(self) -> None:
        for door in list(self._held):
            self._let_go(door)

    def _let_go(self, door: Door) -> None:
        if reservation := self._held.pop(door).reservation:
            reservation.close()


def _hold(door: Door, wanted: Address | None) -> _Held:
    if wanted is not None:
        if (why := _in_the_way(wanted)) is None:
            return _Held(wanted, wanted, None)
        logger.info("%s cannot be at %s:%d (%s) and gets another address.", door.label, *wanted, why)
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    return _Held(reservation.getsockname(), wanted, reservation)


def _in_the_way(address: Address) -> str | None:
    """Why we cannot listen there: another local cluster does, or the port is for root alone."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
    return None
