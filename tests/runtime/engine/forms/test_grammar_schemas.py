"""200 answers of models that know nothing to many schemas: each satisfies its schema, or was cut.

The hardest case: with random logits every allowed token is as likely, so that an answer leaves the
schema wherever a mask lets it.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealift.runtime.engine.errors import GrammarError
from sealift.runtime.engine.forms.grammar import GrammarCompiler
from sealift.runtime.engine.load.chat_model import ChatModel
from sealift.runtime.engine.load.model import load_model
from sealift.runtime.engine.request import ChatMessage, Delta, Generate, Grammar, SamplingParams
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.worker.service import generator_of
from tests.runtime.engine.forms.structured import dumps, open_compiler, random_answer, text_of

SHORT = {"type": "string", "maxLength": 6}
SMALL = {"type": "integer", "minimum": -50, "maximum": 50}


def record(properties: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


SCHEMAS: dict[str, dict[str, object]] = {
    "string": {"type": "string"},
    "short string": {"type": "string", "minLength": 2, "maxLength": 5},
    "number": {"type": "number"},
    "integer range": {"type": "integer", "minimum": -3, "exclusiveMaximum": 1200},
    "number range": {"type": "number", "exclusiveMinimum": 0, "maximum": 1.5},
    "multiple": {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 700},
    "boolean or null": {"type": ["boolean", "null"]},
    "enum of all types": {"enum": ["a", 1, None, True, [1, "x"], {"k": "é"}]},
    "const": {"const": {"a": [1, {"b": "ü\n"}]}},
    "record": record({"name": SHORT, "age": SMALL}),
    "optional properties": {
        "type": "object",
        "properties": {"a": SMALL, "b": SHORT, "c": {"type": "boolean"}},
        "required": ["b"],
        "additionalProperties": False,
    },
    "nested": record({"a": record({"b": record({"c": record({"d": SMALL})})}), "e": SHORT}),
    "array with bounds": {"type": "array", "items": SMALL, "minItems": 2, "maxItems": 5},
    "tuple": {
        "type": "array",
        "prefixItems": [SHORT, SMALL, {"type": "boolean"}],
        "items": False,
        "minItems": 3,
    },
    "array of records": {"type": "array", "items": record({"x": SMALL, "y": SMALL}), "maxItems": 3},
    "any of": {"anyOf": [record({"kind": {"const": "a"}, "x": SMALL}), SHORT, {"type": "null"}]},
    "one of": {
        "oneOf": [
            record({"kind": {"const": "a"}, "x": SMALL}),
            record({"kind": {"const": "b"}, "y": SHORT}),
        ]
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": SMALL}, "required": ["a"]},
            {"properties": {"b": SHORT}, "required": ["b"]},
        ]
    },
    "recursion": {
        "$defs": {
            "tree": record(
                {
                    "value": SMALL,
                    "children": {
                        "type": "array",
                        "items": {"$ref": "#/$defs/tree"},
                        "maxItems": 2,
                    },
                }
            )
        },
        "$ref": "#/$defs/tree",
    },
    "definitions": {
        "$defs": {"point": record({"x": SMALL, "y": SMALL})},
        **record({"from": {"$ref": "#/$defs/point"}, "to": {"$ref": "#/$defs/point"}}),
    },
    "date": {"type": "string", "format": "date"},
    "time and date": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "email": {"type": "string", "format": "email"},
    "address": {"type": "string", "format": "ipv4"},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}(x|y)?$"},
    "pattern without anchors": {"type": "string", "pattern": "ab+c", "maxLength": 12},
    "unicode keys": record({"größe": SMALL, "名前": SHORT, "😀": {"type": "boolean"}}),
    "escaped keys": record({'a"b\\c\n': SMALL, "": SHORT, "/": SMALL}),
    "a map": {
        "type": "object",
        "additionalProperties": SMALL,
        "minProperties": 1,
        "maxProperties": 3,
    },
    "keys by pattern": {
        "type": "object",
        "patternProperties": {"^x_[a-z]{1,3}$": SMALL},
        "additionalProperties": False,
    },
    "a real one": record(
        {
            "title": {"type": "string", "maxLength": 20},
            "priority": {"enum": ["low", "high"]},
            "tags": {"type": "array", "items": SHORT, "maxItems": 2},
            "assignee": {"anyOf": [record({"name": SHORT}), {"type": "null"}]},
            "due": {"type": "string", "format": "date"},
            "estimate": {"type": "number", "minimum": 0, "maximum": 40},
        }
    ),
}
ANSWERS = 224  # seven each


def check_answer(schema: object, text: str) -> None:
    """Judge as a client would: strict JSON in UTF-8, valid by its own library."""
    text.encode()
    assert "\ufffd" not in text

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        return dict(items)

    value = json.loads(text, object_pairs_hook=pairs, parse_constant=pytest.fail)
    jsonschema.validate(
        value,
        schema,
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return open_compiler()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_answer_satisfies_its_schema_or_was_cut(compiler: GrammarCompiler, name: str) -> None:
    schema = SCHEMAS[name]
    whole = 0
    for seed in range(ANSWERS // len(SCHEMAS)):
        constraint = compiler.compile(Grammar(kind="json_schema", text=dumps(schema)))
        tokens, ended = random_answer(constraint, seed, tokens=600)
        if ended:
            check_answer(schema, text_of(tokens))
            whole += 1
    assert whole > 0, "no answer came to its end"


def test_two_hundred_answers_are_judged() -> None:
    assert len(SCHEMAS) >= 20
    assert ANSWERS // len(SCHEMAS) * len(SCHEMAS) >= 200


LEAVES = st.one_of(
    st.sampled_from([SHORT, {"type": "boolean"}, {"type": "null"}, {"type": "integer"}]),
    st.integers(-1000, 1000).flatmap(
        lambda low: st.integers(low, low + 500).map(
            lambda high: {"type": "integer", "minimum": low, "maximum": high}
        )
    ),
    st.floats(-100, 100).map(lambda low: {"type": "number", "minimum": round(low, 3)}),
    st.lists(
        st.one_of(st.text(max_size=4), st.integers(), st.booleans()), min_size=1, max_size=4
    ).map(lambda values: {"enum": values}),
)
KEYS = st.text(max_size=5)


def grow(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    arrays = st.builds(
        lambda items, low, more: {
            "type": "array",
            "items": items,
            "minItems": low,
            "maxItems": low + more,
        },
        inner,
        st.integers(0, 2),
        st.integers(0, 2),
    )
    records = st.dictionaries(KEYS, inner, max_size=3).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties) or [""])).map(
            lambda required: {
                "type": "object",
                "properties": properties,
                "required": sorted(required & properties.keys()),
                "additionalProperties": False,
            }
        )
    )
    unions = st.lists(inner, min_size=1, max_size=3).map(lambda ways: {"anyOf": ways})
    return st.one_of(arrays, records, unions)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=st.recursive(LEAVES, grow, max_leaves=6), seed=st.integers(0, 2**32 - 1))
def test_any_schema_is_satisfied_or_refused(
    compiler: GrammarCompiler, schema: object, seed: int
) -> None:
    try:
        constraint = compiler.compile(Grammar(kind="json_schema", text=dumps(schema)))
    except GrammarError:
        return
    tokens, ended = random_answer(constraint, seed, tokens=300)
    if ended:
        check_answer(schema, text_of(tokens))


def test_a_real_model_with_random_weights_answers_in_form_through_the_engine(
    chat_folder: Path, source_of: Callable[[str, Path], ModelSource]
) -> None:
    settings = EngineSettings(slots=8, threads=2)
    model, _ = load_model(source_of("tiny", chat_folder), settings, now=datetime.now)
    assert isinstance(model, ChatModel)
    generator = generator_of(model, settings)
    names = list(SCHEMAS)
    for id, name in enumerate(names):
        request = Generate(
            id=id,
            messages=(ChatMessage(role="user", content=f"Give me {name}."),),
            sampling=SamplingParams(temperature=1.0 if id % 2 else 0.0, seed=id),
            max_tokens=300,
            grammar=Grammar(kind="json_schema", text=dumps(SCHEMAS[name])),
        )
        generator.submit(*model.prepare(request))
    answers = dict.fromkeys(range(len(names)), "")
    whole = 0
    while generator.has_work:
        for delta in generator.step():
            assert isinstance(delta, Delta)
            answers[delta.id] += delta.text
            if delta.finish_reason == "stop":
                check_answer(SCHEMAS[names[delta.id]], answers[delta.id])
                whole += 1
    assert whole > len(names) / 2
