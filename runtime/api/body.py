"""Read a request's JSON into a record, so that nothing in it is ever dropped in silence. Pure.

Three kinds of fields: those of the record; those of the OpenAI API that are not supported yet,
which may carry the value that means "as usual" and nothing else; and unknown ones, which are
refused.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import Limits
from sealift.manifests.strict_json import JsonValue, loads
from sealift.runtime.api.errors import BadRequestError

__all__ = ["IsDefault", "read_body"]

IsDefault = Callable[[JsonValue], bool]
_T = TypeVar("_T")
_AT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<where>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_PARAM_CHARS_MAX = 100


def read_body(
    data: bytes, form: type[_T], *, unsupported: Mapping[str, IsDefault], body_bytes: int
) -> _T:
    """Return the record.

    Args:
        unsupported: fields that must mean "as usual", each with the test for it.

    Raises:
        BadRequestError: names the field that is wrong, unsupported or unknown.
    """
    try:
        value = loads(data, what="request body", limits=Limits(json_bytes=body_bytes))
    except ManifestError as error:
        raise BadRequestError(error.message, param=None, code="invalid_json") from error
    if not isinstance(value, dict):
        raise BadRequestError(
            "request body: expected a JSON object", param=None, code="invalid_json"
        )
    fields = dict(value)
    for name, is_default in unsupported.items():
        if name in fields and not is_default(fields.pop(name)):
            raise BadRequestError(
                f"{name}: this value is not supported yet",
                param=name,
                code="unsupported_parameter",
                hint="leave it out",
            )
    try:
        return msgspec.convert(fields, form, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


def _refusal(text: str) -> BadRequestError:
    match = _AT.fullmatch(text)
    what, where = (match["what"], match["where"] or "") if match else (text, "")
    code = "invalid_value"
    for pattern, known_code, phrase in (
        (_UNKNOWN, "unknown_parameter", "is not a known field"),
        (_MISSING, "missing_required_parameter", "is required"),
    ):
        if (field := pattern.fullmatch(what)) is not None:
            where = f"{where}.{field['name']}" if where else field["name"]
            what, code = phrase, known_code
    if what.startswith("Expected `null`"):
        what, code = "is not supported yet", "unsupported_parameter"
    where = where[:_PARAM_CHARS_MAX]
    text = f"{where}: {what[:1].lower()}{what[1:]}" if where else what
    return BadRequestError(text, param=where or None, code=code)
