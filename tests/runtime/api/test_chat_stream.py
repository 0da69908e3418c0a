"""The events of a streamed answer: to the byte, and as the official client reads them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from sealift.runtime.api.chat_head import ChatHead
from sealift.runtime.api.chat_stream import ChatStream
from sealift.runtime.api.tally import Tally
from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.request import Delta, TokenLogprob, ToolCallPiece

HEAD = ChatHead(id="chatcmpl-1", created_s=1_790_000_000, model='m"\\', digest="sha256:ab")
START = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,'
    b'"model":"m\\"\\\\","system_fingerprint":"sha256:ab","choices":['
)


def delta(**fields: Any) -> Delta:
    return Delta(**({"id": 1, "text": "", "prompt_tokens": 3, "completion_tokens": 1} | fields))


def stream(choices: int = 1, includes_usage: bool = False) -> ChatStream:
    tally = Tally(choices=choices)
    return ChatStream(HEAD, tally, choices=choices, includes_usage=includes_usage)


def chunks(events: bytes) -> list[dict[str, Any]]:
    found = []
    for event in events.removesuffix(b"data: [DONE]\n\n").split(b"\n\n")[:-1]:
        assert event.startswith(b"data: ")
        ChatCompletionChunk.model_validate_json(event[6:])
        found.append(json.loads(event[6:]))
    return found


def choices_of(events: bytes) -> list[dict[str, Any]]:
    return [choice for chunk in chunks(events) for choice in chunk["choices"]]


def test_an_answer_that_ended_early_is_an_error() -> None:
    unfinished = stream(2)
    unfinished.events([delta(text="a", finish_reason="stop")])
    with pytest.raises(EngineError, match="gave 1 answers, expected 2"):
        unfinished.ending()


def test_an_answer_that_nobody_asked_for_is_an_error() -> None:
    with pytest.raises(EngineError, match="answer 1"):
        stream().events([delta(choice=1)])


def test_text_to_the_byte() -> None:
    plain = stream()
    assert plain.events([delta(text="")]) == (
        START + b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null},'
        b'"logprobs":null,"finish_reason":null}]}\n\n'
    )
    assert plain.events([delta(text='h"\n\u00e9')]) == (
        START + b'{"index":0,"delta":{"content":"h\\"\\n\xc3\xa9"},'
        b'"logprobs":null,"finish_reason":null}]}\n\n'
    )
    assert plain.events([delta(text="")]) == b""
    assert plain.events([delta(finish_reason="stop")]) == (
        START + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
    )
    assert plain.ending() == b"data: [DONE]\n\n"


def test_usage_is_null_until_the_last_chunk() -> None:
    counted = stream(includes_usage=True)
    events = counted.events([delta(text="a")])
    events += counted.events([delta(text="b", completion_tokens=2, finish_reason="stop")])
    assert [chunk["usage"] for chunk in chunks(events)] == [None] * 4
    (last,) = chunks(counted.ending())
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 5
    assert counted.ending().endswith(b"data: [DONE]\n\n")


def test_what_waits_together_is_one_chunk_an_answer() -> None:
    several = stream(2)
    several.events([delta(choice=0), delta(choice=1)])
    events = several.events([
        delta(choice=0, text="a"), delta(choice=1, text="x"), delta(choice=0, text="b"),
        delta(choice=1, text="y", finish_reason="length"), delta(choice=0, text="c"),
    ])  # fmt: skip
    assert [
        (choice["index"], choice["delta"].get("content"), choice["finish_reason"])
        for choice in choices_of(events)
    ] == [(0, "abc", None), (1, "xy", None), (1, None, "length")]


def test_every_answer_is_opened_once() -> None:
    several = stream(2)
    events = several.events([delta(choice=1, text="x")]) + several.events([delta(choice=0)])
    events += several.events([delta(choice=1, text="y"), delta(choice=0, text="z")])
    roles = [(c["index"], c["delta"]["role"]) for c in choices_of(events) if "role" in c["delta"]]
    assert roles == [(1, "assistant"), (0, "assistant")]


def test_calls() -> None:
    calling = stream()
    events = calling.events([
        delta(calls=(ToolCallPiece(index=0, id="c0", name="f", arguments=""),)),
    ])  # fmt: skip
    events += calling.events([
        delta(calls=(ToolCallPiece(index=0, arguments='{"x"'),)),
        delta(calls=(ToolCallPiece(index=0, arguments=":1}"),
                     ToolCallPiece(index=1, id="c1", name="g"))),
    ])  # fmt: skip
    events += calling.events([delta(finish_reason="tool_calls")])
    assert [(choice["delta"], choice["finish_reason"]) for choice in choices_of(events)] == [
        ({"role": "assistant", "content": None, "refusal": None}, None),
        ({"tool_calls": [
            {"index": 0, "id": "c0", "type": "function", "function": {"arguments": "", "name": "f"}}
        ]}, None),
        ({"tool_calls": [
            {"index": 0, "function": {"arguments": '{"x":1}'}},
            {"index": 1, "id": "c1", "type": "function",
             "function": {"arguments": "", "name": "g"}},
        ]}, None),
        ({}, "tool_calls"),
    ]  # fmt: skip


def test_text_before_calls_keeps_its_content() -> None:
    calling = stream()
    piece = ToolCallPiece(index=0, id="c0", name="f")
    opening, both = choices_of(calling.events([delta(text="I look.", calls=(piece,))]))
    assert opening["delta"]["content"] == ""
    assert both["delta"]["content"] == "I look."
    assert both["delta"]["tool_calls"][0]["id"] == "c0"


def _tokens(told: dict[str, Any] | None) -> list[str] | None:
    return None if told is None else [entry["token"] for entry in told["content"]]


def test_logprobs_come_with_the_text_of_their_tokens() -> None:
    """A token that gives no text yet (half a character, held back) waits for it."""
    telling = stream()
    events = telling.events([delta(text="a", logprobs=(TokenLogprob(token=b"a", logprob=-1),))])
    held = delta(logprobs=(TokenLogprob(token=b"\xe2\x82", logprob=-1),))
    assert telling.events([held]) == b""
    rest = (TokenLogprob(token=b"\xac", logprob=-1),)
    events += telling.events([delta(text="\u20ac", logprobs=rest)])
    end = (TokenLogprob(token=b"<end>", logprob=-1),)
    events += telling.events([delta(logprobs=end, finish_reason="stop")])
    assert [
        (choice["delta"].get("content"), _tokens(choice["logprobs"]))
        for choice in choices_of(events)
    ] == [
        ("", None), ("a", ["a"]), ("\u20ac", ["\ufffd", "\ufffd"]), (None, ["<end>"]),
    ]  # fmt: skip


_DELTAS = st.lists(
    st.builds(
        lambda text, choice, told: delta(
            text=text,
            choice=choice,
            logprobs=(TokenLogprob(token=text.encode(), logprob=-1.0),) if told else (),
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=20,
)


@given(_DELTAS, st.lists(st.integers(1, 5)))
def test_no_grouping_changes_an_answer(deltas: list[Delta], sizes: list[int]) -> None:
    several = stream(3)
    ended = deltas + [delta(choice=index, finish_reason="stop") for index in range(3)]
    events = b""
    while ended:
        size = sizes.pop() if sizes else 1
        events += several.events(ended[:size])
        ended = ended[size:]
    events += several.ending()
    for index in range(3):
        mine = [choice for choice in choices_of(events) if choice["index"] == index]
        wanted = [item for item in deltas if item.choice == index]
        texts = [choice["delta"].get("content") or "" for choice in mine]
        assert "".join(texts) == "".join(item.text for item in wanted)
        told = [
            bytes(entry["bytes"])
            for choice in mine if choice["logprobs"] for entry in choice["logprobs"]["content"]
        ]  # fmt: skip
        assert told == [item.token for each in wanted for item in each.logprobs]
        assert mine[-1]["finish_reason"] == "stop"
