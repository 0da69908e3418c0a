"""What the turns of a conversation may say; bad first, and every refusal names its field."""

import json

import pytest

from sealift.runtime.api.chat_request import parse_chat
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import ChatMessage, ToolCall


def parse(*messages: dict[str, object]) -> tuple[ChatMessage, ...]:
    body = json.dumps({"model": "m", "messages": messages}).encode()
    return parse_chat(body, ApiLimits(), fallback_seed=0).messages


def message(**fields: object) -> dict[str, object]:
    return fields


FUNCTION = {"name": "f", "arguments": "{}"}
CALL = {"id": "1", "type": "function", "function": FUNCTION}
REFUSED = [
    (message(role="user", content="x", mood="good"), "messages[0].mood", "unknown_parameter"),
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
    (message(role="user", content=[{"text": "x"}]), "messages[0].content[0].type",
     "missing_required_parameter"),
    (message(role="assistant", tool_calls=[{"id": "1", "function": FUNCTION}]),
     "messages[0].tool_calls[0].type", "missing_required_parameter"),
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
    (message(role="assistant", tool_calls=[
        CALL | {"function": FUNCTION | {"arguments": '{"x": 1000000000000000000000}'}}]),
     "messages[0].tool_calls[0].function.arguments", "invalid_value"),
]  # fmt: skip


@pytest.mark.parametrize(("turn", "param", "code"), REFUSED)
def test_refused_by_name(turn: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(turn)
    assert (caught.value.param, caught.value.request_code) == (param, code)
    assert param in caught.value.message


def test_conversation() -> None:
    messages = parse(
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": text} for text in "ab"]},
        {"role": "assistant", "content": None, "refusal": None, "annotations": [],
         "tool_calls": [CALL | {"function": {"name": "f", "arguments": '{"x": [1]}'}}]},
        {"role": "tool", "content": "4", "tool_call_id": "1"},
    )  # fmt: skip
    assert messages == (
        ChatMessage(role="system", content="be brief"),
        ChatMessage(role="user", content="a\nb"),
        ChatMessage(
            role="assistant",
            content="",
            tool_calls=(ToolCall(id="1", name="f", arguments={"x": [1]}),),
        ),
        ChatMessage(role="tool", content="4", tool_call_id="1"),
    )
