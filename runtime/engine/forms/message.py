"""Say in one line what is wrong with a form, and where. Pure.

llguidance says what; the path in the schema is found again here.

>>> readable(Grammar(kind="json_schema", text='{"items": {"not": {}}}'),
...          'Unimplemented keys: ["not"]').message
'json_schema: items: not supported: "not"'
"""

import json
import re
from collections.abc import Callable

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.errors import GrammarError
from sealift.runtime.engine.request import Grammar

__all__ = ["readable"]

_MESSAGE_CHARS = 400

_KEYS = re.compile(r"^Unimplemented keys: \[(?P<names>.*)\]")
_FORMAT = re.compile(r"^Unknown format: (?P<name>.*)")
_TYPE = re.compile(r"^Invalid type: (?P<name>.*)")
_REMOTE = re.compile(r"^Resource '(?P<name>.*)' is not present")
_POINTER = re.compile(r"^Pointer '(?P<name>.*)' does not exist")


def readable(grammar: Grammar, message: str) -> GrammarError:
    """Make the error that the client sees of llguidance's message."""
    first = message.partition("\n<non-verbose/>")[0].replace("<non-verbose/>", "")
    # llguidance would list the whole vocabulary here.
    first = first.partition("; following special tokens are available")[0]
    text = " ".join(first.split())[:_MESSAGE_CHARS]
    if text.startswith("NoExtension"):
        return GrammarError(
            f"{grammar.kind}: no answer has this form",
            hint="look for a rule or $ref that only leads to itself",
        )
    if text.startswith("panic"):
        # A limit that llguidance only asserts; it was caught, and nothing is left of it.
        return GrammarError(f"{grammar.kind}: too large", hint="ask for less in one answer")
    if grammar.kind == "json_schema":
        return _schema_error(grammar.text, text)
    return GrammarError(f"{grammar.kind}: {text}", hint=_hint(text))


def _schema_error(schema: str, text: str) -> GrammarError:
    if match := _KEYS.match(text):
        names = [name.strip().strip('"') for name in match["names"].split(",")]
        return _at(
            schema,
            lambda value: any(name in value for name in names),
            f"not supported: {match['names']}",
            hint="strict output refuses what it cannot enforce; leave the keyword away",
        )
    if match := _FORMAT.match(text):
        name = match["name"]
        return _at(
            schema,
            lambda value: value.get("format") == name,
            f"format {name!r} is not supported",
            hint="use a pattern, or one of date-time, time, date, duration, email, hostname, "
            "ipv4, ipv6, uuid, uri",
        )
    if match := _TYPE.match(text):
        name = match["name"]
        return _at(schema, lambda value: _has_type(value, name), f"{name!r} is no JSON type")
    if match := _REMOTE.match(text):
        return GrammarError(
            f"json_schema: $ref {match['name']!r}: only references inside the schema are followed",
            hint="put what it refers to under $defs",
        )
    if match := _POINTER.match(text):
        return GrammarError(f"json_schema: $ref '#{match['name']}': nothing is there")
    if text.startswith("oneOf constraints"):
        return _at(
            schema,
            lambda value: "oneOf" in value,
            "oneOf is not supported where two branches can hold at once",
            hint="use anyOf, or give each branch a required property with a const of its own",
        )
    return GrammarError(f"json_schema: {text}", hint=_hint(text))


def _at(
    schema: str, matches: Callable[[dict[str, JsonValue]], bool], text: str, hint: str | None = None
) -> GrammarError:
    path = _find(json.loads(schema), matches, "")
    where = f"{path}: " if path else ""
    return GrammarError(f"json_schema: {where}{text}", hint=hint)


def _find(
    value: JsonValue, matches: Callable[[dict[str, JsonValue]], bool], path: str
) -> str | None:
    """Return the path of the first object that matches, as `properties.a.anyOf[1]`."""
    if isinstance(value, dict):
        if matches(value):
            return path
        for key, item in value.items():
            found = _find(item, matches, f"{path}.{key}" if path else key)
            if found is not None:
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found = _find(item, matches, f"{path}[{index}]")
            if found is not None:
                return found
    return None


def _has_type(value: dict[str, JsonValue], name: str) -> bool:
    kind = value.get("type")
    return kind == name or (isinstance(kind, list) and name in kind)


def _hint(text: str) -> str | None:
    if "too big" in text or "too large" in text or "too many" in text or "max is" in text:
        return "simplify it, or ask for less in one answer"
    if "look-around" in text:
        return "say it without look-around"
    return None
