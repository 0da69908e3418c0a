"""Answers with tools: a model that knows nothing can only write valid calls of offered tools."""

import itertools
import json

import jsonschema
import pytest

from sealift.runtime.engine.errors import GrammarError
from sealift.runtime.engine.forms.added_tokens import AddedTokens
from sealift.runtime.engine.forms.grammar import GrammarCompiler
from sealift.runtime.engine.request import ToolChoice, ToolSpec
from sealift.runtime.engine.tools.format import ToolFormat
from sealift.runtime.engine.tools.grammar import tool_grammar
from sealift.runtime.engine.tools.parser import tool_parser
from tests.runtime.engine.forms.structured import (
    END,
    allowed,
    encode,
    open_compiler,
    random_answer,
    text_of,
    tokenizer_json,
)

H, L, M, P = ToolFormat.HERMES, ToolFormat.LLAMA3, ToolFormat.MISTRAL, ToolFormat.PHI
WEATHER = ToolSpec(
    name="get_weather",
    description="The weather of a city.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 8},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"enum": ["C", "F"]},
        },
        "required": ["city"],
    },
)
POINT = ToolSpec(
    name="mark_é",
    parameters={
        "$defs": {"point": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}},
        "properties": {
            "at": {"$ref": "#/$defs/point"},
            "tags": {"uniqueItems": True, "maxItems": 1},
        },
        "required": ["at"],
    },
)
NOTHING = ToolSpec(name="now")
TOOLS = (WEATHER, POINT, NOTHING)

NO_MARKERS: tuple[str, ...] = ()
QWEN = ("<tool_call>", "</tool_call>", "<think>", "</think>")
LLAMA = ("<|python_tag|>",)
MISTRAL_OLD = ("[TOOL_CALLS]",)
MISTRAL_NEW = ("[TOOL_CALLS]", "[ARGS]")
PHI = ("<|tool_call|>", "<|/tool_call|>")
GRANITE = ("<|tool_call|>",)

MODELS = {
    "hermes, markers as text": (H, NO_MARKERS),
    "hermes, markers as tokens": (H, QWEN),
    "llama": (L, LLAMA),
    "mistral, markers as text": (M, NO_MARKERS),
    "mistral, a list": (M, MISTRAL_OLD),
    "mistral, names": (M, MISTRAL_NEW),
    "phi, word": (P, NO_MARKERS),
    "phi": (P, PHI),
    "granite": (P, GRANITE),
}
_COMPILERS: dict[tuple[str, ...], GrammarCompiler] = {}


def compiler_of(markers: tuple[str, ...]) -> GrammarCompiler:
    return _COMPILERS.setdefault(markers, open_compiler(markers))


def grammar_of(kind: ToolFormat, markers: tuple[str, ...], choice: ToolChoice, parallel: bool):
    compiler = compiler_of(markers)
    grammar = tool_grammar(kind, TOOLS, choice, parallel=parallel, added=compiler.added_tokens)
    assert grammar is not None
    return compiler.compile(grammar)


def calls_of(kind: ToolFormat, text: str) -> tuple[str, list[tuple[str, object]]]:
    numbers = itertools.count()
    names = frozenset(tool.name for tool in TOOLS)
    parser = tool_parser(kind, names, lambda: str(next(numbers)))
    calls: dict[int, list[str]] = {}
    words = ""
    for pieces in (parser.feed(text), parser.flush()):
        words += pieces.text
        for piece in pieces.calls:
            call = calls.setdefault(piece.index, [piece.name or "", ""])
            call[1] += piece.arguments
    return words, [(name, json.loads(arguments)) for name, arguments in calls.values()]


def check(calls: list[tuple[str, object]]) -> None:
    schemas = {tool.name: tool.parameters for tool in TOOLS}
    for name, arguments in calls:
        assert isinstance(arguments, dict)
        # What a lenient form passes over is not promised.
        schema = json.loads(json.dumps(schemas[name]).replace('"uniqueItems": true, ', ""))
        jsonschema.validate(arguments, schema)
        assert set(arguments) <= set(schemas[name].get("properties", {}))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("parallel", [True, False])
def test_a_required_call_is_valid_and_nothing_else_is_said(model: str, parallel: bool) -> None:
    kind, markers = MODELS[model]
    seen = set()
    for seed in range(25):
        constraint = grammar_of(kind, markers, ToolChoice(mode="required"), parallel)
        tokens, ended = random_answer(constraint, seed)
        if not ended:
            continue
        text, calls = calls_of(kind, text_of(tokens, markers))
        assert text == ""
        assert calls
        assert parallel or len(calls) == 1
        check(calls)
        seen.add(len(calls))
    assert seen
    assert not parallel or max(seen) > 1


@pytest.mark.parametrize("model", MODELS)
def test_a_named_tool_is_called_once(model: str) -> None:
    kind, markers = MODELS[model]
    for seed in range(10):
        choice = ToolChoice(mode="named", name="get_weather")
        tokens, ended = random_answer(grammar_of(kind, markers, choice, True), seed)
        if ended:
            text, calls = calls_of(kind, text_of(tokens, markers))
            assert (text, [name for name, _ in calls]) == ("", ["get_weather"])
            check(calls)


