"""Server-sent events, joined into the one answer that a server would have given without streaming. Pure.

Source: the event stream format of the HTML standard, and OpenAI's chat.completion.chunk objects: deltas of each choice
are put together by their index. Events of other forms are kept as a list.
"""

from __future__ import annotations

import json
from typing import Any

DONE = "[DONE]"
_SAID_ONCE = frozenset({"role", "id", "type", "name", "object", "finish_reason", "index"})
"""Texts that stand whole in one chunk; all others come in pieces."""
MOST_CALLS = 128
"""Tool calls that are put together: each piece looks for its own."""


class EventStream:
    """Takes the bytes of a stream as they come, cut anywhere."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # of a line whose end is still to come
        self._data: list[str] = []
        self._is_done = False
        self.events: list[Any] = []
        self.has_content = False  # the first word was said

    def feed(self, chunk: bytes) -> None:
        # A line feed ends every line that OpenAI-compatible servers send; only a lone CR, which none uses, is no end.
        first, *more = chunk.split(b"\n")
        self._rest.append(first)
        if not more:
            return
        lines = [b"".join(self._rest), *more[:-1]]
        self._rest = more[-1:]
        for line in lines:
            self._read(line.removesuffix(b"\r").decode(errors="replace"))

    def _read(self, line: str) -> None:
        field, _, value = line.partition(":")  # a comment (keep-alive) is a line with an empty field
        if field == "data":
            self._data.append(value.removeprefix(" "))
        elif not line and self._data:
            self._event("\n".join(self._data))
            self._data = []

    def _event(self, data: str) -> None:
        if data == DONE:
            self._is_done = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = data
        self.events.append(event)
        self.has_content = self.has_content or not _is_chunk(event) or _says_something(event)

    @property
    def is_whole(self) -> bool:
        """Whether it was told to the end; of other streams than completions only the connection knows."""
        chunks = [event for event in self.events if _is_chunk(event)]
        choices = _joined(chunks)["choices"] if chunks else []
        return self._is_done or all(choice.get("finish_reason") for choice in choices)

    @property
    def answer(self) -> Any:
        """The answer without streaming, if these are chunks of a completion; otherwise the list of events."""
        if self.events and all(map(_is_chunk, self.events)):
            return _joined(self.events)
        return self.events


def _is_chunk(event: Any) -> bool:
    """Some servers send the last one, with the usage, without choices or with null."""
    if not isinstance(event, dict):
        return False
    choices = event.get("choices")
    if choices is None:
        return "usage" in event
    return isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices)


def _says_something(event: dict[str, Any]) -> bool:
    for choice in event.get("choices") or ():
        delta = choice.get("delta")
        said = delta if isinstance(delta, dict) else {"text": choice.get("text")}
        if any(value for name, value in said.items() if name != "role"):
            return True
    return False


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    choices: dict[Any, dict[str, Any]] = {}
    for chunk in chunks:
        whole |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for choice in chunk.get("choices") or ():
            index = repr(choice.get("index", 0))
            choices[index] = _with_delta(choices.get(index, {}), choice)
    if isinstance(kind := whole.get("object"), str):
        whole["object"] = kind.removesuffix(".chunk")
    return {**whole, "choices": [choices[index] for index in sorted(choices)]}


def _with_delta(choice: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in piece.items() if name != "delta"}
    message = {"message": piece["delta"]} if isinstance(piece.get("delta"), dict) else {}
    return _merged(choice, {**rest, **message})


def _merged(whole: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    for name, value in piece.items():
        before = whole.get(name)
        if isinstance(value, dict):
            whole[name] = _merged(before if isinstance(before, dict) else {}, value)
        elif isinstance(value, list):
            whole[name] = _merged_lists(before if isinstance(before, list) else [], value)
        elif isinstance(before, str) and isinstance(value, str) and name not in _SAID_ONCE:
            whole[name] = before + value
        elif value is not None or name not in whole:
            whole[name] = value
    return whole


def _merged_lists(whole: list[Any], pieces: list[Any]) -> list[Any]:
    """Tool calls come in pieces with an index each; entries of other lists are added."""
    for piece in pieces:
        if not isinstance(piece, dict) or "index" not in piece:
            whole.append(piece)
            continue
        same = next(
            (one for one in whole[:MOST_CALLS] if isinstance(one, dict) and one.get("index") == piece["index"]), None
        )
        if same is None:
            whole.append(_merged({}, piece))
        else:
            _merged(same, piece)
    return whole
