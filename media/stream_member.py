"""The headers of a stream's members: known by writing them again, never by parsing them.

Name and size are taken from 512 bytes only to regenerate the header and compare all of it, checksum
included. What differs in one bit is no header: links, pax records, GNU long names, other modes, and
any path but those of a medium's own files.

    member_of(block)                         # Member, or None
    find_member(window, accept)              # after bytes were lost, wherever it lies
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sealift.manifests import ustar
from sealift.manifests.custody import CUSTODY
from sealift.manifests.layout import CONTENTS, INDEX, OCI_LAYOUT, README, SHA256SUMS
from sealift.manifests.limits import LIMITS
from sealift.manifests.volume import VOLUME

__all__ = ["Member", "find_member", "is_blob", "is_custody", "member_of"]

_FILES = frozenset({OCI_LAYOUT, INDEX, README, CONTENTS, VOLUME, SHA256SUMS})
_BLOB = re.compile(r"blobs/sha256/[0-9a-f]{64}")
_CUSTODY = re.compile(rf"{CUSTODY}/[0-9]{{5}}\.sigstore\.json", re.ASCII)

_NAME_BYTES = 100
_SIZE = slice(124, 135)
_MAGIC = b"ustar\00000"
_MAGIC_AT = 257


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a header says. Nothing of it is believed: the content has a digest to meet."""

    path: str
    size_bytes: int

    @property
    def span_bytes(self) -> int:
        """The content and what fills its last block."""
        return self.size_bytes + -self.size_bytes % ustar.BLOCK_BYTES


Accept = Callable[[Member], bool]


def is_blob(path: str) -> bool:
    """Say whether a path is that of a blob."""
    return _BLOB.fullmatch(path) is not None


def is_custody(path: str) -> bool:
    """Say whether a path is that of a custody record."""
    return _CUSTODY.fullmatch(path) is not None


def member_of(block: bytes) -> Member | None:
    """Read a header; `None` where it is not exactly one that the writer makes."""
    if len(block) != ustar.BLOCK_BYTES or block[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        return None
    try:
        path = block[:_NAME_BYTES].rstrip(b"\0").decode("ascii")
        size = int(block[_SIZE].decode("ascii"), 8)
    except ValueError:
        return None
    if not (path in _FILES or is_blob(path) or is_custody(path)):
        return None
    if not 0 <= size <= LIMITS.blob_bytes or ustar.header(path, size) != block:
        return None
    return Member(path=path, size_bytes=size)


def find_member(window: bytes, accept: Accept) -> tuple[int, Member] | None:
    """Return where the first acceptable header starts, at any byte, and what it says."""
    at = window.find(_MAGIC, _MAGIC_AT)
    while at >= 0:
        start = at - _MAGIC_AT
        member = member_of(window[start : start + ustar.BLOCK_BYTES])
        if member is not None and accept(member):
            return start, member
        at = window.find(_MAGIC, at + 1)
    return None
