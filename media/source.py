"""Where a medium's bytes come from: a folder, or a stream that passes once.

Nothing that a source gives is verified; whoever asks knows the digest and compares.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sealift.manifests.digest import Digest

__all__ = ["MediumSource", "PartStream"]


class PartStream(Protocol):
    """The bytes of one blob, in order."""

    def readinto(self, into: memoryview) -> int:
        """Fill up to `len(into)` bytes and return how many; 0 at the end.

        Raises:
            MediumReadError: the device failed.
        """
        ...


class MediumSource(Protocol):
    """A medium, as a reader sees it. Parts may be opened from many threads.

    Attributes:
        label: how to name the medium to people: its path, or `standard input`.
        is_stream: its parts pass in the order of the manifest, and a part that went by is gone
            until the next round.
    """

    label: str
    is_stream: bool

    def read(self, path: str, *, size_max: int) -> bytes:
        """Read a small file (anything but parts).

        Raises:
            MediumError: missing, longer, or no plain file.
            MediumReadError: the device failed.
        """
        ...

    def read_blob(self, digest: Digest, *, size_max: int) -> bytes:
        """Read a small blob and compare it with the digest that names it.

        Raises:
            MediumError, MediumReadError: as `read`, or other bytes.
        """
        ...

    def listing(self) -> Mapping[str, int]:
        """Return the size of every file; of a stream, of those that came before the parts.

        Raises:
            MediumError: something that no medium has.
        """
        ...

    def plan_reads(self, blobs: Sequence[Digest]) -> None:
        """Say which parts will be opened from now on, each once, and in which order.

        A folder reads ahead by it. A stream serves them in this order and skips the rest.
        """
        ...

    def open_part(self, blob: Digest, size_bytes: int) -> AbstractContextManager[PartStream]:
        """Open a blob that must have a size; its bytes are the caller's to check.

        Raises:
            MediumError: missing (of a stream: passed, or lost), or of another size.
            MediumReadError: the device failed, also while the block reads.
        """
        ...

    def next_round(self) -> bool:
        """Say whether parts that were missed may still come: a stream that repeats itself."""
        ...
