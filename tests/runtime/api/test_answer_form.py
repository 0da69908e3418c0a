"""What an answer must look like; bad first, and every refusal names its field."""

import json

import openai
import pydantic
import pytest
from openai.lib._parsing._completions import type_to_response_format_param

from sealift.runtime.api.answer_form import AnswerForm
from sealift.runtime.api.chat_request import parse_chat
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import Grammar

HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
SCHEMA = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"const": 1.0}}}
SCHEMA_TEXT = '{"type":"object","properties":{"z":{"type":"string"},"a":{"const":1.0}}}'


def parse(**fields: object) -> AnswerForm | None:
    body = json.dumps(HELLO | fields).encode()
    return parse_chat(body, ApiLimits(grammar_bytes=200), fallback_seed=0).form


def schema_format(**fields: object) -> dict[str, object]:
    named = {"name": "n", "schema": SCHEMA} | fields
    return {"response_format": {"type": "json_schema", "json_schema": named}}


LONG = "a" * 201
BAD, MISSING, UNKNOWN = "invalid_value", "missing_required_parameter", "unknown_parameter"
REFUSED = [
    ({"response_format": "json"}, "response_format", BAD),
    ({"response_format": {}}, "response_format.type", MISSING),
    ({"response_format": {"type": "xml"}}, "response_format.type", BAD),
    ({"response_format": {"type": "text", "x": 1}}, "response_format.x", UNKNOWN),
    ({"response_format": {"type": "json_object", "x": 1}}, "response_format.x", UNKNOWN),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", MISSING),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
     "response_format.json_schema.name", MISSING),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
     "response_format.json_schema.schema", MISSING),
    (schema_format(name="two words"), "response_format.json_schema.name", BAD),
    (schema_format(name="line\n"), "response_format.json_schema.name", BAD),
    (schema_format(name="n" * 65), "response_format.json_schema.name", BAD),
    (schema_format(schema="{}"), "response_format.json_schema.schema", BAD),
    (schema_format(strict="yes"), "response_format.json_schema.strict", BAD),
    (schema_format(scheme={}), "response_format.json_schema.scheme", UNKNOWN),
    (schema_format(schema={"const": LONG}), "response_format", BAD),
    ({"guided_json": "{"}, "guided_json", BAD),
    ({"guided_json": "[]"}, "guided_json", BAD),
    ({"guided_json": '{"a": 1, "a": 2}'}, "guided_json", BAD),
    ({"guided_json": 5}, "guided_json", BAD),
    ({"guided_regex": ""}, "guided_regex", BAD),
    ({"guided_regex": LONG}, "guided_regex", BAD),
    ({"guided_regex": "\u00e9" * 101}, "guided_regex", BAD),  # 202 bytes
    ({"guided_grammar": ["start: A"]}, "guided_grammar", BAD),
    ({"guided_choice": []}, "guided_choice", BAD),
    ({"guided_choice": "yes"}, "guided_choice", BAD),
    ({"guided_choice": ["yes", 5]}, "guided_choice[1]", BAD),
    ({"guided_choice": [LONG]}, "guided_choice", BAD),
    ({"structured_outputs": {"xml": "x"}}, "structured_outputs.xml", UNKNOWN),
    ({"structured_outputs": {"choice": []}}, "structured_outputs.choice", BAD),
    ({"structured_outputs": {"json": "no"}}, "structured_outputs.json", BAD),
    ({"structured_outputs": {"regex": LONG}}, "structured_outputs.regex", BAD),
    # an answer has one form
    (schema_format() | {"guided_regex": "a"}, "guided_regex", BAD),
    ({"response_format": {"type": "json_object"}, "structured_outputs": {"regex": "a"}},
     "structured_outputs.regex", BAD),
    ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs.choice", BAD),
    ({"structured_outputs": {"json": {}, "json_object": True}},
     "structured_outputs.json_object", BAD),
    ({"guided_json": {}, "guided_choice": ["a"]}, "guided_choice", BAD),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
def test_refused_by_name(fields: dict[str, object], param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**fields)
    assert (caught.value.param, caught.value.request_code) == (param, code)
    assert param in caught.value.message


SCHEMA_GRAMMAR = Grammar(kind="json_schema", text=SCHEMA_TEXT)
TAKEN = [
    (schema_format(), "response_format", SCHEMA_GRAMMAR),
    (schema_format(strict=True, description="what it is"), "response_format", SCHEMA_GRAMMAR),
    (schema_format(strict=False, description=None), "response_format", SCHEMA_GRAMMAR),
    ({"response_format": {"type": "json_object"}}, "response_format", Grammar(kind="json_object")),
    ({"response_format": {"type": "text"}, "guided_regex": "a+"}, "guided_regex",
     Grammar(kind="regex", text="a+")),
    ({"guided_json": SCHEMA}, "guided_json", SCHEMA_GRAMMAR),
    ({"guided_json": SCHEMA_TEXT}, "guided_json", SCHEMA_GRAMMAR),
    ({"guided_json": {"maximum": 10**30}}, "guided_json",
     Grammar(kind="json_schema", text='{"maximum":1000000000000000000000000000000}')),
    ({"guided_grammar": 'start: "a"'}, "guided_grammar", Grammar(kind="lark", text='start: "a"')),
    ({"guided_choice": ["y\u00e9s", "no"]}, "guided_choice",
     Grammar(kind="choice", text='["y\u00e9s","no"]')),
    ({"structured_outputs": {"json": SCHEMA}}, "structured_outputs.json", SCHEMA_GRAMMAR),
    ({"structured_outputs": {"json_object": True}}, "structured_outputs.json_object",
     Grammar(kind="json_object")),
    ({"structured_outputs": {"regex": "a", "choice": None}}, "structured_outputs.regex",
     Grammar(kind="regex", text="a")),
    ({"structured_outputs": {"grammar": 'start: "a"'}}, "structured_outputs.grammar",
     Grammar(kind="lark", text='start: "a"')),
    ({"structured_outputs": {"choice": ["a"]}}, "structured_outputs.choice",
     Grammar(kind="choice", text='["a"]')),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "grammar"), TAKEN)
def test_every_spelling_becomes_one_grammar(
    fields: dict[str, object], param: str, grammar: Grammar
) -> None:
    assert parse(**fields) == AnswerForm(grammar=grammar, param=param)


class _Step(pydantic.BaseModel):
    explanation: str
    output: str


class _Reasoning(pydantic.BaseModel):
    steps: list[_Step]
    final_answer: int | None


def test_what_the_official_client_makes_of_a_pydantic_model() -> None:
    asked = type_to_response_format_param(_Reasoning)
    assert asked is not openai.omit
    body = json.dumps(HELLO | {"response_format": asked}).encode()
    form = parse_chat(body, ApiLimits(), fallback_seed=0).form
    assert form is not None
    schema = json.loads(form.grammar.text)
    assert list(schema["properties"]) == ["steps", "final_answer"]
    assert list(schema["$defs"]["_Step"]["properties"]) == ["explanation", "output"]
