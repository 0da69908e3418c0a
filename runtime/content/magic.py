"""Weights are opaque, and still no program: known beginnings and ends are refused (pure).

Random bytes must pass: each sign is at least 28 bits that all have to fit, most are 32 and more.
Nothing here is ever executed, unpickled or unpacked by Sealift; a file that some other program on
the host would run or unpack has no reason to be in a model.
"""

import re
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Final

from sealift.runtime.content.errors import ContentError

__all__ = ["HEAD_BYTES", "TAIL_BYTES", "ReadAt", "check_magic"]

ReadAt = Callable[[int, int], bytes]
"""`read(offset, length)`: the bytes there, fewer at the file's end."""

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 22 + (1 << 16)
"""A zip archive's last record and the longest comment after it."""

_ARCHITECTURES: Final = {1, 7, 12, 14, 18}  # x86, ARM, SPARC, PowerPC; 0x01000000: 64 bits wide
_MACH: Final = (0xFEEDFACE, 0xFEEDFACF)
_SHEBANG: Final = re.compile(rb"#![ \t]{0,8}/[\x20-\x7e]{4,250}\n")
_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_TEXT_PICKLE: Final = re.compile(
    rb"[(\]}lpd0-9\n]{0,16}[ci][A-Za-z_][\w.]{1,99}\n[A-Za-z_][\w.]*\n"
)
_SIGNS: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd frame"),
    (b"\x00asm\x01\x00\x00\x00", "a WebAssembly module"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"!<arch>\n", "a static library"),
)


def check_magic(path: str, size_bytes: int, read: ReadAt) -> None:
    """Refuse a file that begins or ends like a program, an archive or a pickle.

    Raises:
        ContentError: it does.
    """
    head = read(0, min(size_bytes, HEAD_BYTES))
    tail_bytes = min(size_bytes, TAIL_BYTES)
    tail = read(size_bytes - tail_bytes, tail_bytes)
    found = (
        _listed(head)
        or _program(head, size_bytes, read)
        or _gzip(head)
        or _zip_end(tail, size_bytes)
        or _pickle(head, size_bytes)
    )
    if found:
        raise ContentError(path, f"expected data of a model, got {found}")


def _listed(head: bytes) -> str | None:
    if _SHEBANG.match(head):
        return "a script"
    return next((name for sign, name in _SIGNS if head.startswith(sign)), None)


def _program(head: bytes, size_bytes: int, read: ReadAt) -> str | None:
    if head[:4] == b"\x7fELF":
        return "a program (ELF)"
    if len(head) < 8:
        return None
    for order in "<>":
        magic, cpu = struct.unpack_from(f"{order}II", head)
        if magic in _MACH and cpu >> 24 < 3 and cpu & 0xFFFFFF in _ARCHITECTURES:
            return "a program (Mach-O)"
    if head[:4] in (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"):
        return "a program (Mach-O, or Java)"
    if head[:2] == b"MZ" and len(head) >= 0x40:
        # Two bytes alone would hit one file of weights in 65,536: the second header must be there.
        (offset,) = struct.unpack_from("<I", head, 0x3C)
        if offset + 4 <= size_bytes and read(offset, 4) == b"PE\0\0":
            return "a program (PE)"
    return None


def _gzip(head: bytes) -> str | None:
    # RFC 1952: method 8, three reserved flags zero, extra flags 0, 2 or 4, a known system.
    if len(head) < 10 or head[:3] != b"\x1f\x8b\x08":
        return None
    is_header = head[3] < 0x20 and head[8] in (0, 2, 4) and (head[9] < 14 or head[9] == 255)
    return "a gzip archive" if is_header else None


def _zip_end(tail: bytes, size_bytes: int) -> str | None:
    # Unpackers and `python FILE` look for the archive's end: anything may stand before it.
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if at + 22 <= len(tail):
            directory, offset, comment = struct.unpack_from("<IIH", tail, at + 12)
            end = size_bytes - len(tail) + at
            fits = directory + offset <= end or offset == 0xFFFFFFFF
            if at + 22 + comment == len(tail) and fits:
                return "a zip archive at its end"
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return None


def _pickle(head: bytes, size_bytes: int) -> str | None:
    if _TEXT_PICKLE.match(head):
        return "a pickle"
    if len(head) < 4 or head[0] != 0x80 or not 2 <= head[1] <= 5:
        return None
    if head[2:13] == b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P":
        return "a pickle, as old torch.save wrote"
    return "a pickle" if _reads_as_pickle(head, size_bytes) else None


def _reads_as_pickle(head: bytes, size_bytes: int) -> bool:
    """Say whether the opcodes name something to import, or end exactly at the file's end."""
    import pickletools  # lists opcodes; it executes none and builds no object

    texts: list[str] = []
    count = 0
    try:
        for opcode, argument, at in pickletools.genops(BytesIO(head)):
            count += 1
            if opcode.name in ("GLOBAL", "INST"):
                return all(map(_MODULE.fullmatch, str(argument).split(" ")))
            if opcode.name == "STACK_GLOBAL":
                return len(texts) > 1 and all(map(_MODULE.fullmatch, texts[-2:]))
            if opcode.name == "STOP":
                return at is not None and at + 1 == size_bytes
            if isinstance(argument, str):
                texts.append(argument)
    except Exception:  # noqa: BLE001  # pickletools raises what its argument readers happen to meet
        # An opcode that the window cuts: many good ones before it are no chance.
        return count >= 24
    return True
