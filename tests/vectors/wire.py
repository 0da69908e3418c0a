"""Protobuf and zstd frames by hand: their bytes depend on no library, and may be wrong at will."""

from collections.abc import Iterable

__all__ = ["field", "frame", "message", "raw_blocks", "rle_blocks", "varint"]

MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK_BYTES_MAX = 128 * 1024


def varint(number: int) -> bytes:
    """Encode an unsigned number (a negative one as protobuf does, in 64 bits)."""
    number &= (1 << 64) - 1
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def field(number: int, value: int | str | bytes) -> bytes:
    """Encode one protobuf field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Encode a protobuf message."""
    return b"".join(field(number, value) for number, value in fields)


def frame(
    blocks: bytes, *, content_size: int | None, window_descriptor: int | None = None,
    dictionary: bytes = b"",
) -> bytes:  # fmt: skip
    """Write a zstd frame (RFC 8878 section 3.1.1).

    Args:
        content_size: what the header states; needed without a window descriptor.
    """
    single = window_descriptor is None
    size = b"" if content_size is None else content_size.to_bytes(8, "little")
    flags = (3 << 6 if size else 0) | (single << 5) | {0: 0, 1: 1, 2: 2, 4: 3}[len(dictionary)]
    window = b"" if window_descriptor is None else bytes([window_descriptor])
    return MAGIC + bytes([flags]) + window + dictionary + size + blocks


def raw_blocks(data: bytes, *, is_last: bool = True) -> bytes:
    """Store bytes as they are."""
    pieces = [data[at : at + _BLOCK_BYTES_MAX] for at in range(0, len(data), _BLOCK_BYTES_MAX)]
    return _blocks(((0, len(piece), piece) for piece in pieces or [b""]), is_last, len(pieces) or 1)


def rle_blocks(byte: bytes, count: int) -> bytes:
    """Repeat a byte for `count` blocks of 128 KiB."""
    return _blocks(((1, _BLOCK_BYTES_MAX, byte) for _ in range(count)), True, count)


def _blocks(blocks: Iterable[tuple[int, int, bytes]], is_last: bool, count: int) -> bytes:
    return b"".join(
        (int(is_last and number == count - 1) | kind << 1 | size << 3).to_bytes(3, "little") + data
        for number, (kind, size, data) in enumerate(blocks)
    )
