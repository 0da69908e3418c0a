"""Forms compile to masks that allow exactly them; what cannot be enforced or paid is refused."""

import json
import threading
from contextlib import suppress

import numpy as np
import pytest

from sealift.runtime.engine.decode.constraint import mask_words
from sealift.runtime.engine.errors import EngineError, GrammarError
from sealift.runtime.engine.forms.bounds import GrammarBounds
from sealift.runtime.engine.forms.grammar import GrammarCompiler
from sealift.runtime.engine.forms.matcher import MatcherConstraint, fill_masks
from sealift.runtime.engine.request import Grammar
from tests.runtime.engine.forms.structured import (
    END,
    OTHER_END,
    VOCAB_SIZE,
    allowed,
    dumps,
    encode,
    open_compiler,
    random_answer,
    text_of,
    tokenizer_json,
)

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return open_compiler()


def schema(value: object) -> Grammar:
    return Grammar(kind="json_schema", text=dumps(value))


def takes(constraint: MatcherConstraint, text: str) -> bool:
    """Whether the masks allow this text, token by token, and then the end."""
    for token in encode(text):
        if token not in allowed(constraint):
            return False
        constraint.accept(token)
    return END in allowed(constraint)


def deep(levels: int) -> object:
    value: object = {"type": "string"}
    for _ in range(levels):
        value = {"type": "object", "properties": {"a": value}}
    return value


REFUSED: dict[str, tuple[str, str, str]] = {
    "schema that is no JSON": ("json_schema", "[", "not valid JSON"),
    "schema that is a list": ("json_schema", "[]", "expected an object, got a list"),
    "schema with a key twice": ("json_schema", '{"type": "null", "type": "null"}', "duplicate"),
    "half a character": ("json_schema", '{"const": "\ud800"}', "not Unicode"),
    "unknown type": (
        "json_schema",
        '{"properties": {"a": {"anyOf": [{"type": "strng"}]}}}',
        "properties.a.anyOf[0]: 'strng' is no JSON type",
    ),
    "keyword that cannot be enforced": (
        "json_schema",
        '{"items": {"uniqueItems": true, "type": "array"}}',
        'items: not supported: "uniqueItems"',
    ),
    "strictness switched off": (
        "json_schema",
        '{"x-guidance": {"lenient": true}, "not": {}}',
        'not supported: "not"',
    ),
    "format that is unknown": (
        "json_schema",
        '{"properties": {"x": {"format": "iban"}}}',
        "properties.x: format 'iban' is not supported",
    ),
    "remote reference": (
        "json_schema",
        '{"$ref": "https://example.org/a.json"}',
        "only references inside the schema are followed",
    ),
    "file reference": ("json_schema", '{"$ref": "file:///etc/passwd"}', "only references inside"),
    "reference to nothing": ("json_schema", '{"$ref": "#/$defs/a"}', "nothing is there"),
    "reference to itself": ("json_schema", '{"$ref": "#"}', "no answer has this form"),
    "ambiguous oneOf": (
        "json_schema",
        '{"oneOf": [{"type": "object"}, {"type": "object"}]}',
        "two branches can hold at once",
    ),
    "schema that nothing satisfies": ("json_schema", "false", "Unsatisfiable"),
    "types that contradict": (
        "json_schema",
        '{"allOf": [{"type": "string"}, {"type": "null"}]}',
        "Unsatisfiable",
    ),
    "pattern that is none": ("json_schema", '{"type": "string", "pattern": "["}', "unclosed"),
    "pattern with look-around": ("json_schema", '{"pattern": "a(?=b)"}', "look-around"),
    "regex that is none": ("regex", "(", "unclosed group"),
    "regex of half a character": ("regex", "\ud800", "not Unicode"),
    "empty grammar": ("lark", "", "Empty grammar"),
    "grammar with an unknown rule": ("lark", "start: x", 'unknown name: "x"'),
    "grammar with an unknown token": ("lark", "start: <nope>", 'unknown special token: "<nope>"'),
    "JSON for a grammar": ("lark", '{"grammars": []}', "expected a grammar, got JSON"),
    "no choice": ("choice", "[]", "at least one"),
    "choice of a number": ("choice", '["a", 1]', "choice[1]: expected a string"),
    "choice that is an object": ("choice", "{}", "expected a list"),
}

