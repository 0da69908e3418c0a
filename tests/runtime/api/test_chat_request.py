"""What a chat request may say; bad first, and every refusal names its field."""

import json

import pytest

from sealift.runtime.api.chat_request import ChatRequest, parse_chat
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import ChatMessage, ToolCall

LIMITS = ApiLimits(messages=50, stop_chars=20)
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def parse(**fields: object) -> ChatRequest:
    return parse_chat(json.dumps(HELLO | fields).encode(), LIMITS, fallback_seed=11)


def message(**fields: object) -> dict[str, object]:
    return {"messages": [fields]}


FUNCTION = {"name": "f", "arguments": "{}"}
CALL = {"id": "1", "type": "function", "function": FUNCTION}
REFUSED = [
    # fields that the API has and we have not yet
    ({"n": 2}, "n", "unsupported_parameter"),
    ({"n": True}, "n", "unsupported_parameter"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools", "unsupported_parameter"),
    ({"tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
    ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
    ({"function_call": {"name": "f"}}, "function_call", "unsupported_parameter"),
    ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
    ({"logprobs": True}, "logprobs", "unsupported_parameter"),
    ({"top_logprobs": 3}, "top_logprobs", "unsupported_parameter"),
    ({"logit_bias": {"5": 1}}, "logit_bias", "unsupported_parameter"),
    ({"presence_penalty": 0.5}, "presence_penalty", "unsupported_parameter"),
    ({"frequency_penalty": -1}, "frequency_penalty", "unsupported_parameter"),
    ({"repetition_penalty": 1.1}, "repetition_penalty", "unsupported_parameter"),
    ({"top_k": 40}, "top_k", "unsupported_parameter"),
    ({"min_p": 0.1}, "min_p", "unsupported_parameter"),
    ({"metadata": {"a": "b"}}, "metadata", "unsupported_parameter"),
    ({"store": True}, "store", "unsupported_parameter"),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
    ({"audio": {"voice": "alloy"}}, "audio", "unsupported_parameter"),
    ({"prediction": {"type": "content"}}, "prediction", "unsupported_parameter"),
    ({"reasoning_effort": "low"}, "reasoning_effort", "unsupported_parameter"),
    ({"service_tier": "flex"}, "service_tier", "unsupported_parameter"),
    ({"verbosity": "low"}, "verbosity", "unsupported_parameter"),
    ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
    ({"guided_json": {}}, "guided_json", "unsupported_parameter"),
    ({"prompt_cache_retention": "24h"}, "prompt_cache_retention", "unsupported_parameter"),
    # unknown fields
    ({"temprature": 1}, "temprature", "unknown_parameter"),
    (message(role="user", content="x", mood="good"), "messages[0].mood", "unknown_parameter"),
    # messages
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": "hi"}, "messages", "invalid_value"),
    ({"messages": [{"role": "user", "content": "x"}] * 51}, "messages", "invalid_value"),
    (message(role="narrator", content="x"), "messages[0].role", "invalid_value"),
    (message(content="x"), "messages[0].role", "missing_required_parameter"),
    (message(role="user"), "messages[0].content", "missing_required_parameter"),
    (message(role="user", content=None), "messages[0].content", "invalid_value"),
    (message(role="user", content=5), "messages[0].content", "invalid_value"),
    (message(role="user", content="x", name="bob"), "messages[0].name", "unsupported_parameter"),
    (message(role="user", content=[{"type": "image_url", "image_url": {"url": "x"}}]),
     "messages[0].content[0].type", "invalid_value"),
    (message(role="user", content=[{"type": "text", "text": "x", "more": 1}]),
     "messages[0].content[0].more", "unknown_parameter"),
    (message(role="assistant"), "messages[0].content", "missing_required_parameter"),
    (message(role="assistant", content="x", audio={"id": "1"}), "messages[0].audio",
     "unsupported_parameter"),
    (message(role="assistant", content="x", refusal="no"), "messages[0].refusal",
     "unsupported_parameter"),
    (message(role="assistant", content="x", annotations=["a"]), "messages[0].annotations",
     "invalid_value"),
    (message(role="assistant", tool_calls=[CALL | {"function": FUNCTION | {"arguments": "{"}}]),
     "messages[0].tool_calls[0].function.arguments", "invalid_value"),
    (message(role="assistant", tool_calls=[CALL | {"function": FUNCTION | {"arguments": "[]"}}]),
     "messages[0].tool_calls[0].function.arguments", "invalid_value"),
    (message(role="assistant", tool_calls=[CALL | {"type": "custom"}]),
     "messages[0].tool_calls[0].type", "invalid_value"),
    (message(role="tool", content="x"), "messages[0].tool_call_id", "missing_required_parameter"),
    (message(role="user", content="x", tool_call_id="1"), "messages[0].tool_call_id",
     "unknown_parameter"),
    # values
    ({"model": ""}, "model", "invalid_value"),
    ({"model": None}, "model", "invalid_value"),
    ({"temperature": -0.1}, "temperature", "invalid_value"),
    ({"temperature": 2.1}, "temperature", "invalid_value"),
    ({"temperature": "1"}, "temperature", "invalid_value"),
    ({"top_p": 1.1}, "top_p", "invalid_value"),
    ({"top_p": True}, "top_p", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"max_tokens": 1.5}, "max_tokens", "invalid_value"),
    ({"max_completion_tokens": -1}, "max_completion_tokens", "invalid_value"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "invalid_value"),
    ({"seed": 1 << 63}, "seed", "invalid_value"),
    ({"seed": "1"}, "seed", "invalid_value"),
    ({"stop": ""}, "stop", "invalid_value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
    ({"stop": ["a" * 21]}, "stop", "invalid_value"),
    ({"stop": [1]}, "stop[0]", "invalid_value"),
    ({"stream": "yes"}, "stream", "invalid_value"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"stream": True, "stream_options": {"x": True}}, "stream_options.x", "unknown_parameter"),
    ({"stream": True, "stream_options": {"include_obfuscation": True}},
     "stream_options.include_obfuscation", "unsupported_parameter"),
    ({"user": 5}, "user", "invalid_value"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
def test_refused_by_name(fields: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**fields)
    assert (caught.value.param, caught.value.request_code) == (param, code)
    assert param in caught.value.message


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'"hi"', b'{"a": NaN}', b"\xff", b'{"n": 1, "n": 2}', b"[" * 100],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_chat(body, LIMITS, fallback_seed=0)
    assert caught.value.request_code == "invalid_json"


def test_required_fields() -> None:
    for missing in ("model", "messages"):
        body = json.dumps({name: value for name, value in HELLO.items() if name != missing})
        with pytest.raises(BadRequestError, match=f"{missing}: is required"):
            parse_chat(body.encode(), LIMITS, fallback_seed=0)


USUAL = [
    {"n": 1}, {"n": None}, {"tools": []}, {"tools": None}, {"tool_choice": "auto"},
    {"response_format": {"type": "text"}}, {"logprobs": False}, {"presence_penalty": 0},
    {"frequency_penalty": 0.0}, {"logit_bias": {}}, {"metadata": None}, {"store": False},
    {"modalities": ["text"]}, {"service_tier": "auto"}, {"parallel_tool_calls": True},
    {"user": "somebody"}, {"temperature": None}, {"stop": None}, {"stop": []}, {"seed": None},
    {"stream": False, "stream_options": None}, {"max_tokens": None},
]  # fmt: skip


@pytest.mark.parametrize("fields", USUAL)
def test_values_that_mean_as_usual_change_nothing(fields: dict[str, object]) -> None:
    assert parse(**fields) == parse()


def test_all_fields_arrive() -> None:
    request = parse(
        temperature=0.5,
        top_p=0.25,
        seed=-3,
        stop=["a", "b"],
        max_completion_tokens=7,
        stream=True,
        stream_options={"include_usage": True},
    )
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.5, 0.25, -3)
    assert (request.stop, request.max_tokens) == (("a", "b"), 7)
    assert request.is_stream
    assert request.includes_usage
    assert parse().sampling.seed == 11
    assert parse(stop="x").stop == ("x",)
    assert parse(max_tokens=3).max_tokens == 3


def test_conversation() -> None:
    request = parse(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": text} for text in "ab"]},
            {"role": "assistant", "content": None, "refusal": None, "annotations": [],
             "tool_calls": [CALL | {"function": {"name": "f", "arguments": '{"x": [1]}'}}]},
            {"role": "tool", "content": "4", "tool_call_id": "1"},
        ]
    )  # fmt: skip
    assert request.messages == (
        ChatMessage(role="system", content="be brief"),
        ChatMessage(role="user", content="a\nb"),
        ChatMessage(
            role="assistant",
            content="",
            tool_calls=(ToolCall(id="1", name="f", arguments={"x": [1]}),),
        ),
        ChatMessage(role="tool", content="4", tool_call_id="1"),
    )
