"""The protobuf wire format, read strictly: one form of every number, no groups, nothing cut off.

Protobuf libraries are lenient in different ways: padded varints, groups, and lengths that overrun
are read by one and refused by another. What is refused here means the same to all of them.

>>> [(number, value) for number, _, value, _ in read_fields(bytes([8, 150, 1]), 0, 3)]
[(1, 150)]
"""

from collections.abc import Iterator

__all__ = ["FIXED32", "FIXED64", "LENGTH", "VARINT", "WireError", "read_fields"]

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

_TAG_MAX = (1 << 32) - 1
_VARINT_BYTES_MAX = 10
_UINT64_MAX = (1 << 64) - 1


class WireError(Exception):
    """Not the wire format, or not in its one form."""


def read_fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Give each field of a message: its number, wire type, and value or where it lies.

    A varint is given as `value, 0`; a fixed number as `start, end`; the rest as `start, end`.

    Raises:
        WireError: at the first byte that is wrong.
    """
    position = start
    while position < end:
        tag, position = _varint(data, position, end)
        number, wire = tag >> 3, tag & 7
        if tag > _TAG_MAX or number == 0:
            raise WireError(f"byte {position}: field number {number} cannot be")
        if wire == VARINT:
            value, position = _varint(data, position, end)
            yield number, wire, value, 0
            continue
        if wire == LENGTH:
            length, position = _varint(data, position, end)
        elif wire == FIXED32:
            length = 4
        elif wire == FIXED64:
            length = 8
        else:
            raise WireError(f"byte {position}: field {number} has wire type {wire}")
        stop = position + length
        if stop > end:
            raise WireError(
                f"byte {position}: field {number}: expected {length} bytes, got {end - position}"
            )
        yield number, wire, position, stop
        position = stop


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    if position < end and data[position] < 0x80:
        return data[position], position + 1
    value = shift = 0
    for at in range(position, min(end, position + _VARINT_BYTES_MAX)):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            # A last byte of zero pads: two spellings of one number.
            if byte == 0 or value > _UINT64_MAX:
                raise WireError(f"byte {position}: a number that is not in its shortest form")
            return value, at + 1
        shift += 7
    raise WireError(f"byte {position}: a number without an end")
