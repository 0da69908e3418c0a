"""Tools, calls and results reach each family's template as it wants them.

The templates are our own, short ones: they take what the families' take, and refuse what they do.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealift.runtime.engine.errors import PromptError
from sealift.runtime.engine.request import ChatMessage, ToolCall, ToolSpec
from sealift.runtime.engine.tools.format import ToolFormat, call_id, find_tool_format, tool_markers
from sealift.runtime.engine.tools.template import ChatTemplate, TemplateBounds

H, L, M, P = ToolFormat.HERMES, ToolFormat.LLAMA3, ToolFormat.MISTRAL, ToolFormat.PHI

FOLDER = Path(__file__).parent / "chat_templates"
FAMILIES = {kind: (FOLDER / f"{kind.value}.jinja").read_text() for kind in ToolFormat}
HERMES, LLAMA, MISTRAL, PHI = (FAMILIES[kind] for kind in (H, L, M, P))
PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"

TOOL = ToolSpec(
    name="get_weather",
    description="The weather of “Zürich”.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}},
)
ASK = ChatMessage(role="user", content="Weather?")
TURN = (
    ASK,
    ChatMessage(
        role="assistant",
        content="",
        tool_calls=(
            ToolCall(id="call_abcdefghijk", name="get_weather", arguments={"city": "Zürich"}),
            ToolCall(id="call_2", name="get_weather", arguments={"city": "Rome"}),
        ),
    ),
    ChatMessage(role="tool", content="sunny", tool_call_id="call_abcdefghijk"),
    ChatMessage(role="tool", content="wet", tool_call_id="call_2"),
)


def render(source: str, messages: tuple[ChatMessage, ...], tools: tuple[ToolSpec, ...] = ()) -> str:
    template = ChatTemplate(
        source,
        special_tokens={"bos_token": "<s>"},
        bounds=TemplateBounds(),
        now=lambda: datetime(2026, 1, 2, tzinfo=UTC),
    )
    return template.render(messages, tools)


@pytest.mark.parametrize("kind", ToolFormat)
def test_tools_are_in_the_prompt_only_where_there_are_some(kind: ToolFormat) -> None:
    with_tools = render(FAMILIES[kind], (ASK,), (TOOL,))
    assert "The weather of “Zürich”." in with_tools
    assert '"parameters"' in with_tools
    assert "get_weather" not in render(FAMILIES[kind], (ASK,))


def test_a_template_without_tools_refuses_them() -> None:
    with pytest.raises(PromptError, match="no place for tools") as caught:
        render(PLAIN, (ASK,), (TOOL,))
    assert caught.value.hint is not None
    with pytest.raises(PromptError, match="no place for tool calls"):
        render(PLAIN, TURN)


def test_hermes_gets_calls_as_mappings_and_results_with_a_name() -> None:
    text = render(HERMES, TURN, (TOOL,))
    assert (
        '\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Zürich"}}\n</tool_call>'
        '\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    ) in text
    assert "<|im_start|>tool\nget_weather: sunny<|im_end|>" in text


def test_llama_gets_one_call_a_turn_each_before_its_result() -> None:
    lines = render(LLAMA, TURN).splitlines()[-5:]
    assert lines == [
        "[user]Weather?",
        '[assistant]{"name": "get_weather", "parameters": {"city": "Zürich"}}',
        '[ipython]{"output": "sunny"}',
        '[assistant]{"name": "get_weather", "parameters": {"city": "Rome"}}',
        '[ipython]{"output": "wet"}',
    ]


def test_a_result_of_no_call_of_the_turn_is_kept() -> None:
    stray = ChatMessage(role="tool", content="stray", tool_call_id="call_9")
    text = render(LLAMA, (*TURN[:3], stray))
    assert text.index("sunny") < text.index("Rome") < text.index("stray")


def test_mistral_gets_short_ids_the_same_for_a_call_and_its_result() -> None:
    text = render(MISTRAL, TURN)
    calls = json.loads(text.partition("[TOOL_CALLS]")[2].partition("[TOOL_RESULTS]")[0])
    results = text.split("[TOOL_RESULTS] ")[1:]
    ids = [call["id"] for call in calls]
    assert len(set(ids)) == 2
    assert all(len(name) == 9 and name.isalnum() for name in ids)
    assert [name in result for name, result in zip(ids, results, strict=True)] == [True, True]
    kept = ChatMessage(role="tool", content="1", tool_call_id="abcDEF123")
    assert '"call_id": "abcDEF123"' in render(MISTRAL, (ASK, kept))


def test_phi_gets_tools_in_the_system_message_and_calls_in_the_content() -> None:
    text = render(PHI, TURN, (TOOL,))
    tools = text.partition("<|tool|>")[2].partition("<|/tool|>")[0]
    assert json.loads(tools)[0]["name"] == "get_weather"
    assert '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Zürich"}}, ' in text
    system = ChatMessage(role="system", content="Be brief.")
    assert render(PHI, (system, ASK), (TOOL,)).startswith("<|system|>Be brief.<|tool|>[")


def test_arguments_print_as_json_where_a_template_just_writes_them() -> None:
    source = (
        "{% for m in messages %}{% for c in m.tool_calls %}{{ c.function.arguments }}"
        "{% endfor %}{% endfor %}"
    )
    assert render(source, TURN) == '{"city": "Zürich"}{"city": "Rome"}'


def test_a_tool_that_says_nothing_of_itself_is_complete() -> None:
    source = (
        "{% for t in tools %}{{ t.type + t.function.description }}"
        "{% for k, v in t.function.parameters.properties | items %}{% endfor %}{% endfor %}"
    )
    assert render(source, (ASK,), (ToolSpec(name="now"),)) == "function"


SIGNS = {
    "hermes": (HERMES, H),
    "llama": (LLAMA, L),
    "llama with a tag": ("{{ '<|python_tag|>' }}", L),
    "mistral": (MISTRAL, M),
    "mistral, newer": ("{{ '[TOOL_CALLS]' + name + '[ARGS]' }}", M),
    "phi": (PHI, P),
    "phi, word": ("functools[{...}]", P),
    "granite": ("respond with <|tool_call|> followed by a list", P),
    "none": (PLAIN, None),
    "XML inside the tag": ("<tool_call>\n<function=example>\n</function></tool_call>", None),
}


@pytest.mark.parametrize("name", SIGNS)
def test_a_template_tells_its_format(name: str) -> None:
    source, kind = SIGNS[name]
    assert find_tool_format(source, None) is kind
    assert find_tool_format(source, "mistral") is M
    assert find_tool_format(source, H) is H


def test_ids_have_their_family_s_form() -> None:
    assert len(call_id(M, b"1")) == 9
    assert call_id(M, b"1").isalnum()
    assert call_id(H, b"1").startswith("call_")
    assert len({call_id(kind, bytes([n])) for kind in (H, M) for n in range(200)}) == 400


def test_markers_are_what_a_decoder_must_keep() -> None:
    assert tool_markers(M) >= {"[TOOL_CALLS]", "[ARGS]"}
    assert tool_markers(P) == {"<|tool_call|>", "<|/tool_call|>"}
