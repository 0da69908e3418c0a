"""What a medium shall hold, who makes its custody record, and what came of writing it."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sealift.manifests.custody import ReadBackLabel
from sealift.manifests.digest import Digest
from sealift.media.blob_check import BlobRef
from sealift.media.custody import CustodyRecord
from sealift.media.readback import Method
from sealift.media.source import MediumSource

__all__ = ["Find", "MediumFiles", "Recorder", "Written"]

#: The media that a blob of a size can be copied from, the most likely first.
Find = Callable[[Digest, int], Sequence[MediumSource]]


class Recorder(Protocol):
    """Makes custody records."""

    def record(
        self, root: Path, before: Sequence[CustodyRecord], sums: str, method: ReadBackLabel
    ) -> bytes:
        """Return the file of the record that follows those `before`, about files of `sums`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumFiles:
    """What a medium shall hold, custody records excepted.

    Attributes:
        metadata: bytes by path.
        payload: size by path; the name is the SHA-256.
        labels: what a blob of the payload is for, to name it in messages.
    """

    metadata: Mapping[str, bytes]
    payload: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=dict)

    def blob(self, path: str) -> BlobRef:
        """Return what a path of the payload must be."""
        return BlobRef(
            digest=Digest("sha256", path.rpartition("/")[2]),
            size_bytes=self.payload[path],
            label=self.labels.get(path, "a part"),
        )

    def expected(self, paths: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Return size and SHA-256 of files."""
        return {path: self._expected(path) for path in paths}

    def _expected(self, path: str) -> tuple[int, str]:
        if path in self.payload:
            return self.payload[path], path.rpartition("/")[2]
        data = self.metadata[path]
        return len(data), hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was done to a medium.

    Attributes:
        written: parts and repair parts that were missing, and were copied.
        healed: those that were there and damaged, and were copied again.
        kept: those that were there, and were read back.
        read_back: how the device was read.
        record: number of the custody record, where one was made.
    """

    path: Path
    written: int
    healed: int
    kept: int
    copied_bytes: int
    read_back: Method
    record: int | None
