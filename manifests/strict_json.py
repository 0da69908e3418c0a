"""JSON with one reading only.

Python's parser, like most, keeps the last of two equal keys, and accepts NaN: two programs can then
read one signed document differently. Here duplicates, NaN and infinities, deep nesting, trailing
data, and oversized input are refused before anything is believed.

>>> loads(b'{"a": 1, "a": 2}')
Traceback (most recent call last):
sealift.manifests.errors.ManifestError: json: duplicate key 'a'
"""

import json
import math
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS, Limits

__all__ = ["JsonValue", "canonical", "decode", "loads", "pretty"]

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

_T = TypeVar("_T")


def loads(data: bytes, *, what: str = "json", limits: Limits = LIMITS) -> JsonValue:
    """Parse bytes as strict JSON.

    Args:
        data: the exact bytes whose digest or signature was checked.
        what: the document's name for messages.
        limits: `json_bytes` and `json_depth` apply.

    Raises:
        ManifestError: not UTF-8, not JSON, not Unicode, duplicate key, NaN, too large or too deep.
    """
    if len(data) > limits.json_bytes:
        raise ManifestError(f"{what}: expected at most {limits.json_bytes} bytes, got {len(data)}")
    try:
        text = data.decode("utf-8")
        _check_depth(text, what, limits.json_depth)
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, what),
            parse_constant=lambda name: _refuse(f"{what}: {name} is not JSON"),
            parse_float=lambda digits: _float(digits, what),
        )
        if "\\u" in text:
            # Half of a surrogate pair can be spelled so, and no UTF-8 text can hold it (RFC 7493).
            json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeError, ValueError) as error:
        raise ManifestError(f"{what}: not valid JSON: {error}") from error
    return value


def decode(data: bytes, form: type[_T], *, what: str = "json", limits: Limits = LIMITS) -> _T:
    """Parse strict JSON into a typed value; unknown fields are the type's own matter.

    Raises:
        ManifestError: as `loads`, or the value does not fit; the message carries the path.
    """
    value = loads(data, what=what, limits=limits)
    try:
        return msgspec.convert(value, form, strict=True)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{what}: {error}") from error


def canonical(value: Any) -> bytes:
    """Encode to the one byte string that we sign and hash: sorted keys, no spaces, UTF-8."""
    plain = msgspec.to_builtins(value)
    text = json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return _utf8(text)


def pretty(value: Any) -> bytes:
    """Encode for people: sorted keys, two-space indent, final newline; as deterministic."""
    plain = msgspec.to_builtins(value)
    text = json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return _utf8(text) + b"\n"


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        # JSON can spell half of a surrogate pair, which no UTF-8 text can hold.
        raise ManifestError(f"json: not Unicode text: {error.reason}") from error


def _float(digits: str, what: str) -> float:
    value = float(digits)
    # `1e999` is spelled as JSON is, and reads as infinity.
    return value if math.isfinite(value) else _refuse(f"{what}: {digits[:40]} is out of range")


def _object(pairs: list[tuple[str, JsonValue]], what: str) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in result:
            _refuse(f"{what}: duplicate key {key!r}")
        result[key] = value
    return result


# Possessive, and a string may lack its end (the parser then refuses it): with backtracking, 1 MiB
# of `"\"\"\"…` would take hours, and a long string a hundred times its size in memory.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


def _check_depth(text: str, what: str, depth_max: int) -> None:
    # A thousand opening brackets would end in RecursionError deep inside the parser.
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = match.group()
        if mark in "[{":
            depth += 1
            if depth > depth_max:
                _refuse(f"{what}: nested deeper than {depth_max}")
        elif mark in "]}":
            depth -= 1


def _refuse(message: str) -> NoReturn:
    raise ManifestError(message)