# Each would take seconds or gigabytes if the compiler began with it.
HOSTILE: dict[str, tuple[str, str]] = {
    "long text": ("json_schema", dumps({"const": "x" * 600_000})),
    "deeply nested": ("json_schema", dumps(deep(200))),
    "nested beyond any parser": ("json_schema", '{"items":' * 50_000),
    "many values": ("json_schema", dumps({"x": [0] * 60_000})),
    "huge enum": ("json_schema", dumps({"enum": [f"v{n}" for n in range(6000)]})),
    "many optional properties": (
        "json_schema",
        dumps({"properties": {f"p{n}": {} for n in range(2500)}}),
    ),
    "patterns compared with patterns": (
        "json_schema",
        dumps({"patternProperties": {f"^a{n:03}": {} for n in range(200)}}),
    ),
    "large multipleOf": ("json_schema", '{"type": "integer", "multipleOf": 999983}'),
    "multipleOf of multipleOf": (
        "json_schema",
        dumps({"allOf": [{"type": "integer", "multipleOf": n} for n in (97, 89, 83)]}),
    ),
    "multipleOf in a grammar": (
        "lark",
        'start: a b\na: %json {"multipleOf": 9973}\nb: %json {"multipleOf": 9967}\n',
    ),
    "grammar that doubles": (
        "lark",
        "start: X9\n"
        + "".join(f"X{n}: {' '.join([f'X{n - 1}'] * 6)}\n" for n in range(1, 10))
        + "X0: /a{1,9}/\n",
    ),
    "objects of alternatives": (
        "json_schema",
        dumps(
            {
                "allOf": [
                    {"anyOf": [{"properties": {f"p{i}{j}": {"type": "string"}}} for j in range(9)]}
                    for i in range(9)
                ]
            }
        ),
    ),
    "patterns that all hold": (
        "json_schema",
        dumps({"allOf": [{"type": "string", "pattern": f".*{n}.*"} for n in range(40)]}),
    ),
    "patterns that meet in a property": (
        "json_schema",
        dumps(
            {
                "$defs": {
                    f"d{n}": {
                        "properties": {"a": {"type": "string", "pattern": f".*{n}.*"}},
                        **({"$ref": f"#/$defs/d{n + 1}"} if n < 30 else {}),
                    }
                    for n in range(31)
                },
                "$ref": "#/$defs/d0",
            }
        ),
    ),
    "a long chain of references": (
        "json_schema",
        dumps(
            {
                "$defs": {
                    f"d{n}": {"properties": {"a": {"$ref": f"#/$defs/d{n + 1}"}}}
                    for n in range(3000)
                }
                | {"d3000": {"type": "null"}},
                "$ref": "#/$defs/d0",
            }
        ),
    ),
    "a short one of references": (
        "json_schema",
        dumps(
            {
                "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(120)}
                | {"d120": {"type": "null"}},
                "$ref": "#/$defs/d0",
            }
        ),
    ),
    "a long chain of rules": (
        "lark",
        "start: a0\n" + "".join(f'a{n}: a{n + 1} "x"\n' for n in range(20_000)) + 'a20000: "y"\n',
    ),
    "terminals that all hold": (
        "lark",
        "start: S\nS: " + " & ".join(f"/.*{n}.*/" for n in range(40)) + "\n",
    ),
    "ways that multiply": (
        "json_schema",
        dumps(
            {
                "allOf": [
                    {"anyOf": [{"properties": {f"p{i}{j}": {"type": "null"}}} for j in range(4)]}
                    for i in range(8)
                ]
            }
        ),
    ),
    "many choices": ("choice", dumps([str(n) for n in range(9000)])),
}

