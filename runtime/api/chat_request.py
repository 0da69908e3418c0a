"""Parse the body of `POST /v1/chat/completions`. Pure.

>>> parse_chat(b'{"model": "purser", "messages": [{"role": "user", "content": "hi"}]}', ApiLimits(),
...            fallback_seed=7).messages[0].content
'hi'
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from sealift.manifests.errors import ManifestError
from sealift.manifests.strict_json import JsonValue, loads
from sealift.runtime.api.body import IsDefault, read_body
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import ChatMessage, SamplingParams, ToolCall

__all__ = ["ChatRequest", "parse_chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request as the engine takes it, and how the client wants the answer."""

    model: str
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    stop: tuple[str, ...]
    max_tokens: int | None
    is_stream: bool
    includes_usage: bool


def _is(*values: JsonValue) -> IsDefault:
    # `True == 1` in Python, and not in JSON.
    return lambda value: (
        value is None
        or any(
            value == item and isinstance(value, bool) == isinstance(item, bool) for item in values
        )
    )


_UNSUPPORTED: Mapping[str, IsDefault] = {
    "audio": _is(),
    "frequency_penalty": _is(0),
    "function_call": _is("none", "auto"),
    "functions": _is([]),
    "guided_choice": _is(),
    "guided_grammar": _is(),
    "guided_json": _is(),
    "guided_regex": _is(),
    "logit_bias": _is({}),
    "logprobs": _is(False),
    "metadata": _is({}),
    "min_p": _is(0),
    "modalities": _is(["text"]),
    "moderation": _is(),
    "n": _is(1),
    "parallel_tool_calls": _is(True, False),
    "prediction": _is(),
    "presence_penalty": _is(0),
    "prompt_cache_options": _is(),
    "prompt_cache_retention": _is(),
    "reasoning_effort": _is(),
    "repetition_penalty": _is(1),
    "response_format": _is({"type": "text"}),
    "service_tier": _is("auto", "default"),
    "store": _is(False),
    "tool_choice": _is("none", "auto"),
    "tools": _is([]),
    "top_k": _is(),
    "top_logprobs": _is(0),
    "verbosity": _is(),
    "web_search_options": _is(),
}

_Id = Annotated[str, msgspec.Meta(max_length=512)]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _TextPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                tag_field="type", tag="text"):  # fmt: skip
    text: str


_Content = str | tuple[_TextPart, ...]


class _Function(_Wire, frozen=True, kw_only=True):
    name: str
    arguments: str


class _Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
            tag_field="type", tag="function"):  # fmt: skip
    id: _Id
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
    tool_call_id: _Id


_AnyMessage = _System | _Developer | _User | _Assistant | _Tool


class _StreamOptions(_Wire, frozen=True, kw_only=True):
    include_usage: bool | None = None
    # Padding against traffic analysis: we send none, so only "no" can be promised.
    include_obfuscation: bool | None = None


class _Body(_Wire, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    messages: Annotated[tuple[_AnyMessage, ...], msgspec.Meta(min_length=1)]
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)] | None = None
    stop: str | tuple[str, ...] | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    # Names for the operator's own bookkeeping, and a caching hint: nothing of the answer depends
    # on them at OpenAI either.
    user: _Id | None = None
    safety_identifier: _Id | None = None
    prompt_cache_key: _Id | None = None


def parse_chat(data: bytes, limits: ApiLimits, *, fallback_seed: int) -> ChatRequest:
    """Return the request.

    Args:
        fallback_seed: what to draw from where the client gave no seed.

    Raises:
        BadRequestError: names the field.
    """
    body = read_body(data, _Body, unsupported=_UNSUPPORTED, body_bytes=limits.body_bytes)
    if len(body.messages) > limits.messages:
        raise BadRequestError(
            f"messages: expected at most {limits.messages}, got {len(body.messages)}",
            param="messages",
        )
    return ChatRequest(
        model=body.model,
        messages=tuple(_message(item, index) for index, item in enumerate(body.messages)),
        sampling=SamplingParams(
            temperature=1.0 if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
            seed=fallback_seed if body.seed is None else body.seed,
        ),
        stop=_stop(body, limits),
        max_tokens=_max_tokens(body),
        is_stream=bool(body.stream),
        includes_usage=_includes_usage(body),
    )


def _message(message: _AnyMessage, index: int) -> ChatMessage:
    match message:
        case _System() | _Developer():
            # `developer` is the newer name; the templates of open models know `system`.
            return ChatMessage(role="system", content=_text(message.content))
        case _User():
            return ChatMessage(role="user", content=_text(message.content))
        case _Assistant():
            calls = message.tool_calls or ()
            if message.content is None and not calls:
                raise BadRequestError(
                    f"messages[{index}].content: is required without tool_calls",
                    param=f"messages[{index}].content",
                    code="missing_required_parameter",
                )
            return ChatMessage(
                role="assistant",
                content=_text(message.content or ""),
                tool_calls=tuple(
                    _call(call, f"messages[{index}].tool_calls[{place}].function.arguments")
                    for place, call in enumerate(calls)
                ),
            )
        case _Tool():
            return ChatMessage(
                role="tool", content=_text(message.content), tool_call_id=message.tool_call_id
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
    return ToolCall(id=call.id, name=call.function.name, arguments={**arguments})


def _stop(body: _Body, limits: ApiLimits) -> tuple[str, ...]:
    stops = (body.stop,) if isinstance(body.stop, str) else body.stop or ()
    if len(stops) > limits.stop_strings:
        raise BadRequestError(
            f"stop: expected at most {limits.stop_strings} strings, got {len(stops)}", param="stop"
        )
    if any(not 1 <= len(stop) <= limits.stop_chars for stop in stops):
        raise BadRequestError(
            f"stop: expected strings of 1 to {limits.stop_chars} characters", param="stop"
        )
    return stops


def _max_tokens(body: _Body) -> int | None:
    old, new = body.max_tokens, body.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise BadRequestError(
            "max_tokens and max_completion_tokens: expected one of them, or the same value",
            param="max_tokens",
        )
    return old if new is None else new


def _includes_usage(body: _Body) -> bool:
    options = body.stream_options
    if options is None:
        return False
    if not body.stream:
        raise BadRequestError(
            "stream_options: only allowed with stream true", param="stream_options"
        )
    if options.include_obfuscation:
        raise BadRequestError(
            "stream_options.include_obfuscation: is not supported",
            param="stream_options.include_obfuscation",
            code="unsupported_parameter",
        )
    return bool(options.include_usage)
