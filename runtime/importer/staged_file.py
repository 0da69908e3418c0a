"""Assemble one file in the staging folder, from parts in any order, then name it by its digest.

    file = StagedFile(folder, plan)
    file.write(image, part)
    file.finish()                    # durable, read-only, named by its SHA-256

Large files are preallocated and written with O_DIRECT from aligned memory: they do not pass through
the page cache, which would cost a second copy and a long flush at the end. File systems that refuse
that get ordinary writes. What an interrupted import wrote stays, and is gone on with.
"""

import errno
import fcntl
import mmap
import os
import threading
from pathlib import Path

from sealift.manifests.part import Part
from sealift.media.part_reader import CONTENT_START
from sealift.runtime.importer.errors import ImporterError, SpaceError
from sealift.runtime.importer.plan import FilePlan
from sealift.runtime.store.staged import BLOB_MODE

__all__ = ["StagedFile", "explained"]

_DIRECT_BYTES_MIN = 1 << 20
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class StagedFile:
    """A file that is being written under `<sha256>.partial`; parts may come from many threads."""

    def __init__(self, folder: Path, plan: FilePlan) -> None:
        self.plan = plan
        self.path = folder / f"{plan.sha256}.partial"
        self._target = folder / plan.sha256
        self._lock = threading.Lock()
        self._is_direct = plan.size_bytes >= _DIRECT_BYTES_MIN and all(
            part.offset % mmap.PAGESIZE == 0 for part in plan.parts
        )
        self._descriptor: int | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the file has its name."""
        return self._target.exists()

    @property
    def allocated_bytes(self) -> int:
        """What the disk has set aside for it already."""
        try:
            return self.path.stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def write(self, image: memoryview, part: Part) -> None:
        """Write a part's content, which lies at `CONTENT_START` of a page-aligned buffer.

        Raises:
            SpaceError: the disk is full.
            ImporterError: it failed otherwise.
        """
        try:
            self._write(image, part)
        except OSError as error:
            raise explained(error, self.plan.path) from error

    def finish(self) -> None:
        """Cut to size, make durable and read-only, and give the file its name.

        Raises:
            SpaceError, ImporterError: as `write`.
        """
        try:
            descriptor = self.open()
            os.ftruncate(descriptor, self.plan.size_bytes)
            os.fchmod(descriptor, BLOB_MODE)
            os.fsync(descriptor)
            self.close()
            self.path.rename(self._target)
        except OSError as error:
            raise explained(error, self.plan.path) from error

    def close(self) -> None:
        """Close the file, finished or not."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _write(self, image: memoryview, part: Part) -> None:
        descriptor = self.open()
        # Whole pages only; what is written beyond the file's end is cut off at the finish, and
        # within the file a part ends on a page, or O_DIRECT is not used.
        length = part.length + (-part.length % mmap.PAGESIZE if self._is_direct else 0)
        done = 0
        while done < length:
            piece = image[CONTENT_START + done : CONTENT_START + length]
            try:
                count = os.pwrite(descriptor, piece, part.offset + done)
            except OSError as error:
                if error.errno != errno.EINVAL or not self._is_direct:
                    raise
                self._go_buffered(descriptor)
                continue
            done += count
            if self._is_direct and done < length and done % mmap.PAGESIZE:
                self._go_buffered(descriptor)

    def open(self) -> int:
        """Open the file, preallocated; the same descriptor for every caller."""
        with self._lock:
            if self._descriptor is None:
                self._descriptor = self._create()
            return self._descriptor

    def _create(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags | (os.O_DIRECT if self._is_direct else 0), 0o600)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._is_direct:
                raise
            self._is_direct = False
            descriptor = os.open(self.path, flags, 0o600)
        if self.plan.size_bytes:
            try:
                os.posix_fallocate(descriptor, 0, self.plan.size_bytes)
            except OSError as error:
                os.close(descriptor)
                raise explained(error, self.plan.path) from error
        return descriptor

    def _go_buffered(self, descriptor: int) -> None:
        """Turn O_DIRECT off on an open file; writes in flight are not affected."""
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
        self._is_direct = False


def explained(error: OSError, path: str) -> ImporterError:
    """Say what a failed write means to the operator."""
    if error.errno in _NO_SPACE:
        return SpaceError(f"{path}: the disk is full", hint="free space and import again")
    return ImporterError(f"{path}: cannot be written: {error.strerror or error}")