# These compile at once and must not cost more as the answer grows.
LARGE: dict[str, tuple[str, str]] = {
    "huge maxItems": ("json_schema", '{"type": "array", "minItems": 3, "maxItems": 1000000000}'),
    "huge minItems": ("json_schema", '{"type": "array", "minItems": 1000000000}'),
    "huge maxLength": ("json_schema", '{"type": "string", "maxLength": 1000000000}'),
    "huge minLength": ("json_schema", '{"type": "string", "minLength": 100000}'),
    "repeated repetition": ("regex", "((a{1,100}){1,100}){1,100}"),
    "nested repetition": ("lark", 'start: a{1000}\na: b{1000}\nb: "x" | "xx" | \n'),
    "states that double": ("regex", "(a|b)*a(a|b){25}"),
    "exponential regex": ("regex", "(.*a.{1,50}){1,30}"),
    "complement of a large regex": ("lark", "start: S\nS: ~/(.|\\n)*(a|b).{40}(c|d)(.|\\n)*/\n"),
    "wide states": ("regex", r"(\w{1,40} ){200}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_form_is_refused_with_its_place(compiler: GrammarCompiler, name: str) -> None:
    kind, text, message = REFUSED[name]
    with pytest.raises(GrammarError) as caught:
        compiler.compile(Grammar(kind=kind, text=text))  # type: ignore[arg-type]  # kinds by name
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 600


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_form_that_costs_too_much_is_refused(compiler: GrammarCompiler, name: str) -> None:
    kind, text = HOSTILE[name]
    with pytest.raises(GrammarError):
        compiler.compile(Grammar(kind=kind, text=text))  # type: ignore[arg-type]  # kinds by name


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", LARGE)
def test_a_large_form_is_followed_or_ends_this_answer_alone(
    compiler: GrammarCompiler, name: str
) -> None:
    kind, text = LARGE[name]
    constraint = compiler.compile(Grammar(kind=kind, text=text))  # type: ignore[arg-type]  # by name
    with suppress(EngineError):  # too complex from some token on: an error of this answer
        random_answer(constraint, seed=1, tokens=300)
    # Nothing of it stays in the compiler or in another answer.
    tokens, ended = random_answer(compiler.compile(schema(PERSON)), seed=1, tokens=2000)
    assert ended
    assert set(json.loads(text_of(tokens))) == {"name", "age"}


def test_a_bound_is_a_setting() -> None:
    small = GrammarCompiler.open(
        tokenizer_json(), VOCAB_SIZE, (END,), bounds=GrammarBounds(enum_values=2)
    )
    small.compile(schema({"enum": [1, 2]}))
    with pytest.raises(GrammarError, match="expected at most 2 enum values, got 3"):
        small.compile(schema({"enum": [1, 2, 3]}))


@pytest.mark.parametrize(
    ("grammar", "yes", "no"),
    [
        (Grammar(kind="regex", text="[a-c]+x?"), ["abcx", "a"], ["", "x", "abcxx"]),
        (Grammar(kind="regex", text=r"^\d{2}/\d{2}$"), ["12/34"], ["1/2", "12/345"]),
        (
            Grammar(kind="choice", text='["yes", "no", "é\\"\\n/"]'),
            ["yes", 'é"\n/'],
            ["y", "maybe"],
        ),
        (Grammar(kind="choice", text='[""]'), [""], ["a"]),
        (Grammar(kind="lark", text='start: "a" b\nb: "(" b ")" | "x"\n'), ["a((x))"], ["a((x)"]),
        (Grammar(kind="json_object"), ["{}", '{"a": [1, {"b": null}]}'], ["[]", "1", '{"a":}']),
        (schema(PERSON), [dumps({"name": "Ü", "age": 3})], ['{"name": "Ü"}', '{"age": 3}']),
    ],
)
def test_a_form_takes_what_it_says_and_nothing_else(
    compiler: GrammarCompiler, grammar: Grammar, yes: list[str], no: list[str]
) -> None:
    for text in yes:
        assert takes(compiler.compile(grammar), text), text
    for text in no:
        assert not takes(compiler.compile(grammar), text), text


@pytest.mark.parametrize(
    ("text", "allowed_"),
    [
        ('{"name":"a","age":1}', True),
        ('{"name": "a", "age": 1}', True),
        ('{\n  "name": "a",\n  "age": 1\n}', True),
        (dumps(PERSON), False),
        ('{  "name": "a", "age": 1}', False),  # two spaces
        ('{\n\n"name": "a", "age": 1}', False),
        ("{\n" + " " * 33 + '"name": "a", "age": 1}', False),
        ('{\t"name": "a", "age": 1}', False),
        (' {"name": "a", "age": 1}', False),
    ],
)
def test_whitespace_of_json_is_bounded(
    compiler: GrammarCompiler, text: str, allowed_: bool
) -> None:
    assert takes(compiler.compile(schema(PERSON)), text) == allowed_


def test_strings_are_unicode_text(compiler: GrammarCompiler) -> None:
    half = compiler.compile(schema({"type": "string"}))
    assert not takes(half, '"\\ud800"')
    constraint = compiler.compile(schema({"type": "string"}))
    for token in encode('"a'):
        constraint.accept(token)
    first, second, third = encode("漢")  # the tokenizer has its bytes only
    for token, may_end in ((first, False), (second, False), (third, True)):
        constraint.accept(token)
        assert (encode('"')[0] in allowed(constraint)) == may_end


def test_all_ends_are_allowed_exactly_where_the_form_may_end(compiler: GrammarCompiler) -> None:
    constraint = compiler.compile(Grammar(kind="regex", text="ab?"))
    ends = {END, OTHER_END}
    assert not ends & set(allowed(constraint))
    constraint.accept(encode("a")[0])
    assert ends <= set(allowed(constraint))
    assert not constraint.is_complete
    constraint.accept(encode("b")[0])
    assert set(allowed(constraint)) == ends
    assert constraint.is_complete
    constraint.accept(OTHER_END)
    assert constraint.is_complete


def test_tokens_that_the_tokenizer_lacks_are_never_allowed(compiler: GrammarCompiler) -> None:
    any_text = compiler.compile(Grammar(kind="regex", text=r"(.|\n)*"))
    known = len(json.loads(tokenizer_json())["model"]["vocab"]) + 5
    assert max(allowed(any_text)) < known
    assert compiler.token_bytes(VOCAB_SIZE - 1) == b""


def test_a_model_with_fewer_logits_than_tokens_is_masked_within_them() -> None:
    few = GrammarCompiler.open(tokenizer_json(), vocab_size=301, eos_token_ids=(END, OTHER_END))
    constraint = few.compile(Grammar(kind="regex", text=r"(.|\n)*"))
    mask = np.zeros(mask_words(301), np.int32)
    constraint.fill(mask)
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    assert bits[301:].sum() == 0
    assert bits[:301].sum() > 200
    many = np.zeros((2, mask_words(301)), np.int32)
    assert fill_masks([constraint, few.compile(Grammar(kind="regex", text="a"))], many) == {}
    assert (many[0] == mask).all()
    assert (many[1] != mask).any()


def test_a_token_that_was_not_allowed_ends_the_answer(compiler: GrammarCompiler) -> None:
    constraint = compiler.compile(schema(PERSON))
    with pytest.raises(EngineError, match="cannot be followed further"):
        constraint.accept(encode("x")[0])
    assert not constraint.is_complete
    with pytest.raises(EngineError):
        constraint.fill(np.zeros(mask_words(VOCAB_SIZE), np.int32))
    with pytest.raises(EngineError):
        constraint.forced()


def test_many_rows_are_filled_as_each_alone_and_one_failure_stays_alone(
    compiler: GrammarCompiler,
) -> None:
    grammars = [schema(PERSON), Grammar(kind="regex", text="a+"), Grammar(kind="json_object")]
    together = [compiler.compile(grammar) for grammar in grammars]
    broken = compiler.compile(schema(PERSON))
    with pytest.raises(EngineError):
        broken.accept(encode("x")[0])
    masks = np.zeros((4, mask_words(VOCAB_SIZE)), np.int32)
    failed = fill_masks([together[0], broken, *together[1:]], masks)
    assert list(failed) == [1]
    for row, grammar in zip((0, 2, 3), grammars, strict=True):
        alone = np.zeros(mask_words(VOCAB_SIZE), np.int32)
        compiler.compile(grammar).fill(alone)
        assert (masks[row] == alone).all()
    assert fill_masks([], np.zeros((0, 4), np.int32)) == {}


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros(mask_words(VOCAB_SIZE) - 1, np.int32),
        np.zeros(mask_words(VOCAB_SIZE), np.int64),
        np.zeros(mask_words(VOCAB_SIZE) * 2, np.int32)[::2],
    ],
)
def test_a_mask_of_another_shape_is_not_written(
    compiler: GrammarCompiler, mask: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="adjacent int32"):
        compiler.compile(schema(PERSON)).fill(mask)


