"""What a chat request may say; bad first, and every refusal names its field."""

import json

import pytest

from sealift.runtime.api.chat_request import ChatRequest, parse_chat
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import ToolChoice

LIMITS = ApiLimits(messages=50, stop_chars=20)
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def parse(**fields: object) -> ChatRequest:
    return parse_chat(json.dumps(HELLO | fields).encode(), LIMITS, fallback_seed=11)


REFUSED = [
    # fields that the API has and we have not yet
    ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
    ({"function_call": {"name": "f"}}, "function_call", "unsupported_parameter"),
    ({"metadata": {"a": "b"}}, "metadata", "unsupported_parameter"),
    ({"store": True}, "store", "unsupported_parameter"),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
    ({"audio": {"voice": "alloy"}}, "audio", "unsupported_parameter"),
    ({"prediction": {"type": "content"}}, "prediction", "unsupported_parameter"),
    ({"reasoning_effort": "low"}, "reasoning_effort", "unsupported_parameter"),
    ({"service_tier": "flex"}, "service_tier", "unsupported_parameter"),
    ({"verbosity": "low"}, "verbosity", "unsupported_parameter"),
    ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
    ({"chat_template_kwargs": {"thinking": True}}, "chat_template_kwargs",
     "unsupported_parameter"),
    ({"prompt_cache_retention": "24h"}, "prompt_cache_retention", "unsupported_parameter"),
    # unknown fields
    ({"temprature": 1}, "temprature", "unknown_parameter"),
    # messages
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": "hi"}, "messages", "invalid_value"),
    ({"messages": [{"role": "user", "content": "x"}] * 51}, "messages", "invalid_value"),
    # values
    ({"model": ""}, "model", "invalid_value"),
    ({"model": None}, "model", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"max_tokens": 1.5}, "max_tokens", "invalid_value"),
    ({"max_completion_tokens": -1}, "max_completion_tokens", "invalid_value"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "invalid_value"),
    ({"n": 0}, "n", "invalid_value"),
    ({"n": -1}, "n", "invalid_value"),
    ({"n": 17}, "n", "invalid_value"),
    ({"n": True}, "n", "invalid_value"),
    ({"n": 1.5}, "n", "invalid_value"),
    ({"n": "2"}, "n", "invalid_value"),
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
    {"tool_choice": "none"}, {"parallel_tool_calls": True}, {"parallel_tool_calls": None},
    {"response_format": {"type": "text"}}, {"response_format": None}, {"guided_json": None},
    {"structured_outputs": {}}, {"structured_outputs": {"json_object": False}},
    {"logprobs": False}, {"top_logprobs": 0}, {"presence_penalty": 0}, {"frequency_penalty": 0.0},
    {"repetition_penalty": 1}, {"logit_bias": {}}, {"top_k": -1}, {"top_k": 0}, {"min_p": None},
    {"metadata": None}, {"store": False}, {"modalities": ["text"]}, {"service_tier": "auto"},
    {"user": "somebody"}, {"temperature": None}, {"stop": None}, {"stop": []}, {"seed": None},
    {"stream": False, "stream_options": None}, {"max_tokens": None}, {"chat_template_kwargs": {}},
]  # fmt: skip


@pytest.mark.parametrize("fields", USUAL)
def test_values_that_mean_as_usual_change_nothing(fields: dict[str, object]) -> None:
    assert parse(**fields) == parse()


def test_all_fields_arrive() -> None:
    request = parse(
        n=3,
        stop=["a", "b"],
        max_completion_tokens=7,
        parallel_tool_calls=False,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert request.choices == 3
    assert (request.stop, request.max_tokens) == (("a", "b"), 7)
    assert not request.parallel_tool_calls
    assert request.is_stream
    assert request.includes_usage
    assert parse(stop="x").stop == ("x",)
    assert parse(max_tokens=3).max_tokens == 3


def test_the_worker_is_asked_for_all_of_it() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    request = parse(
        n=2, max_tokens=9, stop="x", temperature=0.5, guided_regex="a+", tools=[tool],
        tool_choice="none", parallel_tool_calls=False,
    )  # fmt: skip
    message = request.message(5)
    assert (message.id, message.n, message.max_tokens, message.stop) == (5, 2, 9, ("x",))
    assert message.messages == request.messages
    assert message.sampling == request.sampling
    assert request.form is not None
    assert message.grammar == request.form.grammar
    assert message.tools == request.tools
    assert message.tool_choice == ToolChoice(mode="none")
    assert not message.parallel_tool_calls
    assert parse().message(1).grammar is None
    assert parse().message(1).n == 1


def test_a_deep_schema_is_read_and_a_bottomless_one_is_not() -> None:
    def nested(levels: int) -> dict[str, object]:
        schema: dict[str, object] = {"type": "string"}
        for _ in range(levels):
            schema = {"type": "object", "properties": {"a": schema}}
        return {"guided_json": schema}

    assert parse(**nested(30)).form is not None
    with pytest.raises(BadRequestError) as caught:
        parse(**nested(40))
    assert caught.value.request_code == "invalid_json"
