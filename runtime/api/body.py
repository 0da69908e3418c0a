"""Read a request's JSON into a record, so that nothing in it is ever dropped in silence. Pure.

Three kinds of fields: those of the record; those of the OpenAI API that are not supported yet,
which may carry the value that means "as usual" and nothing else; and unknown ones, which are
refused.

>>> fields = BodyFields.read(b'{"a": 1, "b": 2}', unsupported={}, body_bytes=100)
>>> fields.take(HasA), fields.take(HasB)                    # doctest: +SKIP
(HasA(a=1), HasB(b=2))
>>> fields.end()                                            # doctest: +SKIP
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS, Limits
from sealift.manifests.strict_json import JsonValue, loads
from sealift.runtime.api.errors import BadRequestError

__all__ = ["BodyFields", "IsDefault", "read_body"]

IsDefault = Callable[[JsonValue], bool]
_T = TypeVar("_T", bound=msgspec.Struct)
_AT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<where>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_PARAM_CHARS_MAX = 100


class BodyFields:
    """The fields of a body that no record has taken yet."""

    def __init__(self, fields: dict[str, JsonValue]) -> None:
        self._fields = fields

    @classmethod
    def read(
        cls,
        data: bytes,
        *,
        unsupported: Mapping[str, IsDefault],
        body_bytes: int,
        json_depth: int = LIMITS.json_depth,
    ) -> "BodyFields":
        """Return the fields.

        Args:
            unsupported: fields that must mean "as usual", each with the test for it.

        Raises:
            BadRequestError: not one JSON object, or names the field that is unsupported.
        """
        limits = Limits(json_bytes=body_bytes, json_depth=json_depth)
        try:
            value = loads(data, what="request body", limits=limits)
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
        return cls(fields)

    def take(self, form: type[_T]) -> _T:
        """Take a record's fields, by their names, and return it.

        Raises:
            BadRequestError: names the field that is wrong, unknown inside or missing.
        """
        names = form.__struct_encode_fields__
        taken = {name: self._fields.pop(name) for name in names if name in self._fields}
        try:
            return msgspec.convert(taken, form, strict=True)
        except msgspec.ValidationError as error:
            raise _refusal(str(error)) from error

    def end(self) -> None:
        """Check that every field was taken.

        Raises:
            BadRequestError: names one that is unknown.
        """
        for name in self._fields:
            raise _refusal(f"Object contains unknown field `{name}`")


def read_body(
    data: bytes, form: type[_T], *, unsupported: Mapping[str, IsDefault], body_bytes: int
) -> _T:
    """Return the record.

    Args:
        unsupported: fields that must mean "as usual", each with the test for it.

    Raises:
        BadRequestError: names the field that is wrong, unsupported or unknown.
    """
    fields = BodyFields.read(data, unsupported=unsupported, body_bytes=body_bytes)
    record = fields.take(form)
    fields.end()
    return record


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
