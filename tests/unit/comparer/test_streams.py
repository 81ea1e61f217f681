"""Streams of OpenAI-compatible servers, joined into one answer and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from modelrollout.comparer.streams import EventStream
from tests.fakes.versions import comparison, streams

DONE = b"data: [DONE]\n\n"


def chunk(**choice: Any) -> bytes:
    whole = {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, **choice}]}
    return b"data: " + json.dumps(whole, ensure_ascii=False).encode() + b"\n\n"


def words(*said: str) -> Iterator[bytes]:
    yield chunk(delta={"role": "assistant", "content": ""}, finish_reason=None)
    for word in said:
        yield chunk(delta={"content": word}, finish_reason=None)
    yield chunk(delta={}, finish_reason="stop")


def joined(*pieces: bytes) -> EventStream:
    stream = EventStream()
    for piece in pieces:
        stream.feed(piece)
    return stream


def message(stream: EventStream) -> Any:
    return stream.answer["choices"][0]["message"]


def test_words_are_joined_into_the_answer_without_streaming() -> None:
    usage = b'data: {"object": "chat.completion.chunk", "choices": null, "usage": {"total_tokens": 7}}\n\n'
    assert joined(*words("Good ", "morning"), usage, DONE).answer == {
        "id": "c1",
        "object": "chat.completion",
        "model": "m",
        "usage": {"total_tokens": 7},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Good morning"}, "finish_reason": "stop"}],
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_may_be_cut_anywhere(size: int) -> None:
    whole = b": keep-alive\n\n" + b"".join(words("Grüße, ", "世界")) + DONE
    stream = joined(*(whole[at : at + size] for at in range(0, len(whole), size)))
    assert message(stream)["content"] == "Grüße, 世界"
    assert stream.is_whole


def test_lines_may_end_as_on_windows_and_data_may_have_several() -> None:
    stream = joined(b'event: x\r\ndata: {"a":\r\ndata: 1}\r\n\r\n')
    assert stream.answer == [{"a": 1}]


def test_tool_calls_are_joined_by_their_index() -> None:
    def call(index: int, **function: str) -> bytes:
        return chunk(delta={"tool_calls": [{"index": index, "function": function}]})

    named = chunk(delta={"tool_calls": [{"index": 0, "id": "t", "function": {"name": "weather", "arguments": ""}}]})
    stream = joined(named, call(0, arguments='{"ci'), call(1, name="time", arguments=""), call(0, arguments='ty": 1}'))
    assert message(stream)["tool_calls"] == [
        {"index": 0, "id": "t", "function": {"name": "weather", "arguments": '{"city": 1}'}},
        {"index": 1, "function": {"name": "time", "arguments": ""}},
    ]


def test_choices_are_joined_each_for_itself() -> None:
    two = [chunk(index=at, delta={"content": text}) for at, text in ((1, "b"), (0, "a"), (1, "B"), (0, "A"))]
    assert [choice["message"]["content"] for choice in joined(*two).answer["choices"]] == ["aA", "bB"]


def test_plain_completions_are_joined_too() -> None:
    assert joined(chunk(text="one "), chunk(text="two")).answer["choices"][0]["text"] == "one two"


def test_a_stream_without_its_end_is_not_whole() -> None:
    assert not joined(*[*words("Good", "morning")][:-1]).is_whole
    assert joined(*words("Good", "morning")).is_whole
    assert joined(b"data: 1\n\n").is_whole  # no completion: only the connection knows


def test_the_first_word_is_not_the_role() -> None:
    first, second, *_ = words("Good", "morning")
    assert not joined(b": keep-alive\n\n", first).has_content
    assert joined(first, second).has_content


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"choices": [1]}\n\n',
        b'data: {"choices": [{"delta": 7}]}\n\n',
        b'data: {"choices": [{"index": {}, "delta": {"tool_calls": [{"index": []}, 3]}}]}\n\n',
        b'data: {"choices": {}}\n\ndata: {"choices": [{"delta": {"content": 1}}, {"delta": {"content": "x"}}]}\n\n',
        b"data: " + b"[" * 5000 + b"\n\n",
        b"\xff\xfe\n\n\n: \ndata\n\n",
    ],
)
def test_nonsense_in_a_stream_raises_nothing(odd: bytes) -> None:
    stream = joined(odd, odd)
    assert stream.answer is not None
    assert stream.is_whole in (True, False)


async def test_streams_are_compared_by_what_they_say_in_the_end() -> None:
    pieces, whole = [*words("Good ", "morning"), DONE], [*words("Good morning"), DONE]
    async with comparison(streams(*pieces), streams(*whole), agreement={"ignore": ["$.id"]}) as (bench, _, _):
        await bench.compared({"stream": True})
        assert await bench.counts("agreements_total") == {"agreements_total": 1}
        assert await bench.counts("first_token_seconds_count", "arm") == {"stable": 1, "candidate": 1}


async def test_streams_of_other_words_disagree() -> None:
    one, other = [*words("Good ", "morning"), DONE], [*words("Good ", "night"), DONE]
    rule = {"path": "$.choices[*].message.content", "text": {"similarity": "90%"}}
    async with comparison(streams(*one), streams(*other), agreement=rule) as (bench, _, _):
        await bench.compared({"stream": True})
        assert await bench.counts("disagreements_total", "reason") == {"text": 1}


async def test_a_stream_that_breaks_off_is_a_failure_of_its_version() -> None:
    one = [*words("Good ", "morning"), DONE]
    async with comparison(streams(*one), streams(*one[:2])) as (bench, _, _):
        await bench.compared({"stream": True})
        assert await bench.counts("failures_total", "reason") == {"truncated": 1}
        assert await bench.counts("disagreements_total", "reason") == {"failed": 1}
