"""A conversation with tools, as a model's chat template wants to see it. Pure.

Templates differ in what they take. Read off the template's own text: whether it knows tools, where
it looks for them, whether it insists on short ids or on one call a turn. Arguments are a mapping
that prints as JSON, for those that write them with `tojson` and for those that just write them; a
tool's result carries the tool's name, which some want.

>>> form = TemplateForm.of("{% for tool in tools %}{{ tool | tojson }}{% endfor %}")
>>> form.knows_tools, form.writes_calls
(True, False)
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from sealift.runtime.engine.errors import PromptError
from sealift.runtime.engine.request import ChatMessage, ToolCall, ToolSpec
from sealift.runtime.engine.tools.format import ToolFormat, call_id, find_tool_format

__all__ = ["TemplateForm", "template_messages", "template_tools"]

_TOOLS = re.compile(r"\btools\b")
_MESSAGE_TOOLS = re.compile(r"""message(\.tools\b|\[['"]tools['"]\])""")
_SHORT_ID = re.compile(r"[0-9A-Za-z]{9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateForm:
    """What a template takes.

    Attributes:
        knows_tools: it mentions them at all.
        tools_in_message: it looks for them, as text, in the system message.
        writes_calls: it writes the calls of earlier turns.
        wants_short_ids: it refuses ids that are not nine letters and digits.
        wants_single_calls: it refuses several calls in one turn.
    """

    kind: ToolFormat | None
    knows_tools: bool
    tools_in_message: bool
    writes_calls: bool
    wants_short_ids: bool
    wants_single_calls: bool

    @classmethod
    def of(cls, source: str) -> Self:
        """Read a template's text."""
        return cls(
            kind=find_tool_format(source, None),
            knows_tools=_TOOLS.search(source) is not None,
            tools_in_message=_MESSAGE_TOOLS.search(source) is not None,
            writes_calls="tool_calls" in source,
            wants_short_ids="[TOOL_CALLS]" in source,
            wants_single_calls="single tool-call" in source,
        )


def template_tools(form: TemplateForm, tools: Sequence[ToolSpec]) -> list[dict[str, Any]] | None:
    """Return the value of a template's `tools`; None without any.

    Raises:
        PromptError: the template would leave them out.
    """
    if not tools:
        return None
    if not form.knows_tools:
        raise PromptError(
            "tools: this model's chat template has no place for tools",
            hint="use a model that was trained to call tools, or ask for JSON with response_format",
        )
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def template_messages(
    form: TemplateForm, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
) -> list[dict[str, Any]]:
    """Return the value of a template's `messages`.

    Raises:
        PromptError: the template would leave out calls that were made.
    """
    if form.wants_single_calls:
        messages = list(_one_call_a_turn(messages))
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    turns = [_message(form, message, names) for message in messages]
    if tools and form.tools_in_message:
        if not turns or turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": ""})
        turns[0]["tools"] = _json([_function(tool) for tool in tools])
    return turns


class _Arguments(dict[str, object]):
    """Prints as JSON, where a template does not ask for it by name."""

    def __str__(self) -> str:
        return _json(self)


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }


def _message(form: TemplateForm, message: ChatMessage, names: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        fields["tool_call_id"] = _id(form, message.tool_call_id)
        if (name := names.get(message.tool_call_id)) is not None:
            fields["name"] = name
    if not message.tool_calls:
        return fields
    if form.writes_calls:
        fields["tool_calls"] = [
            {
                "id": _id(form, call.id),
                "type": "function",
                "function": {"name": call.name, "arguments": _Arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    elif form.kind is ToolFormat.PHI:
        fields["content"] += _phi_calls(message.tool_calls)
    else:
        raise PromptError(
            "messages: this model's chat template has no place for tool calls",
            hint="use a model that was trained to call tools",
        )
    return fields


def _phi_calls(calls: Sequence[ToolCall]) -> str:
    # The family's own template leaves calls to whoever writes the content.
    values = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return f"<|tool_call|>{_json(values)}<|/tool_call|>"


def _id(form: TemplateForm, name: str) -> str:
    if not form.wants_short_ids or _SHORT_ID.fullmatch(name):
        return name
    # The same for a call and its result, in every request of the conversation.
    return call_id(ToolFormat.MISTRAL, name.encode())


def _one_call_a_turn(messages: Sequence[ChatMessage]) -> Iterator[ChatMessage]:
    """Put each call of a turn before its own result, as if made one after the other."""
    index = 0
    while index < len(messages):
        message = messages[index]
        index += 1
        if len(message.tool_calls) < 2:
            yield message
            continue
        end = index
        while end < len(messages) and messages[end].tool_call_id is not None:
            end += 1
        results = list(messages[index:end])
        index = end
        content = message.content
        for call in message.tool_calls:
            yield msgspec.structs.replace(message, content=content, tool_calls=(call,))
            content = ""
            yield from (item for item in results if item.tool_call_id == call.id)
        known = {call.id for call in message.tool_calls}
        yield from (item for item in results if item.tool_call_id not in known)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
