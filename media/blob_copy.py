"""Copy a blob from one of several media, compared with its digest on the way."""

import hashlib
import mmap
from collections.abc import Iterator, Sequence

from sealift.media.blob_check import BlobRef, expect_blob
from sealift.media.errors import MediumError
from sealift.media.file_writer import FileWriter
from sealift.media.source import MediumSource

__all__ = ["copy_blob"]


def copy_blob(
    writer: FileWriter,
    path: str,
    blob: BlobRef,
    sources: Sequence[MediumSource],
    scratch: mmap.mmap,
) -> None:
    """Copy a blob from the first medium that has it whole.

    Args:
        scratch: memory of whole pages, for this call alone.

    Raises:
        MediumError: none has; the last one's fault.
        MediumReadError, MediumWriteError: a device failed.
    """
    for source in sources[:-1]:
        try:
            _copy(writer, path, blob, source, scratch)
        except MediumError:
            continue
        return
    _copy(writer, path, blob, sources[-1], scratch)


def _copy(
    writer: FileWriter, path: str, blob: BlobRef, source: MediumSource, scratch: mmap.mmap
) -> None:
    if writer.is_write_once:
        for _ in _checked(source, blob, scratch):
            pass  # a wrong byte could not be taken back: look at all of them first
    writer.write(path, _checked(source, blob, scratch))


def _checked(source: MediumSource, blob: BlobRef, scratch: mmap.mmap) -> Iterator[memoryview]:
    """Read a blob; its last piece is given out only if the whole is right.

    Raises:
        MediumError: other bytes.
        MediumReadError: the device failed.
    """
    view, digest, done = memoryview(scratch), hashlib.sha256(), 0
    with source.open_part(blob.digest, blob.size_bytes) as stream:
        while done < blob.size_bytes:
            count = min(stream.readinto(view), blob.size_bytes - done)
            if count == 0:
                break
            digest.update(view[:count])
            done += count
            if done == blob.size_bytes:
                expect_blob(blob, done, digest.hexdigest())
            yield view[:count]
    expect_blob(blob, done, digest.hexdigest())
