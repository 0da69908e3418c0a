"""The fields of a chat request that say what an answer must look like. Pure.

`response_format` is OpenAI's; `structured_outputs` and the older `guided_…` are vLLM's. They all
become one `Grammar`, and a request may use one of them. A schema is handed on as it came, its
properties in their order: in this order the answer has them.

>>> answer_form(FormFields(guided_regex="[a-z]+"), ApiLimits()).grammar
Grammar(kind='regex', text='[a-z]+')
"""

import json
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from sealift.manifests.errors import ManifestError
from sealift.manifests.strict_json import loads
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import Grammar

__all__ = ["AnswerForm", "FormFields", "answer_form"]

_Kind = Literal["json_schema", "json_object", "regex", "lark", "choice"]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
_Schema = dict[str, object] | str
_Choices = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """A form, and the field that asked for it."""

    grammar: Grammar
    param: str


class _JsonSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: _Name
    schema: dict[str, object]
    # Every schema is held to, so both values are; what the schema is for, the prompt has to say.
    strict: bool | None = None
    description: str | None = None


class _TextFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                  tag_field="type", tag="text"):  # fmt: skip
    pass


class _JsonFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                  tag_field="type", tag="json_object"):  # fmt: skip
    pass


class _SchemaFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                    tag_field="type", tag="json_schema"):  # fmt: skip
    json_schema: _JsonSchema


class _StructuredOutputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    json: _Schema | None = None
    json_object: bool | None = None
    regex: _Text | None = None
    grammar: _Text | None = None
    choice: _Choices | None = None


class FormFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields as they are spelled."""

    response_format: _TextFormat | _JsonFormat | _SchemaFormat | None = None
    structured_outputs: _StructuredOutputs | None = None
    guided_json: _Schema | None = None
    guided_regex: _Text | None = None
    guided_grammar: _Text | None = None
    guided_choice: _Choices | None = None


def answer_form(fields: FormFields, limits: ApiLimits) -> AnswerForm | None:
    """Return the form asked for; None: any text.

    Raises:
        BadRequestError: more than one is asked for, one is too large, or no JSON where it must be.
    """
    forms = [
        *_response_format(fields),
        *_structured_outputs(fields.structured_outputs or _StructuredOutputs()),
        *_forms(
            ("guided_json", "json_schema", fields.guided_json),
            ("guided_regex", "regex", fields.guided_regex),
            ("guided_grammar", "lark", fields.guided_grammar),
            ("guided_choice", "choice", fields.guided_choice),
        ),
    ]
    if len(forms) > 1:
        raise BadRequestError(
            f"{forms[1].param}: an answer has one form, and {forms[0].param} gives one already",
            param=forms[1].param,
        )
    for form in forms:
        size_bytes = len(form.grammar.text.encode())
        if size_bytes > limits.grammar_bytes:
            raise BadRequestError(
                f"{form.param}: expected at most {limits.grammar_bytes} bytes, got {size_bytes}",
                param=form.param,
            )
    return forms[0] if forms else None


def _response_format(fields: FormFields) -> list[AnswerForm]:
    match fields.response_format:
        case _JsonFormat():
            return [AnswerForm(grammar=Grammar(kind="json_object"), param="response_format")]
        case _SchemaFormat(json_schema=asked):
            return _forms(("response_format", "json_schema", asked.schema))
        case _:
            return []


def _structured_outputs(asked: _StructuredOutputs) -> list[AnswerForm]:
    return _forms(
        ("structured_outputs.json", "json_schema", asked.json),
        ("structured_outputs.json_object", "json_object", "" if asked.json_object else None),
        ("structured_outputs.regex", "regex", asked.regex),
        ("structured_outputs.grammar", "lark", asked.grammar),
        ("structured_outputs.choice", "choice", asked.choice),
    )


def _forms(*asked: tuple[str, _Kind, _Schema | _Choices | None]) -> list[AnswerForm]:
    return [
        AnswerForm(grammar=Grammar(kind=kind, text=_text(kind, value, param)), param=param)
        for param, kind, value in asked
        if value is not None
    ]


def _text(kind: _Kind, value: _Schema | _Choices, param: str) -> str:
    if not isinstance(value, str):
        # Not msgspec: a schema may hold integers of more than 64 bits.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if kind == "json_schema":
        try:
            schema = loads(value.encode(), what=param)
        except ManifestError as error:
            raise BadRequestError(error.message, param=param) from error
        if not isinstance(schema, dict):
            raise BadRequestError(f"{param}: expected a JSON object as text", param=param)
    return value
