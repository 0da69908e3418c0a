"""Write one part: bytes of a file, as a one-member archive, as a blob named by its digest.

The bytes depend on the content alone: not on the thread, the order, or the machine. Memory is one
part a writer; the archive is built in place and compressed straight to the disk.
"""

import hashlib
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from sealift.bundler.output import PackError
from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.part import Part
from sealift.media.blob_stream import BlobStream
from sealift.media.part_reader import buffer_bytes
from sealift.media.zstd_frame import FRAME_LEVEL, FramePacker

__all__ = ["PartWriter", "Slice"]

_SAVING_MIN = 0.03  # below it, decoding costs a reader more than the bytes are worth
_PROBE_BYTES = 128 * 1024
_PROBE_SLICES = 4
_READ_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What of a file becomes a part."""

    path: Path
    file: str
    offset: int
    length: int
    index: int
    count: int

    @property
    def member(self) -> str:
        """The archive member's name, as `Part.member` will say."""
        return self.file if self.count == 1 else f"{self.file}.part{self.index:05d}"


class PartWriter:
    """Writes parts one after the other through one buffer; one writer a thread."""

    def __init__(self, blobs: Path, part_bytes: int) -> None:
        self._blobs = blobs
        # The content behind the header starts on a page, so that it can be read with O_DIRECT.
        self._buffer = mmap.mmap(-1, buffer_bytes(ustar.total_bytes(part_bytes)))
        self._buffer.madvise(mmap.MADV_HUGEPAGE)
        self._packer = FramePacker()

    def write(self, piece: Slice, hash_file: Callable[[memoryview], None]) -> Part:
        """Write the part's blob and describe it.

        Args:
            hash_file: takes the part's content in the file's order (it may wait for its turn).

        Raises:
            PackError: the file changed, or is no plain file.
            OSError: reading or writing failed.
        """
        archive = self._fill(piece)
        content = archive[ustar.BLOCK_BYTES : ustar.BLOCK_BYTES + piece.length]
        tar = Digest.of(archive)
        packed = self._compress(archive) if _is_compressible(archive) else None
        blob, blob_bytes = packed or (tar, len(archive))
        if packed is None:
            self._store(tar, archive)
        hash_file(content)
        return Part(
            file=piece.file,
            offset=piece.offset,
            length=piece.length,
            index=piece.index,
            count=piece.count,
            tar=tar,
            blob=blob,
            blob_bytes=blob_bytes,
            compressed=packed is not None,
        )

    def _fill(self, piece: Slice) -> memoryview:
        start = mmap.PAGESIZE - ustar.BLOCK_BYTES
        size = ustar.total_bytes(piece.length)
        whole = memoryview(self._buffer)
        archive = whole[start : start + size]
        end = ustar.BLOCK_BYTES + piece.length
        archive[: ustar.BLOCK_BYTES] = ustar.header(piece.member, piece.length)
        _read(piece, whole[mmap.PAGESIZE :])
        archive[end:] = bytes(size - end)
        return archive

    def _compress(self, archive: memoryview) -> tuple[Digest, int] | None:
        """Write the frame, or nothing where it saves too little."""
        partial = self._blobs / f".{id(self):x}.partial"
        digest, size = hashlib.sha256(), 0
        with partial.open("wb") as file:
            for data in self._packer.pack(archive):
                digest.update(data)
                size += file.write(data)
            file.flush()
            if size <= len(archive) * (1 - _SAVING_MIN):
                os.fsync(file.fileno())
        if size > len(archive) * (1 - _SAVING_MIN):
            partial.unlink()
            return None
        blob = Digest("sha256", digest.hexdigest())
        partial.rename(self._blobs / blob.hex)
        return blob, size

    def _store(self, digest: Digest, archive: memoryview) -> None:
        partial = self._blobs / f".{id(self):x}.partial"
        with partial.open("wb") as file:
            file.write(archive)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self._blobs / digest.hex)


def _read(piece: Slice, into: memoryview) -> None:
    """Read a slice in whole pages, to the start of a buffer that has room for one more."""
    descriptor = os.open(piece.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    whole_pages = piece.length + -piece.length % mmap.PAGESIZE
    done = 0
    try:
        stream = BlobStream(descriptor, piece.offset)
        while done < piece.length:
            count = stream.readinto(into[done : min(done + _READ_BYTES, whole_pages)])
            if count == 0:
                raise PackError(f"{piece.path}: became shorter while it was packed")
            done += count
    finally:
        os.close(descriptor)


def _is_compressible(archive: memoryview) -> bool:
    """Compress a few slices: incompressible data must not cost a whole pass."""
    if len(archive) <= _PROBE_SLICES * _PROBE_BYTES:
        return True
    step = (len(archive) - _PROBE_BYTES) // (_PROBE_SLICES - 1)
    sample = b"".join(
        archive[index * step : index * step + _PROBE_BYTES] for index in range(_PROBE_SLICES)
    )
    size = len(zstandard.ZstdCompressor(level=FRAME_LEVEL).compress(sample))
    return size <= len(sample) * (1 - _SAVING_MIN)
