"""The body of an answer that is not streamed, to the byte, and as the official client reads it."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from sealift.runtime.api.chat_answer import ChatAnswer
from sealift.runtime.api.chat_head import ChatHead
from sealift.runtime.api.tally import Tally
from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.request import Delta, TokenLogprob, ToolCallPiece

HEAD = ChatHead(id="chatcmpl-1", created_s=1_790_000_000, model="m", digest="sha256:ab")


def answer(*deltas: dict[str, Any], choices: int = 1, tells_logprobs: bool = False) -> bytes:
    tally = Tally(choices=choices)
    whole = ChatAnswer(HEAD, tally, choices=choices, tells_logprobs=tells_logprobs)
    for fields in deltas:
        base = {"id": 1, "text": "", "prompt_tokens": 3, "completion_tokens": 1}
        whole.add(Delta(**(base | fields)))
    return whole.body()


def test_an_answer_that_ended_early_is_an_error() -> None:
    with pytest.raises(EngineError, match="gave 0 answers, expected 1"):
        answer({"text": "half an ans"})
    with pytest.raises(EngineError, match="gave 1 answers, expected 2"):
        answer({"text": "a", "finish_reason": "stop"}, choices=2)


def test_plain_text_to_the_byte() -> None:
    body = answer({"text": "he"}, {"text": "y", "completion_tokens": 2, "finish_reason": "stop"})
    assert body == (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"m",'
        b'"system_fingerprint":"sha256:ab","choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":"hey","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":'
        b'{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":'
        b'{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
        b'"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}'
    )
    assert ChatCompletion.model_validate_json(body).choices[0].message.content == "hey"


def test_several_answers_come_in_their_order() -> None:
    body = json.loads(
        answer(
            {"choice": 1, "text": "b"},
            {"choice": 0, "text": "a"},
            {"choice": 1, "text": "B", "finish_reason": "length", "completion_tokens": 4},
            {"choice": 0, "text": "A", "finish_reason": "stop", "completion_tokens": 2},
            choices=2,
        )
    )
    assert [
        (choice["index"], choice["message"]["content"], choice["finish_reason"])
        for choice in body["choices"]
    ] == [(0, "aA", "stop"), (1, "bB", "length")]
    assert body["usage"]["completion_tokens"] == 6


CALLS = (
    {"calls": (ToolCallPiece(index=1, id="c1", name="g", arguments="{"),)},
    {"calls": (ToolCallPiece(index=0, id="c0", name="f", arguments='{"x"'),
               ToolCallPiece(index=1, arguments="}"))},
    {"calls": (ToolCallPiece(index=0, arguments=":1}"),), "finish_reason": "tool_calls"},
)  # fmt: skip


@pytest.mark.parametrize(("text", "content"), [("", None), ("I look.", "I look.")])
def test_calls_are_put_together(text: str, content: str | None) -> None:
    body = answer({"text": text}, *CALLS)
    choice = json.loads(body)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": content,
        "refusal": None,
        "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    calls = ChatCompletion.model_validate_json(body).choices[0].message.tool_calls
    assert calls is not None
    assert [call.id for call in calls] == ["c0", "c1"]


def test_no_text_at_all_is_an_empty_text() -> None:
    body = json.loads(answer({"finish_reason": "length"}))
    assert body["choices"][0]["message"]["content"] == ""
    assert "tool_calls" not in body["choices"][0]["message"]


def test_logprobs_only_where_they_were_asked_for() -> None:
    deltas = (
        {"text": "a", "logprobs": (TokenLogprob(token=b"a", logprob=-0.5),)},
        {"text": "b", "logprobs": (TokenLogprob(token=b"b", logprob=-0.25),),
         "finish_reason": "stop"},
    )  # fmt: skip
    told = json.loads(answer(*deltas, tells_logprobs=True))["choices"][0]["logprobs"]
    assert [entry["token"] for entry in told["content"]] == ["a", "b"]
    assert json.loads(answer(*deltas))["choices"][0]["logprobs"] is None
    empty = json.loads(answer({"finish_reason": "stop"}, tells_logprobs=True))
    assert empty["choices"][0]["logprobs"] == {"content": [], "refusal": None}
