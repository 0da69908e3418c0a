"""One-member ustar archives, written so that a reader never has to parse one.

Every field but name and size is fixed, so a reader regenerates the header from signed data and
compares bytes: there is no tar parser to attack. POSIX.1-1988 ustar, mode 0644, mtime 0, uid 0.
"""

from sealift.manifests.errors import ManifestError

__all__ = ["BLOCK_BYTES", "TRAILER", "header", "padding", "total_bytes"]

BLOCK_BYTES = 512
TRAILER = bytes(2 * BLOCK_BYTES)

_NAME_BYTES = 100
_PREFIX_BYTES = 155
_SIZE_MAX = 8**11 - 1


def header(name: str, size_bytes: int) -> bytes:
    """Return the 512 bytes that stand before a member's content.

    Raises:
        ManifestError: a name that ustar cannot hold, or a size of 8 GiB or more.
    """
    prefix, base = _split(name)
    if not 0 <= size_bytes <= _SIZE_MAX:
        raise ManifestError(f"tar member {name!r}: expected under 8 GiB, got {size_bytes} bytes")
    block = bytearray(BLOCK_BYTES)
    block[0 : len(base)] = base
    block[100:108] = b"0000644\0"
    block[108:116] = b"0000000\0"
    block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size_bytes
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b"        "
    block[156:157] = b"0"
    block[257:265] = b"ustar\00000"
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padding(size_bytes: int) -> bytes:
    """Return the zeros that fill a member's content up to a whole block."""
    return bytes(-size_bytes % BLOCK_BYTES)


def total_bytes(size_bytes: int) -> int:
    """Return the length of a whole one-member archive."""
    return BLOCK_BYTES + size_bytes + (-size_bytes % BLOCK_BYTES) + len(TRAILER)


def _split(name: str) -> tuple[bytes, bytes]:
    encoded = name.encode("ascii", errors="strict")
    if len(encoded) <= _NAME_BYTES:
        return b"", encoded
    for cut in (index for index, byte in enumerate(encoded) if byte == ord("/")):
        prefix, base = encoded[:cut], encoded[cut + 1 :]
        if len(prefix) <= _PREFIX_BYTES and 0 < len(base) <= _NAME_BYTES:
            return prefix, base
    raise ManifestError(f"tar member {name!r}: too long for ustar")
