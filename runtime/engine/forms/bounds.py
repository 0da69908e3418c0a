"""Refuse a form that would cost too much, before anything compiles it. Pure.

Forms come from clients. What the compiler counts itself (states, steps, symbols) is bounded there,
with the numbers below; what it does not count is measured here: `multipleOf` builds a state for
each remainder, optional properties cost the square of their number, a list of values meets its
pattern value by value.

>>> check_schema('{"type": "integer", "multipleOf": 999983}', GrammarBounds())
Traceback (most recent call last):
...
sealift.runtime.engine.errors.GrammarError: json_schema: multipleOf of 999983: expected at most ...
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import Limits
from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.errors import GrammarError
from sealift.runtime.engine.forms.schema_intersections import check_intersections

__all__ = ["GrammarBounds", "check_choices", "check_lark", "check_schema", "check_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrammarBounds:
    """How much a form may ask for.

    Attributes:
        grammar_bytes: of its text.
        schema_depth: of JSON inside JSON.
        schema_values: JSON values of any kind in a schema.
        properties: named in a schema, all objects together.
        patterns: in `patternProperties`, all objects together: each is compared with each.
        enum_values: in a schema, all lists together.
        multiple_of: the product of all `multipleOf` in a schema, decimal points left out.
        intersected: patterns and formats that may have to hold for one string at once: their
            intersection doubles with each, and sixteen take seconds and gigabytes. In a Lark
            grammar: the operators `&` and `~`.
        joined_ways: the product of all `anyOf` that `allOf` joins.
        rules: of a Lark grammar.
        choices: of a list of answers.
        cached: compiled forms that are kept, since an application sends the same one each time.
        lexer_fuel: of building a form's regular expressions; a second buys some fifty million.
        step_fuel: of one mask, where 200,000 are some 15 ms.
        step_items: parser items of one mask.
        row_items: ways in which one place of an answer can be read.
        lexer_states: of one answer, 1 to 2 kB each.
        grammar_symbols: of a compiled form.
    """

    grammar_bytes: int = 512 << 10
    schema_depth: int = 64
    schema_values: int = 50_000
    properties: int = 2000
    patterns: int = 50
    enum_values: int = 5000
    multiple_of: int = 100_000
    intersected: int = 8
    joined_ways: int = 256
    rules: int = 1000
    choices: int = 5000
    cached: int = 64
    lexer_fuel: int = 1_000_000
    step_fuel: int = 200_000
    step_items: int = 50_000
    row_items: int = 2000
    lexer_states: int = 20_000
    grammar_symbols: int = 200_000


def check_size(kind: str, text: str, bounds: GrammarBounds) -> None:
    """Raise `GrammarError` where the text is too long."""
    try:
        # A character is at least a byte: the cheap look comes first.
        if len(text) <= bounds.grammar_bytes and len(text.encode()) <= bounds.grammar_bytes:
            return
    except UnicodeEncodeError as error:
        raise GrammarError(f"{kind}: not Unicode text: {error.reason}") from error
    raise GrammarError(
        f"{kind}: expected at most {bounds.grammar_bytes} bytes, got {len(text)} or more"
    )


def check_schema(text: str, bounds: GrammarBounds) -> JsonValue:
    """Return the parsed schema.

    Raises:
        GrammarError: not JSON, not a schema, or beyond a bound.
    """
    check_size("json_schema", text, bounds)
    schema = _parse("json_schema", text, bounds)
    if not isinstance(schema, dict | bool):
        raise GrammarError(f"json_schema: expected an object, got {_type_name(schema)}")
    counts = _Counts()
    counts.add_all(schema)
    counts.check(bounds)
    check_intersections(schema, most=bounds.intersected, ways=bounds.joined_ways)
    return schema


def check_lark(text: str, bounds: GrammarBounds) -> str:
    """Return the grammar.

    Raises:
        GrammarError: it, or the schemas in its `%json` blocks together, are beyond a bound.
    """
    check_size("lark", text, bounds)
    if text.lstrip().startswith("{"):
        # llguidance would read its own JSON form, schemas inside, in a Lark grammar's place.
        raise GrammarError("lark: expected a grammar, got JSON")
    counts = _Counts()
    rest = []
    start = 0
    for block in _JSON_BLOCK.finditer(text):
        try:
            _, end = _DECODER.raw_decode(text, block.end())
        except (ValueError, RecursionError) as error:
            raise GrammarError(f"lark: %json: not valid JSON: {error}") from error
        schema = _parse("lark: %json", text[block.end() : end], bounds)
        counts.add_all(schema)
        check_intersections(schema, most=bounds.intersected, ways=bounds.joined_ways)
        rest.append(text[start : block.start()])
        start = max(start, end)
    counts.check(bounds)
    _check_rules(_LITERAL.sub("", "".join((*rest, text[start:]))), bounds)
    return text


def _check_rules(rules: str, bounds: GrammarBounds) -> None:
    """Check a grammar's text without its literals, comments and schemas."""
    for what, count, most in (
        ("operators & and ~", len(_OPERATOR.findall(rules)), bounds.intersected),
        # One that leads to the next, twenty thousand times, would end the process.
        ("rules", rules.count(":"), bounds.rules),
    ):
        if count > most:
            raise GrammarError(
                f"lark: expected at most {most} {what}, got {count}",
                hint="say it with fewer, or with one regular expression",
            )


