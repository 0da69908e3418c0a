"""Read one part into memory: hashed there before anything decodes it, from that same memory.

A part ends up as a tar image in a page-aligned buffer, placed so that the content after the
512-byte header starts on a page: it can be written with O_DIRECT from where it lies.
"""

import hashlib
import mmap
import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from sealift.manifests import ustar
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import blob_path
from sealift.manifests.part import Part
from sealift.media.blob_check import expect_blob, part_refs
from sealift.media.errors import MediumError
from sealift.media.regular_file import open_regular
from sealift.media.source import MediumSource
from sealift.media.zstd_frame import check_frame

__all__ = ["CONTENT_START", "BufferPool", "buffer_bytes", "load_local", "load_part"]

CONTENT_START = mmap.PAGESIZE
_IMAGE_START = CONTENT_START - ustar.BLOCK_BYTES
_STEP_BYTES = 4 << 20


class BufferPool:
    """A fixed number of part-sized buffers: what an import needs of memory, whatever its size.

    Args:
        part_bytes: the longest archive or blob that will be loaded.
    """

    def __init__(self, count: int, part_bytes: int = LIMITS.blob_bytes) -> None:
        self._free: queue.LifoQueue[mmap.mmap] = queue.LifoQueue()
        for _ in range(count):
            buffer = mmap.mmap(-1, buffer_bytes(part_bytes))
            buffer.madvise(mmap.MADV_HUGEPAGE)  # fewer faults, and cheaper to pin for O_DIRECT
            self._free.put(buffer)

    def take(self) -> mmap.mmap:
        """Take a buffer; waits until one is free."""
        return self._free.get()

    def give(self, buffer: mmap.mmap) -> None:
        """Give a buffer back."""
        self._free.put(buffer)


def buffer_bytes(part_bytes: int) -> int:
    """Return the length of a buffer for parts of `part_bytes`: whole pages, and one more."""
    return (CONTENT_START + part_bytes + 2 * mmap.PAGESIZE) & -mmap.PAGESIZE


@contextmanager
def load_part(source: MediumSource, part: Part, pool: BufferPool) -> Iterator[memoryview]:
    """Read, verify and decode a part; the value is a whole buffer, content at `CONTENT_START`.

    1. The blob has its signed length; all of it is read, once.
    2. Its digest is the signed one. Nothing was decoded before this.
    3. A compressed blob is one frame of the signed archive's length, with nothing behind it.
    4. The archive's header is the one that signed data gives; padding and end are zeros.

    Raises:
        MediumError: any of them fails, or the blob is missing.
        MediumReadError: the device failed.
    """
    held = [pool.take()]
    try:
        image = memoryview(held[0])
        # A frame starts on a page, to be read with O_DIRECT; an archive where its content does.
        start = 0 if part.compressed else _IMAGE_START
        _read_hashed(source, part, image[start:])  # 1, 2
        if part.compressed:
            blob = image[: part.blob_bytes]
            held.append(pool.take())
            image = memoryview(held[1])
            try:
                check_frame(blob, part.tar_bytes)  # 3
                _decode(blob, image[_IMAGE_START : _IMAGE_START + part.tar_bytes])
            except (ManifestError, zstandard.ZstdError) as error:
                raise MediumError(blob_path(part.blob), str(error)) from error
            pool.give(held.pop(0))
        _check_archive(part, image[_IMAGE_START : _IMAGE_START + part.tar_bytes])  # 4
        yield image
    finally:
        for buffer in held:
            pool.give(buffer)


@contextmanager
def load_local(path: Path, offset: int, part: Part, pool: BufferPool) -> Iterator[memoryview]:
    """Read a part's content from a file on this host; the value is as `load_part` gives it.

    The archive around the content is written anew and its digest compared: disks decay, and what
    was written before the power failed may never have arrived.

    Raises:
        MediumError: other bytes, or fewer.
        OSError: the file cannot be read.
    """
    buffer = pool.take()
    try:
        image = memoryview(buffer)
        image[_IMAGE_START:CONTENT_START] = part.tar_header
        done = _read_local(path, offset, image[CONTENT_START : CONTENT_START + part.length])
        end = _IMAGE_START + part.tar_bytes
        image[CONTENT_START + part.length : end] = bytes(end - CONTENT_START - part.length)
        got = hashlib.sha256(image[_IMAGE_START:end]).hexdigest()
        if done != part.length or got != part.tar.hex:
            raise MediumError(part.member, f"on this host: expected {part.tar}, got sha256:{got}")
        yield image
    finally:
        pool.give(buffer)


def _read_local(path: Path, offset: int, into: memoryview) -> int:
    done = 0
    descriptor = open_regular(path)
    try:
        while done < len(into):
            count = os.preadv(descriptor, [into[done : done + _STEP_BYTES]], offset + done)
            if count == 0:
                break
            done += count
    finally:
        os.close(descriptor)
    return done


def _read_hashed(source: MediumSource, part: Part, into: memoryview) -> None:
    """Read a blob to the start of a buffer that has room for a whole page more."""
    digest, done = hashlib.sha256(), 0
    whole_pages = part.blob_bytes + -part.blob_bytes % mmap.PAGESIZE
    with source.open_part(part.blob, part.blob_bytes) as stream:
        while done < part.blob_bytes:
            count = stream.readinto(into[done : min(done + _STEP_BYTES, whole_pages)])
            if count == 0:
                break
            digest.update(into[done : min(done + count, part.blob_bytes)])
            done += count
    (blob,) = part_refs([part])
    expect_blob(blob, done, digest.hexdigest())


def _decode(blob: memoryview, into: memoryview) -> None:
    decompressor = zstandard.ZstdDecompressor(max_window_size=LIMITS.zstd_window_bytes)
    done = 0
    # With room for the whole content, zstd decodes straight into it, without a window of its own.
    with decompressor.stream_reader(blob, read_size=len(blob)) as reader:
        while done < len(into):
            count = reader.readinto(into[done:])
            if count == 0:
                break
            done += count
        surplus = reader.read(1)
    if done != len(into) or surplus:
        raise ManifestError(f"frame gives {done + len(surplus)} bytes, expected {len(into)}")


def _check_archive(part: Part, archive: memoryview) -> None:
    if archive[: ustar.BLOCK_BYTES] != part.tar_header:
        raise MediumError(blob_path(part.blob), f"its tar header is not that of {part.member}")
    end = archive[ustar.BLOCK_BYTES + part.length :]
    if end != bytes(len(end)):
        raise MediumError(blob_path(part.blob), "expected zeros after the content")
