"""Where a tensor says that its bytes lie: held against the files that the bundle declares (pure).

A location is what an attacker would want most: `../../etc/shadow` makes a file of the host part of
a model's answers. onnxruntime takes `*/_ORT_MEM_ADDR_/*` as an address in its own memory. So a
location is one plain name of a declared file in the graph's folder, and the slice lies within it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sealift.manifests.errors import ManifestError
from sealift.manifests.names import check_path

__all__ = ["External", "read_external"]

_DEFAULT, _EXTERNAL = 0, 1
# `checksum` is a hint that nobody reads; `basepath`, `prepacked_0`, … change what is read.
_KEYS: Final = frozenset({"location", "offset", "length", "checksum"})
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_INLINE: Final = (
    "raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data",
    "uint64_data",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A slice of a file beside the graph."""

    location: str
    offset: int
    length: int


def read_external(
    tensor: Mapping[str, Sequence[object]], siblings: Mapping[str, int]
) -> External | None:
    """Return where a tensor's bytes lie; `None`: inside the graph.

    Args:
        tensor: fields of a TensorProto; entries of `external_data` as `{"key": …, "value": …}`.
        siblings: size of every declared file of the graph's folder, by name.

    Raises:
        ValueError: it leaves the folder, the file, or the one form of saying so.
    """
    location = tensor.get("data_location", [_DEFAULT])[-1]
    entries = tensor.get("external_data", ())
    if location == _DEFAULT:
        if entries:
            raise ValueError("external_data: given for a tensor that is not external")
        return None
    if location != _EXTERNAL:
        raise ValueError(f"data_location: expected 0 or 1, got {location}")
    inline = [name for name in _INLINE if name in tensor]
    if inline:
        raise ValueError(f"{inline[0]}: given for a tensor that is external")
    external = _parse(_fields(entries))
    size = siblings.get(external.location)
    if size is None:
        raise ValueError(
            f"external_data: location {external.location!r}: no declared file beside the graph"
        )
    if external.offset + external.length > size:
        raise ValueError(
            f"external_data: {external.location}: expected at most {size} bytes, got offset "
            f"{external.offset} and length {external.length}"
        )
    return external


def _fields(entries: Sequence[object]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for entry in entries:
        pair = entry if isinstance(entry, dict) else {}
        key, value = str(pair.get("key", "")), str(pair.get("value", ""))
        if key not in _KEYS:
            raise ValueError(f"external_data: key {key[:80]!r} is not allowed")
        if key in fields:
            raise ValueError(f"external_data: key {key!r} twice")
        fields[key] = value
    return fields


def _parse(fields: Mapping[str, str]) -> External:
    location = fields.get("location", "")
    try:
        check_path(location)
    except ManifestError as error:
        raise ValueError(f"external_data: location: {error.message}") from error
    if "/" in location:
        raise ValueError(f"external_data: location {location!r}: expected a name beside the graph")
    if "length" not in fields:
        raise ValueError("external_data: length: missing")
    return External(
        location=location,
        offset=_count(fields.get("offset", "0"), "offset"),
        length=_count(fields["length"], "length"),
    )


def _count(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"external_data: {name}: expected a decimal number, got {text[:80]!r}")
    return int(text)
