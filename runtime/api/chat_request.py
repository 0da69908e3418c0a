"""Parse the body of `POST /v1/chat/completions`. Pure.

>>> parse_chat(b'{"model": "purser", "messages": [{"role": "user", "content": "hi"}]}', ApiLimits(),
...            fallback_seed=7).messages[0].content
'hi'
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.api.answer_form import AnswerForm, FormFields, answer_form
from sealift.runtime.api.body import BodyFields, IsDefault
from sealift.runtime.api.chat_message import ShortText, WireMessage, chat_messages
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.sampling_fields import SamplingFields, sampling_params
from sealift.runtime.api.tool_fields import ToolFields, tool_choice, tool_specs
from sealift.runtime.engine.request import (
    ChatMessage,
    Generate,
    SamplingParams,
    ToolChoice,
    ToolSpec,
)

__all__ = ["ChatRequest", "parse_chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request as the engine takes it, and how the client wants the answer."""

    model: str
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    stop: tuple[str, ...]
    max_tokens: int | None
    choices: int
    form: AnswerForm | None
    tools: tuple[ToolSpec, ...]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    is_stream: bool
    includes_usage: bool

    @property
    def grammar_param(self) -> str:
        """The field to name where the worker cannot compile what was asked for."""
        if self.form is None or self.tool_choice.mode in {"required", "named"}:
            return "tools"
        return self.form.param

    def message(self, request_id: int) -> Generate:
        """Return what to ask the worker."""
        # An answer that must be calls has no text for a form to hold.
        is_text = self.tool_choice.mode not in {"required", "named"}
        return Generate(
            id=request_id,
            messages=self.messages,
            sampling=self.sampling,
            stop=self.stop,
            max_tokens=self.max_tokens,
            n=self.choices,
            grammar=self.form.grammar if self.form is not None and is_text else None,
            tools=self.tools,
            tool_choice=self.tool_choice,
            parallel_tool_calls=self.parallel_tool_calls,
        )


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
    "chat_template_kwargs": _is({}),
    "function_call": _is("none", "auto"),
    "functions": _is([]),
    "metadata": _is({}),
    "modalities": _is(["text"]),
    "moderation": _is(),
    "prediction": _is(),
    "prompt_cache_options": _is(),
    "prompt_cache_retention": _is(),
    "reasoning_effort": _is(),
    "service_tier": _is("auto", "default"),
    "store": _is(False),
    "verbosity": _is(),
    "web_search_options": _is(),
}

_TokenCount = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]


class _StreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    include_usage: bool | None = None
    # Padding against traffic analysis: we send none, so only "no" can be promised.
    include_obfuscation: bool | None = None


class _RequestFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    messages: Annotated[tuple[WireMessage, ...], msgspec.Meta(min_length=1)]
    max_tokens: _TokenCount | None = None
    max_completion_tokens: _TokenCount | None = None
    n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    # Names for the operator's own bookkeeping, and a caching hint: nothing of the answer depends
    # on them at OpenAI either.
    user: ShortText | None = None
    safety_identifier: ShortText | None = None
    prompt_cache_key: ShortText | None = None


def parse_chat(data: bytes, limits: ApiLimits, *, fallback_seed: int) -> ChatRequest:
    """Return the request.

    Args:
        fallback_seed: what to draw from where the client gave no seed.

    Raises:
        BadRequestError: names the field.
    """
    fields = BodyFields.read(
        data,
        unsupported=_UNSUPPORTED,
        body_bytes=limits.body_bytes,
        json_depth=limits.json_depth,
    )
    request = fields.take(_RequestFields)
    sampling = fields.take(SamplingFields)
    forms = fields.take(FormFields)
    tools = fields.take(ToolFields)
    fields.end()
    form, choice = answer_form(forms, limits), tool_choice(tools)
    _check_together(form, choice)
    return ChatRequest(
        model=request.model,
        messages=_messages(request, limits),
        sampling=sampling_params(sampling, limits, fallback_seed=fallback_seed),
        stop=_stop(request, limits),
        max_tokens=_max_tokens(request),
        choices=_choices(request, limits),
        form=form,
        tools=tool_specs(tools, limits),
        tool_choice=choice,
        parallel_tool_calls=tools.parallel_tool_calls is not False,
        is_stream=bool(request.stream),
        includes_usage=_includes_usage(request),
    )


def _check_together(form: AnswerForm | None, choice: ToolChoice) -> None:
    if form is not None and choice.mode == "auto":
        raise BadRequestError(
            f"{form.param}: is not supported where the model may choose between text and calls",
            param=form.param,
            code="unsupported_parameter",
            hint="set tool_choice to none or required, or leave tools out",
        )


def _messages(request: _RequestFields, limits: ApiLimits) -> tuple[ChatMessage, ...]:
    if len(request.messages) > limits.messages:
        raise BadRequestError(
            f"messages: expected at most {limits.messages}, got {len(request.messages)}",
            param="messages",
        )
    return chat_messages(request.messages)


def _choices(request: _RequestFields, limits: ApiLimits) -> int:
    choices = 1 if request.n is None else request.n
    if choices > limits.choices:
        raise BadRequestError(f"n: expected at most {limits.choices}, got {choices}", param="n")
    return choices


def _stop(request: _RequestFields, limits: ApiLimits) -> tuple[str, ...]:
    stops = (request.stop,) if isinstance(request.stop, str) else request.stop or ()
    if len(stops) > limits.stop_strings:
        raise BadRequestError(
            f"stop: expected at most {limits.stop_strings} strings, got {len(stops)}", param="stop"
        )
    if any(not 1 <= len(stop) <= limits.stop_chars for stop in stops):
        raise BadRequestError(
            f"stop: expected strings of 1 to {limits.stop_chars} characters", param="stop"
        )
    return stops


def _max_tokens(request: _RequestFields) -> int | None:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise BadRequestError(
            "max_tokens and max_completion_tokens: expected one of them, or the same value",
            param="max_tokens",
        )
    return old if new is None else new


def _includes_usage(request: _RequestFields) -> bool:
    options = request.stream_options
    if options is None:
        return False
    if not request.stream:
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
