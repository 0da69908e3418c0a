"""Text and calls are told apart the same way however an answer is cut; broken calls are text."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.decode.answer_parser import AnswerPieces
from sealift.runtime.engine.tools.format import ToolFormat
from sealift.runtime.engine.tools.parser import tool_parser

NAMES = frozenset({"get_weather", "f"})
H, L, M, P = ToolFormat.HERMES, ToolFormat.LLAMA3, ToolFormat.MISTRAL, ToolFormat.PHI

Calls = list[tuple[str, str]]


@dataclass
class Answer:
    text: str = ""
    calls: Calls = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def add(self, pieces: AnswerPieces) -> None:
        self.text += pieces.text
        for piece in pieces.calls:
            if piece.index == len(self.calls):
                # A call's first piece names it, whole, and no later one does.
                assert piece.id is not None
                assert piece.name is not None
                self.ids.append(piece.id)
                self.calls.append((piece.name, ""))
            else:
                assert (piece.id, piece.name) == (None, None)
            assert piece.index == len(self.calls) - 1
            name, arguments = self.calls[-1]
            self.calls[-1] = (name, arguments + piece.arguments)


def parse(kind: ToolFormat, pieces: list[str]) -> Answer:
    numbers = itertools.count()
    parser = tool_parser(kind, NAMES, lambda: f"id{next(numbers)}")
    answer = Answer()
    for piece in pieces:
        answer.add(parser.feed(piece))
    answer.add(parser.flush())
    return answer


# format, answer, text, calls
BROKEN: dict[str, tuple[ToolFormat, str, str, Calls]] = {
    "a tool that is not offered": (
        H,
        '<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>',
        [],
    ),
    "no name": (H, '<tool_call>{"arguments": {}}', '<tool_call>{"arguments": {}}', []),
    "no JSON": (H, "<tool_call>f(1)</tool_call>", "<tool_call>f(1)</tool_call>", []),
    "two names": (
        H,
        '<tool_call>{"name": "f", "name": "f"}',
        ': "f"}',
        [("f", "")],
    ),
    "a name that is a number": (H, '<tool_call>{"name": 1}', '<tool_call>{"name": 1}', []),
    "a name with an escape that is none": (
        H,
        '<tool_call>{"name": "\\x"}',
        '<tool_call>{"name": "\\x"}',
        [],
    ),
    "cut before the name": (H, 'Hm <tool_call>{"na', 'Hm <tool_call>{"na', []),
    "cut in the name": (M, '[TOOL_CALLS][{"name": "get_w', '[TOOL_CALLS][{"name": "get_w', []),
    "cut after the opener": (P, "<|tool_call|>", "<|tool_call|>", []),
    "cut in the opener": (M, "so: [TOOL_", "so: [TOOL_", []),
    "cut in the arguments": (
        H,
        '<tool_call>{"name": "f", "arguments": {"a": "x',
        "",
        [("f", '{"a": "x')],
    ),
    "cut in the closer": (
        H,
        '<tool_call>{"name": "f", "arguments": {}}\n</tool_c',
        "",
        [("f", "{}")],
    ),
    "cut in a bare name": (M, "[TOOL_CALLS]get_weath", "[TOOL_CALLS]get_weath", []),
    "a bare name that is not offered": (M, "[TOOL_CALLS]rm[ARGS]{}", "[TOOL_CALLS]rm[ARGS]{}", []),
    "something else after a bare name": (
        M,
        "[TOOL_CALLS]f[XYZ]{}",
        "[TOOL_CALLS]f[XYZ]{}",
        [],
    ),
    "JSON that is an answer": (L, '{"name": "Bob", "age": 3}', '{"name": "Bob", "age": 3}', []),
    "JSON list that is an answer": (L, "[1, 2]", "[1, 2]", []),
    "an opener that never opens": (H, "a <tool_ b <tool_call c", "a <tool_ b <tool_call c", []),
    "a broken call, then a good one": (
        H,
        '<tool_call>{"name": 1}</tool_call><tool_call>{"name": "f", "arguments": {}}</tool_call>',
        '<tool_call>{"name": 1}</tool_call>',
        [("f", "{}")],
    ),
    "an opener twice": (
        H,
        '<tool_call><tool_call>{"name": "f", "arguments": {}}</tool_call>',
        "<tool_call>",
        [("f", "{}")],
    ),
    "an opener that comes late in a bare format": (
        L,
        'Use {"name": "f", "parameters": {}}',
        'Use {"name": "f", "parameters": {}}',
        [],
    ),
}

GOOD: dict[str, tuple[ToolFormat, str, str, Calls]] = {
    "no call": (H, "Just text.\n", "Just text.\n", []),
    "nothing": (M, "", "", []),
    "one": (
        H,
        '<tool_call>\n{"name": "f", "arguments": {"a": [1, {"b": "}"}]}}\n</tool_call>',
        "",
        [("f", '{"a": [1, {"b": "}"}]}')],
    ),
    "text, then two": (
        H,
        "Let me look.\n<tool_call>\n"
        '{"name": "get_weather", "arguments": {"city": "Zürich 😀"}}\n</tool_call>\n<tool_call>\n'
        '{"name": "f", "arguments": {}}\n</tool_call>',
        "Let me look.",
        [("get_weather", '{"city": "Zürich 😀"}'), ("f", "{}")],
    ),
    "markers inside a string": (
        H,
        r'<tool_call>{"name": "f", "arguments": {"a": "</tool_call>\"}<tool_call>"}}</tool_call>',
        "",
        [("f", r'{"a": "</tool_call>\"}<tool_call>"}')],
    ),
    "keys in another order": (
        H,
        '<tool_call>{"id": "x", "arguments": {"a": 1}, "name": "f"}</tool_call>',
        "",
        [("f", '{"a": 1}')],
    ),
    "a list in the marker": (
        H,
        '<tool_call>[{"name": "f", "arguments": {}}, {"name": "f", "arguments": {"a": 1}}]'
        "</tool_call>",
        "",
        [("f", "{}"), ("f", '{"a": 1}')],
    ),
    "no arguments": (H, '<tool_call>{"name": "f"}</tool_call>', "", [("f", "{}")]),
    "arguments in a string": (
        H,
        '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>',
        "",
        [("f", '{"a": 1}')],
    ),
    "text after": (
        H,
        '<tool_call>{"name": "f", "arguments": {}}</tool_call> Done, x < y.',
        "Done, x < y.",
        [("f", "{}")],
    ),
    "no closer": (
        H,
        '<tool_call>{"name": "f", "arguments": {}}\n<tool_call>{"name": "f"}',
        "",
        [("f", "{}"), ("f", "{}")],
    ),
    "escaped name": (H, '<tool_call>{"name": "\\u0066"}</tool_call>', "", [("f", "{}")]),
    "llama": (L, '{"name": "f", "parameters": {"a": 1}}', "", [("f", '{"a": 1}')]),
    "llama, indented": (L, '\n{\n  "name": "f",\n  "parameters": {}\n}', "", [("f", "{}")]),
    "llama, two": (
        L,
        '{"name": "f", "parameters": {}}; {"name": "get_weather", "parameters": {"a": ";"}}',
        "",
        [("f", "{}"), ("get_weather", '{"a": ";"}')],
    ),
    "llama, tagged": (
        L,
        'Well. <|python_tag|>{"name": "f", "arguments": {}}',
        "Well.",
        [("f", "{}")],
    ),
    "mistral": (
        M,
        '[TOOL_CALLS] [{"name": "f", "arguments": {"a": [1, 2]}}, {"name": "f", "arguments": {}}]',
        "",
        [("f", '{"a": [1, 2]}'), ("f", "{}")],
    ),
    "mistral with ids": (
        M,
        '[TOOL_CALLS][{"name": "f", "arguments": {}, "id": "abcDEF123"}]',
        "",
        [("f", "{}")],
    ),
    "mistral, newer": (
        M,
        'I look.[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]get_weather[ARGS]{}',
        "I look.",
        [("f", '{"a": 1}'), ("get_weather", "{}")],
    ),
    "mistral, newer with ids": (
        M,
        '[TOOL_CALLS]f[CALL_ID]abcDEF123[ARGS]{"a": "["}',
        "",
        [("f", '{"a": "["}')],
    ),
    "mistral without marks": (M, '[TOOL_CALLS]f{"a": 1}', "", [("f", '{"a": 1}')]),
    "phi": (
        P,
        '<|tool_call|>[{"name": "f", "arguments": {}}, {"name": "f", "arguments": {"a": 1}}]'
        "<|/tool_call|>",
        "",
        [("f", "{}"), ("f", '{"a": 1}')],
    ),
    "phi, one": (P, '<|tool_call|>{"name": "f", "arguments": {}}<|/tool_call|>', "", [("f", "{}")]),
    "phi, word": (
        P,
        ' functools[{"name": "f", "arguments": {}}, {"name": "f", "arguments": {"a": 1}}]',
        "",
        [("f", "{}"), ("f", '{"a": 1}')],
    ),
    "the word in text": (P, "use functools.partial", "use functools.partial", []),
}
CASES = {**BROKEN, **GOOD}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [10_000, 1, 2, 3, 7])
def test_an_answer_is_parsed_whatever_its_pieces(name: str, size: int) -> None:
    kind, answer, text, calls = CASES[name]
    pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
    parsed = parse(kind, pieces)
    assert (parsed.text, parsed.calls) == (text, calls)
    assert parsed.ids == [f"id{number}" for number in range(len(calls))]


FRAGMENTS = [
    "<tool_call>",
    "</tool_call>",
    "<|python_tag|>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[CALL_ID]",
    "<|tool_call|>",
    "<|/tool_call|>",
    "functools[",
    '{"name": "f", "arguments": {"a": 1}}',
    '{"arguments": {"a": "x"}, "name": "f"}',
    '{"name": "no"}',
    '{"name": "f", ',
    '"arguments": "{}"',
    "f",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    " ",
    "\n",
    '"',
    "\\",
    "<",
    "text",
    "é😀",
]


@given(st.sampled_from(ToolFormat), st.lists(st.sampled_from(FRAGMENTS), max_size=12), st.data())
def test_any_cut_of_any_text_gives_the_same(
    kind: ToolFormat, fragments: list[str], data: st.DataObject
) -> None:
    answer = "".join(fragments)
    cuts = data.draw(st.lists(st.integers(0, len(answer)), max_size=8).map(sorted))
    edges = [0, *cuts, len(answer)]
    pieces = [answer[start:end] for start, end in itertools.pairwise(edges)]
    assert parse(kind, pieces) == parse(kind, [answer]) == parse(kind, list(answer))


@given(st.sampled_from(ToolFormat), st.text())
def test_a_text_without_markers_comes_out_as_it_is(kind: ToolFormat, answer: str) -> None:
    parsed = parse(kind, list(answer))
    if not parsed.calls:
        assert parsed.text == answer


def test_text_streams_until_it_could_be_a_marker() -> None:
    parser = tool_parser(H, NAMES, lambda: "id")
    assert parser.feed("Hello").text == "Hello"
    assert parser.feed(" world <").text == " world"
    assert parser.feed("tool").text == ""
    assert parser.feed("s").text == " <tools"


def test_arguments_stream_as_they_come() -> None:
    parser = tool_parser(H, NAMES, lambda: "id")
    assert parser.feed('<tool_call>{"name": "f"').calls[0].name == "f"
    assert parser.feed(', "arguments": {"a"').calls[0].arguments == '{"a"'
    assert parser.feed(": 1").calls[0].arguments == ": 1"