def test_forced_tokens_are_the_only_way(compiler: GrammarCompiler) -> None:
    constraint = compiler.compile(Grammar(kind="regex", text="weather today[ab]"))
    forced = list(constraint.forced())
    assert "weather today".startswith(text_of(forced))
    assert forced
    for token in forced:
        assert token in allowed(constraint)
        constraint.accept(token)


def test_answers_of_one_form_do_not_touch_each_other(compiler: GrammarCompiler) -> None:
    first, second = (compiler.compile(schema(PERSON)) for _ in range(2))
    for token in encode('{"name": "a", "age": 1}'):
        first.accept(token)
    assert first.is_complete
    assert not second.is_complete
    assert takes(second, '{"name": "b", "age": 2}')


def test_the_kept_forms_are_bounded_and_any_thread_may_compile() -> None:
    compiler = GrammarCompiler.open(
        tokenizer_json(), VOCAB_SIZE, (END,), bounds=GrammarBounds(cached=2)
    )
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for number in range(8):
                text = f"a{{{(seed + number) % 5 + 1}}}"
                constraint = compiler.compile(Grammar(kind="regex", text=text))
                assert random_answer(constraint, seed=number)[1]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(compiler._compiled) == 2


def test_a_tokenizer_that_cannot_be_indexed_is_an_error_of_the_request() -> None:
    document = json.loads(tokenizer_json())
    document["decoder"] = None
    compiler = GrammarCompiler.open(json.dumps(document).encode(), VOCAB_SIZE, (END,))
    with pytest.raises(GrammarError, match="tokenizer is not supported"):
        compiler.compile(Grammar(kind="json_object"))


def test_bytes_of_tokens(compiler: GrammarCompiler) -> None:
    assert b"".join(map(compiler.token_bytes, encode("Zürich 😀"))) == "Zürich 😀".encode()
    assert compiler.token_bytes(END) == b"<|im_end|>"
    assert compiler.token_bytes(compiler.added_tokens.ids["[ARGS]"]) == b"[ARGS]"
    assert "<|im_end|>" not in compiler.added_tokens.ids
    assert "weather" not in compiler.added_tokens.ids
