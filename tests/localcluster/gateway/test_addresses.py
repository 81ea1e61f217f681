"""Loopback addresses for doors: the wanted one when it is free, else one of the machine's choice."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from localcluster.gateway.addresses import AddressBook
from localcluster.gateway.doors import Door

DOOR, OTHER = Door("service", "ml", "a", 80), Door("service", "ml", "b", 80)
# Ours alone, for the sake of whoever runs the tests beside us.
WANTED = (f"127.97.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}", 18081)


@pytest.fixture
def book() -> Iterator[AddressBook]:
    book = AddressBook()
    yield book
    book.close()


def listening_on(address: tuple[str, int]) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    server.listen()
    return server


def test_gives_the_wanted_address_when_nobody_has_it(book: AddressBook) -> None:
    assert book.give({DOOR: WANTED}) == {DOOR: WANTED}


def test_gives_another_when_somebody_listens_there(book: AddressBook) -> None:
    with listening_on(WANTED):
        host, port = book.give({DOOR: WANTED})[DOOR]
    assert host == "127.0.0.1"
    assert port != WANTED[1]


def test_a_door_keeps_its_address_while_others_come_and_go(book: AddressBook) -> None:
    first = book.give({DOOR: None})[DOOR]
    assert book.give({DOOR: None, OTHER: None})[DOOR] == first
    assert book.give({DOOR: None}) == {DOOR: first}


def test_no_two_doors_share_an_address(book: AddressBook) -> None:
    given = book.give({Door("service", "ml", f"s{number}", 80): None for number in range(50)})
    assert len(set(given.values())) == 50


def test_whoever_sets_reuse_address_can_listen_on_what_was_given_and_nobody_else_is_given_it(book: AddressBook) -> None:
    address = book.give({DOOR: None})[DOOR]
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(address)
    with listening_on(address) as envoy:
        assert envoy.getsockname() == address


def test_a_door_whose_wish_changed_gets_its_new_address(book: AddressBook) -> None:
    book.give({DOOR: (WANTED[0], 18082)})
    assert book.give({DOOR: WANTED}) == {DOOR: WANTED}
