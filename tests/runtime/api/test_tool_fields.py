"""Which functions may be called; bad first, and every refusal names its field."""

import json

import openai
import pydantic
import pytest

from sealift.runtime.api.chat_request import ChatRequest, parse_chat
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import ToolChoice, ToolSpec

HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
NAMED = {"type": "function", "function": {"name": "f"}}


def parse(**fields: object) -> ChatRequest:
    return parse_chat(json.dumps(HELLO | fields).encode(), ApiLimits(tools=3), fallback_seed=0)


def tool(**function: object) -> dict[str, object]:
    return {"tools": [{"type": "function", "function": {"name": "f"} | function}]}


NAME = "tools[0].function.name"
BAD, MISSING, UNKNOWN = "invalid_value", "missing_required_parameter", "unknown_parameter"
REFUSED = [
    ({"tools": {}}, "tools", BAD),
    ({"tools": [{}]}, "tools[0].type", MISSING),
    ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type", MISSING),
    ({"tool_choice": {"function": {"name": "f"}}, "tools": [NAMED]}, "tool_choice.type", MISSING),
    ({"tools": [{"type": "function"}]}, "tools[0].function", MISSING),
    ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type", BAD),
    ({"tools": [NAMED | {"more": 1}]}, "tools[0].more", UNKNOWN),
    ({"tools": [{"type": "function", "function": {}}]}, NAME, MISSING),
    (tool(name=""), NAME, BAD),
    (tool(name="get weather"), NAME, BAD),
    (tool(name="f\n"), NAME, BAD),
    (tool(name="f" * 65), NAME, BAD),
    (tool(name="f.g"), NAME, BAD),
    (tool(name="caf\u00e9"), NAME, BAD),
    (tool(description=5), "tools[0].function.description", BAD),
    (tool(parameters=[]), "tools[0].function.parameters", BAD),
    (tool(parameters={"maximum": 10**30}), "tools[0].function.parameters", BAD),
    (tool(strict="yes"), "tools[0].function.strict", BAD),
    (tool(code="x"), "tools[0].function.code", UNKNOWN),
    ({"tools": [NAMED, NAMED]}, "tools[1].function.name", BAD),
    ({"tools": [{"type": "function", "function": {"name": f"f{i}"}} for i in range(4)]},
     "tools", BAD),
    ({"tool_choice": "required"}, "tool_choice", BAD),
    ({"tool_choice": "required", "tools": []}, "tool_choice", BAD),
    ({"tool_choice": "always", "tools": [NAMED]}, "tool_choice", BAD),
    ({"tool_choice": 1, "tools": [NAMED]}, "tool_choice", BAD),
    ({"tool_choice": NAMED}, "tool_choice.function.name", BAD),
    ({"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [NAMED]},
     "tool_choice.function.name", BAD),
    ({"tool_choice": {"type": "function"}, "tools": [NAMED]}, "tool_choice.function", MISSING),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}, "tools": [NAMED]},
     "tool_choice.type", BAD),
    ({"parallel_tool_calls": 1, "tools": [NAMED]}, "parallel_tool_calls", BAD),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
def test_refused_by_name(fields: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**fields)
    assert (caught.value.param, caught.value.request_code) == (param, code)
    assert param in caught.value.message


def test_every_field_arrives() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    request = parse(
        tools=[
            *tool(name="get_weather-2", description="Tell it", parameters=schema, strict=True)[
                "tools"
            ],
            NAMED | {"function": {"name": "f", "parameters": None, "description": None}},
        ]
    )
    assert request.tools == (
        ToolSpec(name="get_weather-2", description="Tell it", parameters=schema),
        ToolSpec(name="f"),
    )
    assert request.tool_choice == ToolChoice(mode="auto")
    assert request.parallel_tool_calls
    assert request.grammar_param == "tools"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ToolChoice(mode="none")),
        ({"tool_choice": "auto"}, ToolChoice(mode="none")),
        (tool() | {"tool_choice": None}, ToolChoice(mode="auto")),
        (tool() | {"tool_choice": "none"}, ToolChoice(mode="none")),
        (tool() | {"tool_choice": "required"}, ToolChoice(mode="required")),
        (tool() | {"tool_choice": NAMED}, ToolChoice(mode="named", name="f")),
    ],
)
def test_the_choice(fields: dict[str, object], expected: ToolChoice) -> None:
    assert parse(**fields).tool_choice == expected


FORM = {"response_format": {"type": "json_object"}}


def test_a_form_where_the_model_may_choose_is_refused() -> None:
    with pytest.raises(BadRequestError, match="text and calls") as caught:
        parse(**tool(), **FORM)
    assert caught.value.param == "response_format"
    assert caught.value.request_code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("choice", "has_form", "param"),
    [("none", True, "response_format"), ("required", False, "tools"), (NAMED, False, "tools")],
)
def test_a_form_is_for_text(choice: object, has_form: bool, param: str) -> None:
    request = parse(**tool(), **FORM, tool_choice=choice)
    assert (request.message(1).grammar is not None) is has_form
    assert request.grammar_param == param


class _Weather(pydantic.BaseModel):
    """Tell the weather."""

    city: str


def test_what_the_official_client_makes_of_a_pydantic_model() -> None:
    request = parse(tools=[openai.pydantic_function_tool(_Weather)])
    assert request.tools[0].name == "_Weather"
    assert request.tools[0].description == "Tell the weather."
    assert request.tools[0].parameters["required"] == ["city"]
