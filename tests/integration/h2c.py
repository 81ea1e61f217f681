"""A gRPC server in miniature: HTTP/2 from the first byte (RFC 9113) and nothing else, one answer for every call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0x0, 0x1, 0x4, 0x6
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
OK = b"\x88"  # `:status: 200` of HPACK's static table (RFC 7541, appendix A)
MESSAGE = b"\0\0\0\0\0"  # an empty one: not compressed, of length 0


@asynccontextmanager
async def grpc_server(version: str) -> AsyncIterator[int]:
    """Answers every call with its version in the header x-model-version and the status OK; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _serve(reader, writer, version)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has what it wanted
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: str) -> None:
    assert await reader.readexactly(len(PREFACE)) == PREFACE
    writer.write(_frame(SETTINGS, 0, 0))
    while True:
        head = await reader.readexactly(9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        if kind in (SETTINGS, PING) and not flags & ACK:
            writer.write(_frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            writer.write(_answer(stream, version))
        await writer.drain()


def _answer(stream: int, version: str) -> bytes:
    headers = OK + _field("content-type", "application/grpc") + _field("x-model-version", version)
    return (
        _frame(HEADERS, END_HEADERS, stream, headers)
        + _frame(DATA, 0, stream, MESSAGE)
        + _frame(HEADERS, END_HEADERS | END_STREAM, stream, _field("grpc-status", "0"))
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _field(name: str, value: str) -> bytes:
    """A literal that is in no table, and not Huffman-coded (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))
