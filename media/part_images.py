"""The tar images of a bundle's parts, to be read side by side: the shards of its repair code.

    images = open_images(dict(enumerate(parts)), lambda part: folder, scratch, advance)
    write_parity(list(images.values()), ...)
    for image in images.values():
        image.check()

A raw part's blob is its image and is read where it lies. What is stored as a zstd frame can only be
read from its start, so its image is unpacked first, into a scratch folder. `check` says afterwards
whether every byte that was read was the signed one.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.oci import blob_path
from sealift.manifests.part import Part
from sealift.manifests.progress import Advance
from sealift.media.errors import MediaError, MediumError, RebuiltError
from sealift.media.folder import MediumFolder
from sealift.media.parity_codec import ShardReader
from sealift.media.part_reader import CONTENT_START, BufferPool, load_part
from sealift.media.shards import BlobReader

__all__ = ["CheckedImage", "ImageFileSink", "open_images", "require_scratch"]

_IMAGE_START = CONTENT_START - ustar.BLOCK_BYTES
_BUFFERS = 2  # a frame, and what it holds


class CheckedImage:
    """A shard that is read once, from its start, and hashed while it is."""

    def __init__(self, reader: ShardReader, part: Part) -> None:
        self._reader = reader
        self._part = part
        self._digest = hashlib.sha256()
        self._done = 0

    def read(self, offset: int, into: memoryview) -> None:
        """See `ShardReader`.

        Raises:
            ValueError: not the bytes that follow those read before.
        """
        if offset != self._done:
            raise ValueError(f"{self._part.member}: read at {offset}, expected {self._done}")
        self._reader.read(offset, into)
        self._digest.update(into[: max(self._part.tar_bytes - offset, 0)])
        self._done += len(into)

    def again(self) -> "CheckedImage":
        """Return the same shard, to be read from its start."""
        return CheckedImage(self._reader, self._part)

    def check(self) -> None:
        """Compare what was read with the signed digest.

        Raises:
            MediumError: other bytes.
        """
        got = Digest("sha256", self._digest.hexdigest())
        if got != self._part.tar:
            raise MediumError(
                blob_path(self._part.blob),
                f"archive of {self._part.member}: expected {self._part.tar}, got {got}",
            )


class ImageFileSink:
    """Writes a rebuilt image to a new file, without its padding; see `BlockSink`."""

    def __init__(self, path: Path, part: Part) -> None:
        self._path = path
        self._part = part
        self._digest = hashlib.sha256()
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))

    def write(self, offset: int, data: memoryview) -> None:
        """Append what belongs to the image."""
        image = data[: max(self._part.tar_bytes - offset, 0)]
        self._digest.update(image)
        with self._path.open("ab", buffering=0) as file:
            while image:
                image = image[file.write(image) :]

    def check(self) -> Path:
        """Return the file, if it is the signed image.

        Raises:
            RebuiltError: other bytes.
        """
        got = Digest("sha256", self._digest.hexdigest())
        if got != self._part.tar:
            raise RebuiltError(f"{self._part.member}: expected {self._part.tar}, got {got}")
        return self._path


def open_images(
    parts: Mapping[int, Part], folder_of: Callable[[Part], MediumFolder], scratch: Path,
    advance: Advance,
) -> dict[int, CheckedImage]:  # fmt: skip
    """Make the images of parts readable; one part is in memory at a time, twice if compressed.

    Args:
        parts: by index; all must be right.
        folder_of: says which medium a part's blob is on.
        scratch: an empty folder with room for the compressed ones (`require_scratch`).
        advance: counts bytes of unpacked images.

    Raises:
        MediumError: a compressed part is missing or damaged. (A raw one is checked as it is read.)
        MediumReadError, OSError: the medium, or the scratch disk.
    """
    pool = BufferPool(_BUFFERS)
    images = {}
    for index, part in parts.items():
        path = folder_of(part).path / blob_path(part.blob)
        if part.compressed:
            path = scratch / f"{index:05d}.tar"
            _unpack(folder_of(part), part, pool, path)
            advance(part.tar_bytes)
        name = blob_path(part.blob)
        images[index] = CheckedImage(BlobReader(path, part.tar_bytes, name=name), part)
    return images


def require_scratch(folder: Path, size_bytes: int) -> None:
    """Check that a disk has room.

    Raises:
        MediaError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise MediaError(
            f"{folder}: expected {size_bytes} free bytes for unpacked parts, got {free}",
            hint="free space there, or unpack them into another folder",
        )


def _unpack(folder: MediumFolder, part: Part, pool: BufferPool, path: Path) -> None:
    with load_part(folder, part, pool) as image, path.open("xb", buffering=0) as file:
        left = image[_IMAGE_START : _IMAGE_START + part.tar_bytes]
        while left:
            left = left[file.write(left) :]
