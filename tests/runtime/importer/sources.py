"""Media that behave badly, or take notes: sources of the real interface around a real folder."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sealift.manifests.digest import Digest
from sealift.manifests.oci import blob_path
from sealift.media.errors import MediumReadError
from sealift.media.folder import MediumFolder
from sealift.media.source import PartStream

__all__ = ["NotingSource"]


class NotingSource:
    """A folder that notes which blobs are opened, and whose device fails on some of them.

    Args:
        broken: blobs (hex) whose second read fails, as a bad sector or a pulled cable does.
    """

    is_stream = False

    def __init__(self, folder: MediumFolder, broken: frozenset[str] = frozenset()) -> None:
        self._folder = folder
        self._broken = broken
        self.label = folder.label
        self.opened: list[str] = []

    def read(self, path: str, *, size_max: int) -> bytes:
        return self._folder.read(path, size_max=size_max)

    def read_blob(self, digest: Digest, *, size_max: int) -> bytes:
        return self._folder.read_blob(digest, size_max=size_max)

    def listing(self) -> Mapping[str, int]:
        return self._folder.listing()

    def plan_reads(self, blobs: Sequence[Digest]) -> None:
        self._folder.plan_reads(blobs)

    @contextmanager
    def open_part(self, blob: Digest, size_bytes: int) -> Iterator[PartStream]:
        self.opened.append(blob.hex)
        with self._folder.open_part(blob, size_bytes) as stream:
            yield _Broken(stream, blob) if blob.hex in self._broken else stream

    def next_round(self) -> bool:
        return False


class _Broken:
    def __init__(self, stream: PartStream, blob: Digest) -> None:
        self._stream = stream
        self._blob = blob
        self._reads = 0

    def readinto(self, into: memoryview) -> int:
        self._reads += 1
        if self._reads > 1:
            raise MediumReadError(f"{blob_path(self._blob)}: {errno.errorcode[errno.EIO]}")
        return self._stream.readinto(into[:512])
