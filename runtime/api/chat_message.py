"""The turns of a conversation as the OpenAI API spells them, made those of a chat template. Pure.

Not done here: images, audio and files (no model served takes them), so their parts are refused.

>>> wire = msgspec.convert([{"role": "user", "content": "hi"}], tuple[WireMessage, ...])
>>> chat_messages(wire)[0].content
'hi'
"""

from typing import Annotated, Literal

import msgspec

from sealift.manifests.errors import ManifestError
from sealift.manifests.strict_json import loads
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.wire_value import check_wire_value
from sealift.runtime.engine.request import ChatMessage, ToolCall

__all__ = ["ShortText", "WireMessage", "chat_messages"]

ShortText = Annotated[str, msgspec.Meta(max_length=512)]


class _TextPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    # No tag: msgspec asks for one only where it has a choice.
    type: Literal["text"]
    text: str


_Content = str | tuple[_TextPart, ...]


class _Function(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    arguments: str


class _Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: ShortText
    type: Literal["function"]
    function: _Function


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
               tag_field="role"):  # fmt: skip
    # No template family shows it, so accepting it would be to drop it.
    name: None = None


class _System(_Message, frozen=True, kw_only=True, tag="system"):
    content: _Content


class _Developer(_Message, frozen=True, kw_only=True, tag="developer"):
    content: _Content


class _User(_Message, frozen=True, kw_only=True, tag="user"):
    content: _Content


class _Assistant(_Message, frozen=True, kw_only=True, tag="assistant"):
    content: _Content | None = None
    tool_calls: tuple[_Call, ...] | None = None
    # What an answer of ours or of OpenAI's carries as empty, and clients send back as it came.
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: Annotated[tuple[str, ...], msgspec.Meta(max_length=0)] | None = None


class _Tool(_Message, frozen=True, kw_only=True, tag="tool"):
    content: _Content
    tool_call_id: ShortText


WireMessage = _System | _Developer | _User | _Assistant | _Tool


def chat_messages(messages: tuple[WireMessage, ...]) -> tuple[ChatMessage, ...]:
    """Return the conversation.

    Raises:
        BadRequestError: names the field.
    """
    return tuple(_message(item, f"messages[{index}]") for index, item in enumerate(messages))


def _message(message: WireMessage, path: str) -> ChatMessage:
    match message:
        case _System() | _Developer():
            # `developer` is the newer name; the templates of open models know `system`.
            return ChatMessage(role="system", content=_text(message.content))
        case _User():
            return ChatMessage(role="user", content=_text(message.content))
        case _Assistant():
            return _assistant(message, path)
        case _Tool():
            return ChatMessage(
                role="tool", content=_text(message.content), tool_call_id=message.tool_call_id
            )


def _assistant(message: _Assistant, path: str) -> ChatMessage:
    calls = message.tool_calls or ()
    if message.content is None and not calls:
        raise BadRequestError(
            f"{path}.content: is required without tool_calls",
            param=f"{path}.content",
            code="missing_required_parameter",
        )
    return ChatMessage(
        role="assistant",
        content=_text(message.content or ""),
        tool_calls=tuple(
            _call(call, f"{path}.tool_calls[{place}].function.arguments")
            for place, call in enumerate(calls)
        ),
    )


def _text(content: _Content) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content)


def _call(call: _Call, param: str) -> ToolCall:
    try:
        arguments = loads(call.function.arguments.encode(), what=param)
    except ManifestError as error:
        raise BadRequestError(error.message, param=param) from error
    if not isinstance(arguments, dict):
        raise BadRequestError(f"{param}: expected a JSON object as text", param=param)
    check_wire_value(arguments, param)
    return ToolCall(id=call.id, name=call.function.name, arguments={**arguments})