def check_choices(text: str, bounds: GrammarBounds) -> tuple[str, ...]:
    """Return the answers of a `choice`, each once.

    Raises:
        GrammarError: not a list of strings, empty, or too long.
    """
    check_size("choice", text, bounds)
    value = _parse("choice", text, bounds)
    if not isinstance(value, list) or not value:
        raise GrammarError("choice: expected a list of at least one string")
    if len(value) > bounds.choices:
        raise GrammarError(f"choice: expected at most {bounds.choices}, got {len(value)}")
    choices: dict[str, None] = {}
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise GrammarError(f"choice[{index}]: expected a string, got {_type_name(item)}")
        choices[item] = None
    return tuple(choices)


def _parse(kind: str, text: str, bounds: GrammarBounds) -> JsonValue:
    limits = Limits(json_bytes=bounds.grammar_bytes, json_depth=bounds.schema_depth)
    try:
        return strict_json.loads(text.encode(), what=kind, limits=limits)
    except ManifestError as error:
        raise GrammarError(error.message) from error


def _walk(value: JsonValue) -> Iterator[JsonValue]:
    yield value
    if isinstance(value, dict):
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


_JSON_BLOCK = re.compile(r"%json\s*")
# A text or regular expression of the grammar, and what may stand between them.
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*+"|/(?:[^/\\\n]|\\.)*+/|(?://|#).*')
_OPERATOR = re.compile(r"[&~]")
_DECODER = json.JSONDecoder()


class _Counts:
    """What a schema adds up to. A property that is called like a keyword only counts too much."""

    def __init__(self) -> None:
        self._values = self._properties = self._patterns = self._enum_values = 0
        self._multiple_of = 1

    def _add(self, value: JsonValue) -> None:
        self._values += 1
        if isinstance(value, dict):
            self._properties += _size(value.get("properties"))
            self._patterns += _size(value.get("patternProperties"))
            self._enum_values += _size(value.get("enum"))
            self._multiple_of *= _coefficient(value.get("multipleOf"))

    def add_all(self, schema: JsonValue) -> None:
        for value in _walk(schema):
            self._add(value)

    def check(self, bounds: GrammarBounds) -> None:
        for what, count, most in (
            ("values", self._values, bounds.schema_values),
            ("properties", self._properties, bounds.properties),
            ("patternProperties", self._patterns, bounds.patterns),
            ("enum values", self._enum_values, bounds.enum_values),
        ):
            if count > most:
                raise GrammarError(
                    f"json_schema: expected at most {most} {what}, got {count}",
                    hint="ask for less in one answer",
                )
        if self._multiple_of > bounds.multiple_of:
            raise GrammarError(
                f"json_schema: multipleOf of {self._multiple_of}: expected at most "
                f"{bounds.multiple_of}, all of them multiplied",
                hint="leave multipleOf away and check the number yourself",
            )


def _size(value: JsonValue) -> int:
    return len(value) if isinstance(value, dict | list) else 0


def _coefficient(value: JsonValue) -> int:
    """Return a number's digits without point: 0.05 gives 5, 1.5 gives 15."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
        return 1
    if isinstance(value, int):
        return abs(value)
    digits = Decimal(json.dumps(value)).as_tuple().digits
    return max(1, int("".join(map(str, digits))))


def _type_name(value: JsonValue) -> str:
    names = {dict: "an object", list: "a list", str: "a string", type(None): "null"}
    return names.get(type(value), "a number or boolean")
