"""The one zstd frame of a compressed part: written in one way, looked at before it is decoded.

    for data in FramePacker().pack(archive): ...
    check_frame(blob, len(archive))

Its form is that of RFC 8878 section 3.1.1. One archive gives one frame, as long as the zstd library
is the same: a later version may find a shorter one.

A decoder stops at the end of a frame and says nothing of what follows; it also allocates what a
header asks for. So: the header must state the signed length and a bounded window, and the blocks
must end exactly where the blob does.
"""

from collections.abc import Iterator

import zstandard

from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS

__all__ = ["FRAME_LEVEL", "FramePacker", "check_frame"]

FRAME_LEVEL = 1

_BLOCK_HEADER_BYTES = 3
_CHECKSUM_BYTES = 4
_RLE = 1
_RESERVED = 3
# An encoder fills its blocks; a million tiny ones is a way to burn time.
_BLOCKS_MAX = 65536
_CHUNK_BYTES = 1 << 20


class FramePacker:
    """Compresses archives, one after the other; not from two threads at once."""

    def __init__(self) -> None:
        # One frame, its content size in the header; nothing else that could vary.
        self._zstd = zstandard.ZstdCompressor(
            level=FRAME_LEVEL, write_content_size=True, write_checksum=False
        )

    def pack(self, archive: memoryview) -> Iterator[bytes]:
        """Yield the archive's frame, piece by piece."""
        compressor = self._zstd.compressobj(size=len(archive))
        for start in range(0, len(archive), _CHUNK_BYTES):
            yield compressor.compress(archive[start : start + _CHUNK_BYTES])
        yield compressor.flush()


def check_frame(blob: memoryview, content_bytes: int) -> None:
    """Check that a blob is one zstd frame of a known content size, and nothing more.

    Raises:
        ManifestError: it is not.
    """
    try:
        header = zstandard.get_frame_parameters(blob[:18])
        start = zstandard.frame_header_size(blob[:18])
    except zstandard.ZstdError as error:
        raise ManifestError(f"not a zstd frame: {error}") from error
    if header.content_size != content_bytes:
        raise ManifestError(f"frame states {header.content_size} bytes, expected {content_bytes}")
    if header.window_size > LIMITS.zstd_window_bytes:
        raise ManifestError(
            f"frame asks for a window of {header.window_size} bytes, "
            f"expected at most {LIMITS.zstd_window_bytes}"
        )
    if header.dict_id:
        raise ManifestError("frame asks for a dictionary")
    end = _blocks_end(blob, start) + (_CHECKSUM_BYTES if header.has_checksum else 0)
    if end != len(blob):
        raise ManifestError(f"frame ends at byte {end}, expected {len(blob)}")


def _blocks_end(blob: memoryview, start: int) -> int:
    for _ in range(_BLOCKS_MAX):
        word = int.from_bytes(blob[start : start + _BLOCK_HEADER_BYTES], "little")
        is_last, kind, size = word & 1, word >> 1 & 3, word >> 3
        start += _BLOCK_HEADER_BYTES + (1 if kind == _RLE else size)
        if start > len(blob) or kind == _RESERVED:
            raise ManifestError("frame is cut off or has an unknown block")
        if is_last:
            return start
    raise ManifestError(f"frame has more than {_BLOCKS_MAX} blocks")
