"""Calls of tools through the official client: whole, streamed, and sent back."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import openai
import pydantic
import pytest

from sealift.runtime.engine.source import ModelSource

HELLO = [{"role": "user", "content": "rain in Oslo?"}]
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    "answer with <tool_call>{}</tool_call><|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>"
    "{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
StartServer = Callable[..., Any]


class Weather(pydantic.BaseModel):
    """Tell the weather."""

    city: Literal["Oslo", "Bergen"]
    hours: int = pydantic.Field(ge=1, le=9)


class Tide(pydantic.BaseModel):
    """Tell the tide."""

    is_high: bool


TOOLS = [openai.pydantic_function_tool(Weather), openai.pydantic_function_tool(Tide)]


@pytest.fixture
def client(
    chat_folder: Path,
    source_of: Callable[[str, Path], ModelSource],
    server_over: StartServer,
    tmp_path: Path,
) -> openai.OpenAI:
    """A client of the miniature under a template that shows tools."""
    shutil.copytree(chat_folder, tmp_path / "chat")
    (tmp_path / "chat" / "cpu-fp32" / "chat_template.jinja").write_text(TEMPLATE)
    server = server_over([source_of("chat", tmp_path / "chat")])
    made: openai.OpenAI = server.client()
    return made


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    fields = {
        "model": "chat", "messages": HELLO, "temperature": 1, "seed": 3, "max_tokens": 150,
        "tools": TOOLS, "parallel_tool_calls": False,
    } | fields  # fmt: skip
    return client.chat.completions.create(**fields)


@contextmanager
def refused(code: str, param: str) -> Iterator[None]:
    with pytest.raises(openai.BadRequestError) as caught:
        yield
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_model_without_tools_refuses_them(start_server: StartServer) -> None:
    plain = start_server().client()
    with refused("invalid_prompt", "tools"):
        ask(plain)
    assert ask(plain, tool_choice="none").choices[0].message.content


def test_required_calls_fit_their_schema(client: openai.OpenAI) -> None:
    for seed in range(4):
        choice = ask(client, tool_choice="required", seed=seed).choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        (call,) = choice.message.tool_calls
        form = {"Weather": Weather, "Tide": Tide}[call.function.name]
        form.model_validate_json(call.function.arguments)
        assert call.type == "function"
        assert call.id


def test_a_named_tool_is_the_one(client: openai.OpenAI) -> None:
    named = {"type": "function", "function": {"name": "Tide"}}
    for seed in range(3):
        (call,) = ask(client, tool_choice=named, seed=seed).choices[0].message.tool_calls
        assert call.function.name == "Tide"
        Tide.model_validate_json(call.function.arguments)


def test_a_stream_has_the_same_calls(client: openai.OpenAI) -> None:
    whole = ask(client, tool_choice="required", n=2)
    chunks = ask(client, tool_choice="required", n=2, stream=True)
    calls: dict[int, dict[str, str]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            assert not choice.delta.content
            for piece in choice.delta.tool_calls or []:
                assert piece.index == 0
                call = calls.setdefault(choice.index, {"name": "", "arguments": ""})
                if not call["name"]:
                    assert piece.id
                    assert piece.type == "function"
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    assert calls == {
        choice.index: {
            "name": choice.message.tool_calls[0].function.name,
            "arguments": choice.message.tool_calls[0].function.arguments,
        }
        for choice in whole.choices
    }


def test_the_helpers_of_the_client(client: openai.OpenAI) -> None:
    fields: dict[str, Any] = {
        "model": "chat", "messages": HELLO, "tools": TOOLS, "tool_choice": "required",
        "temperature": 1, "seed": 3, "max_tokens": 150, "parallel_tool_calls": False,
    }  # fmt: skip
    parsed = client.chat.completions.parse(**fields)
    (call,) = parsed.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Weather | Tide)
    with client.chat.completions.stream(**fields) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    (again,) = final.choices[0].message.tool_calls or []
    assert again.function.parsed_arguments == call.function.parsed_arguments


def test_a_call_is_sent_back_with_its_result(client: openai.OpenAI) -> None:
    first = ask(client, tool_choice="required").choices[0].message
    (call,) = first.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"rain": True})}
    answer = ask(client, messages=[*HELLO, first, result], tool_choice="none", max_tokens=8)
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content


def test_a_schema_that_cannot_be_compiled_names_tools(client: openai.OpenAI) -> None:
    broken = {"type": "function", "function": {"name": "f", "parameters": {"type": "no type"}}}
    with refused("invalid_grammar", "tools"):
        ask(client, tools=[broken], tool_choice="required")