OPENINGS = {
    "hermes, markers as text": "Hm.\n<tool_call>",
    "hermes, markers as tokens": "<think>\nHm.\n</think>\n<tool_call>",
    "llama": "{",
    "mistral, markers as text": "Hm. [TOOL_CALLS]",
    "mistral, a list": "[TOOL_CALLS]",
    "mistral, names": "Hm. [TOOL_CALLS]",
    "phi, word": "Hm. functools[",
    "phi": "Hm. <|tool_call|>",
    "granite": "<|tool_call|>",
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("parallel", [True, False])
def test_once_a_call_is_opened_it_becomes_a_valid_one(model: str, parallel: bool) -> None:
    kind, markers = MODELS[model]
    ended_once = False
    for seed in range(15):
        constraint = grammar_of(kind, markers, ToolChoice(), parallel)
        opening = encode(OPENINGS[model], markers)
        for token in opening:
            assert token in allowed(constraint)
            constraint.accept(token)
        assert END not in allowed(constraint)
        tokens, ended = random_answer(constraint, seed)
        if ended:
            ended_once = True
            _, calls = calls_of(kind, text_of([*opening, *tokens], markers))
            assert calls
            assert parallel or len(calls) == 1
            check(calls)
    assert ended_once


@pytest.mark.parametrize("model", MODELS)
def test_a_free_answer_may_be_text(model: str) -> None:
    kind, markers = MODELS[model]
    for text in ("", "The weather is fine; {a} < b [c]!\n\n漢", "<tool [TOOL func"):
        constraint = grammar_of(kind, markers, ToolChoice(), True)
        for token in encode(text, markers):
            assert token in allowed(constraint)
            constraint.accept(token)
        assert END in allowed(constraint)


# What the families' own templates show, spelled as they spell it.
NATURAL = {
    "hermes, markers as tokens": (
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}\n'
        '</tool_call>\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    ),
    "hermes, markers as text": (
        'I look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    ),
    "llama": (
        '{"name": "get_weather", "parameters": {"city": "Rome"}}; {"name": "now", "parameters": {}}'
    ),
    "mistral, a list": (
        '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Rome"}}, '
        '{"name": "now", "arguments": {}}]'
    ),
    "mistral, names": ('[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}[TOOL_CALLS]now[ARGS]{}'),
    "phi": '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Rome"}}]<|/tool_call|>',
    "phi, word": 'functools[{"name": "get_weather", "arguments": {"city": "Rome"}}]',
    "granite": '<|tool_call|>[{"name": "now", "arguments": {}}]',
}


@pytest.mark.parametrize("model", NATURAL)
@pytest.mark.parametrize("mode", ["auto", "required"])
def test_a_model_s_own_spelling_is_allowed_token_by_token(model: str, mode: str) -> None:
    kind, markers = MODELS[model]
    text = NATURAL[model]
    if mode == "required":
        text = text.removeprefix("I look.\n")
    constraint = grammar_of(kind, markers, ToolChoice(mode=mode), True)  # type: ignore[arg-type]
    for token in encode(text, markers):
        assert token in allowed(constraint), text_of([token], markers)
        constraint.accept(token)
    assert END in allowed(constraint)
    check(calls_of(kind, text)[1])


BAD_CALLS = {
    "a tool that is not offered": '{"name": "rm"',
    "another key first": '{"arguments"',
    "an argument that is not named": '{"name": "get_weather", "arguments": {"town"',
    "no argument that is required": '{"name": "get_weather", "arguments": {}',
    "an argument of another type": '{"name": "get_weather", "arguments": {"city": 1',
    "a number beyond its range": ('{"name": "get_weather", "arguments": {"city": "a", "days": 15,'),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_an_opened_call_cannot_go_wrong(name: str) -> None:
    constraint = grammar_of(H, QWEN, ToolChoice(), True)
    for token in encode("<tool_call>\n" + BAD_CALLS[name], QWEN):
        if token not in allowed(constraint):
            return
        constraint.accept(token)
    pytest.fail("every token was allowed")


def test_after_the_calls_comes_the_end() -> None:
    constraint = grammar_of(H, QWEN, ToolChoice(), False)
    for token in encode('<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>', QWEN):
        constraint.accept(token)
    assert constraint.is_complete


def test_no_form_without_tools() -> None:
    added = AddedTokens(ids={})
    assert tool_grammar(H, (), ToolChoice(), parallel=True, added=added) is None
    none = ToolChoice(mode="none")
    assert tool_grammar(H, TOOLS, none, parallel=True, added=added) is None


def test_a_named_tool_must_be_offered() -> None:
    with pytest.raises(GrammarError, match="no tool is called 'rm'"):
        tool_grammar(
            H,
            TOOLS,
            ToolChoice(mode="named", name="rm"),
            parallel=True,
            added=AddedTokens(ids={}),
        )


def test_a_hostile_tool_is_refused() -> None:
    tool = ToolSpec(name="f", parameters={"properties": {"a": {"multipleOf": 999983}}})
    grammar = tool_grammar(H, (tool,), ToolChoice(), parallel=True, added=AddedTokens(ids={}))
    assert grammar is not None
    with pytest.raises(GrammarError, match="multipleOf"):
        compiler_of(QWEN).compile(grammar)


def test_added_tokens_are_read_from_the_tokenizer() -> None:
    added = AddedTokens.parse(tokenizer_json((*QWEN, *LLAMA)))
    assert {"<think>", "<|python_tag|>", "<|im_end|>"} <= added.ids.keys()
    assert added.ids["<think>"] in added.visible
    assert added.ids["<|python_tag|>"] not in added.visible
