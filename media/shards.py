"""Where the shards of a repair code lie: files that parts were cut from, blobs, and memory.

    PartImageReader(Path("store/…/model.onnx.data"), part)      # its tar image is written again
    BlobReader(medium / blob_path(part.blob), part.tar_bytes)   # a raw part, or a repair blob

None of them checks a digest. Paths are opened for each read: a bundle has more parts than a process
may have descriptors.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.part import Part
from sealift.media.errors import MediumError, MediumReadError, RebuiltError
from sealift.media.regular_file import NotRegularError, open_regular

__all__ = ["BlobReader", "MemoryReader", "PartImageReader", "PartImageSink"]


class PartImageReader:
    """The tar image of a part, from the file that the part is of: one staged, or installed.

    Args:
        file: the whole file's path, or its descriptor, which stays the caller's.
    """

    def __init__(self, file: int | Path, part: Part) -> None:
        self._file = file
        self._part = part
        self._header = part.tar_header

    def read(self, offset: int, into: memoryview) -> None:
        """See `ShardReader`."""
        start, end = ustar.BLOCK_BYTES, ustar.BLOCK_BYTES + self._part.length
        head = self._header[offset : offset + len(into)]
        into[: len(head)] = head
        first = min(max(start - offset, 0), len(into))
        last = min(max(end - offset, first), len(into))
        if first < last:
            position = self._part.offset + offset + first - start
            _read_exactly(self._file, position, into[first:last], self._part.file)
        into[last:] = bytes(len(into) - last)


class BlobReader:
    """The first bytes of a file that is a shard as it is: a raw part's blob, or a repair blob.

    Args:
        file: its path, or its descriptor, which stays the caller's.
    """

    def __init__(self, file: int | Path, size_bytes: int, *, name: str = "") -> None:
        self._file = file
        self._size = size_bytes
        self._name = name or str(file)

    def read(self, offset: int, into: memoryview) -> None:
        """See `ShardReader`."""
        count = min(max(self._size - offset, 0), len(into))
        if count:
            _read_exactly(self._file, offset, into[:count], self._name)
        into[count:] = bytes(len(into) - count)


class MemoryReader:
    """A shard in memory, or mapped into it."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data)

    def read(self, offset: int, into: memoryview) -> None:
        """See `ShardReader`."""
        data = self._data[offset : offset + len(into)]
        into[: len(data)] = data
        into[len(data) :] = bytes(len(into) - len(data))


class PartImageSink:
    """Writes a rebuilt part's content to its place in its file, and hashes its whole image.

    What was written counts for nothing until `check` has passed.

    Args:
        descriptor: the whole file, open for writing; it stays the caller's.
    """

    def __init__(self, descriptor: int, part: Part) -> None:
        self._descriptor = descriptor
        self._part = part
        self._digest = hashlib.sha256()

    def write(self, offset: int, data: memoryview) -> None:
        """See `BlockSink`."""
        part = self._part
        self._digest.update(data[: max(part.tar_bytes - offset, 0)])
        first = max(ustar.BLOCK_BYTES - offset, 0)
        content = data[first : max(ustar.BLOCK_BYTES + part.length - offset, 0)]
        position = part.offset + offset + first - ustar.BLOCK_BYTES
        while content:
            written = os.pwrite(self._descriptor, content, position)
            content, position = content[written:], position + written

    def check(self) -> None:
        """Compare the image with the signed digest.

        Raises:
            RebuiltError: other bytes: a shard that it was computed from is wrong.
        """
        got = Digest("sha256", self._digest.hexdigest())
        if got != self._part.tar:
            raise RebuiltError(
                f"{self._part.member}: rebuilt, expected {self._part.tar}, got {got}",
                hint="a part or repair part that it was computed from has changed since it was "
                "checked; try again, or use another copy of the medium",
            )


def _read_exactly(file: int | Path, offset: int, into: memoryview, name: str) -> None:
    with _opened(file, name) as descriptor:
        while into:
            try:
                count = os.preadv(descriptor, [into], offset)
            except OSError as error:
                raise MediumReadError(f"{name}: {error.strerror}") from error
            if count == 0:
                raise MediumError(name, f"ends at byte {offset}, expected {len(into)} more")
            into, offset = into[count:], offset + count


@contextmanager
def _opened(file: int | Path, name: str) -> Iterator[int]:
    if isinstance(file, int):
        yield file
        return
    try:
        descriptor = open_regular(file)
    except NotRegularError as error:
        raise MediumError(name, "expected a plain file") from error
    except FileNotFoundError as error:
        raise MediumError(name, "missing") from error
    except OSError as error:
        raise MediumReadError(f"{name}: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
