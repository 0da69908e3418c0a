"""Put files on a medium so that a name stands for whole, durable content, or is not there.

    writer = FileWriter(Path("/media/usb"), USB)
    writer.write("README.txt", [data])
    writer.sync()

A file is written under a partial name and renamed when it is durable. Write-once media know no
renaming: there a file is made under its final name, once, and metadata come last. Removable file
systems have neither permissions nor links, so nothing here asks for them.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from sealift.media.durable import partial_of, sync_folder
from sealift.media.errors import MediumWriteError
from sealift.media.profile import Profile

__all__ = ["FileWriter", "is_partial"]

_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o644


class FileWriter:
    """Writes below one folder; one call a file, from any thread."""

    def __init__(self, root: Path, profile: Profile) -> None:
        self._root = root
        self._profile = profile
        self._folders: set[Path] = set()

    @property
    def is_write_once(self) -> bool:
        """Whether a file can be written only once, under its final name."""
        return self._profile.is_write_once

    def make_folder(self, path: str) -> None:
        """Make a folder, and those above it, where they are missing.

        Raises:
            MediumWriteError: the device refuses.
        """
        try:
            (self._root / path).mkdir(parents=True, exist_ok=True)
            sync_folder((self._root / path).parent)
        except OSError as error:
            raise _refused(path or str(self._root), error) from error

    def write(self, path: str, data: Iterable[bytes | memoryview]) -> None:
        """Write a file and make its content durable; `sync` makes the names so.

        What `data` raises leaves no file behind, except on write-once media.

        Raises:
            MediumWriteError: the device refuses, is full, or (write-once) has such a file already.
        """
        final = self._root / path
        partial = final if self._profile.is_write_once else partial_of(final)
        try:
            if partial != final:
                partial.unlink(missing_ok=True)
            descriptor = os.open(partial, _NEW, _MODE)
        except OSError as error:
            raise _refused(path, error) from error
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                for piece in data:
                    _write_all(file.fileno(), memoryview(piece), path)
                _sync(file.fileno(), path)
            if partial != final:
                _rename(partial, final, path)
        except BaseException:
            if partial != final:
                partial.unlink(missing_ok=True)
            raise
        self._folders.add(final.parent)

    def remove_partials(self) -> None:
        """Delete what an interrupted write left under partial names."""
        if self._profile.is_write_once:
            return
        for folder in (self._root, *(self._root / name for name in ("blobs/sha256", "custody"))):
            if folder.is_dir() and not folder.is_symlink():
                for path in folder.glob(".*.partial"):
                    if is_partial(path.name):
                        path.unlink()

    def sync(self) -> None:
        """Make the names of all files durable that were written so far.

        Raises:
            MediumWriteError: the device refuses.
        """
        for folder in sorted(self._folders):
            try:
                sync_folder(folder)
            except OSError as error:
                if error.errno != errno.EINVAL:  # a file system whose folders cannot be synced
                    raise _refused(str(folder), error) from error


def is_partial(name: str) -> bool:
    """Say whether a name is one that a file has until it is complete."""
    return name.startswith(".") and name.endswith(".partial")


def _write_all(descriptor: int, piece: memoryview, path: str) -> None:
    try:
        while piece:
            piece = piece[os.write(descriptor, piece) :]
    except OSError as error:
        raise _refused(path, error) from error


def _sync(descriptor: int, path: str) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise _refused(path, error) from error


def _rename(partial: Path, final: Path, path: str) -> None:
    try:
        partial.replace(final)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: str, error: OSError) -> MediumWriteError:
    hint = "is the medium still connected, and writable?"
    if error.errno == errno.ENOSPC:
        hint = "use a larger medium, or --volume"
    if error.errno == errno.EEXIST:
        hint = "write-once media take each file once: use an empty one"
    return MediumWriteError(f"{path}: {error.strerror or error}", hint=hint)
