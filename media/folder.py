"""A medium as a folder of plain files: bounded reads, links never followed.

    with MediumFolder.open(Path("/media/usb")) as folder:
        index = folder.read("index.json", size_max=LIMITS.index_bytes)

Every read names a path that our own code made, from a verified digest or a fixed name; folders are
opened once, so nothing can be put in their place while they are read. What operating systems leave
on media by themselves is never opened, and not listed.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sealift.manifests.digest import Digest
from sealift.manifests.layout import INDEX
from sealift.manifests.oci import blob_path
from sealift.media.blob_stream import BlobStream
from sealift.media.errors import MediumError, MediumNotFoundError, MediumReadError
from sealift.media.regular_file import NotRegularError, open_regular, read_regular

__all__ = ["MediumFolder"]

_BLOBS = ("blobs", "blobs/sha256")
_CUSTODY = "custody"
# Written by Windows, macOS and Linux wherever a medium is plugged in; all in lower case.
_SYSTEM_NAMES = frozenset(
    {"system volume information", "$recycle.bin", "recycler", "thumbs.db", "desktop.ini",
     ".trashes", ".fseventsd", ".spotlight-v100", ".ds_store", ".temporaryitems", "lost+found"}
)  # fmt: skip
_SYSTEM_PREFIXES = ("._", ".trash-")
_ENTRIES_MAX = 200_000
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class MediumFolder:
    """Descriptors of a medium's folders: its root, `blobs`, `blobs/sha256`, perhaps `custody`."""

    is_stream = False

    def __init__(self, path: Path, folders: dict[str, int]) -> None:
        self.path = path
        self.label = str(path)
        self._folders = folders

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["MediumFolder"]:
        """Open a medium.

        Raises:
            MediumNotFoundError: there is no folder at `path`.
            MediumError: its blob folders are missing, or links.
        """
        with ExitStack() as stack:
            try:
                descriptors = [os.open(path, _FOLDER_FLAGS)]
            except OSError as error:
                raise MediumNotFoundError(
                    f"{path}: no medium there: {error.strerror}",
                    hint="give the folder that holds index.json",
                ) from error
            stack.callback(os.close, descriptors[0])
            folders = {"": descriptors[0]}
            for name in _BLOBS:
                descriptors.append(_open_folder(name, descriptors[-1], path))
                stack.callback(os.close, descriptors[-1])
                folders[name] = descriptors[-1]
            if _exists(_CUSTODY, folders[""]):
                folders[_CUSTODY] = _open_folder(_CUSTODY, folders[""], path)
                stack.callback(os.close, folders[_CUSTODY])
            yield cls(path, folders)

    def read(self, path: str, *, size_max: int) -> bytes:
        """Read a whole file of at most `size_max` bytes.

        Raises:
            MediumError: missing, longer, or no plain file.
            MediumReadError: the device failed.
        """
        folder, name = self._locate(path)
        with _naming(path):
            data = read_regular(name, size_max=size_max, folder=folder)
        if len(data) > size_max:
            raise MediumError(path, f"expected at most {size_max} bytes, got more")
        return data

    def read_blob(self, digest: Digest, *, size_max: int) -> bytes:
        """Read a small blob and compare it with the digest that names it.

        Raises:
            MediumError: as `read`, or other bytes.
        """
        path = blob_path(digest)
        data = self.read(path, size_max=size_max)
        got = Digest.of(data, digest.algorithm)
        if got != digest:
            raise MediumError(path, f"expected {digest}, got {got}")
        return data

    @contextmanager
    def open_part(self, blob: Digest, size_bytes: int) -> Iterator[BlobStream]:
        """Open a blob that must have a size; its bytes are the caller's to check.

        Raises:
            MediumError: missing, of another size, or no plain file.
            MediumReadError: the device failed, also while the block reads.
        """
        path = blob_path(blob)
        folder, name = self._locate(path)
        with _naming(path):
            descriptor = open_regular(name, folder=folder)
            try:
                got = os.fstat(descriptor).st_size
                if got != size_bytes:
                    raise MediumError(path, f"expected {size_bytes} bytes, got {got}")
                yield BlobStream(descriptor)
            finally:
                os.close(descriptor)

    def plan_reads(self, blobs: Sequence[Digest]) -> None:
        """Nothing to prepare: any blob can be opened at any time."""

    def next_round(self) -> bool:
        """What is missing in a folder stays missing."""
        return False

    def listing(self) -> dict[str, int]:
        """Return the size of every file.

        Raises:
            MediumError: a folder that no medium has, anything but plain files, or far too many.
        """
        sizes: dict[str, int] = {}
        for folder, descriptor in self._folders.items():
            with _naming(folder or "."), os.scandir(descriptor) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if path in self._folders or is_of_the_system(entry.name):
                        continue
                    info = entry.stat(follow_symlinks=False)
                    if not stat.S_ISREG(info.st_mode):
                        raise MediumError(_printable(path), "expected a plain file")
                    sizes[path] = info.st_size
                    if len(sizes) > _ENTRIES_MAX:
                        raise MediumError(folder, f"expected at most {_ENTRIES_MAX} files")
        return sizes

    def _locate(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            raise MediumError(path, "missing")
        return self._folders[folder], name


def _open_folder(name: str, parent: int, medium: Path) -> int:
    try:
        return os.open(Path(name).name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError as error:
        raise MediumError(name, "missing", hint=_hint(medium)) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise MediumError(name, "expected a folder") from error
        raise MediumReadError(f"{name}: {error.strerror}") from error


def _exists(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def is_of_the_system(name: str) -> bool:
    """Say whether a name is one that operating systems put on media by themselves."""
    lower = name.lower()
    return lower in _SYSTEM_NAMES or lower.startswith(_SYSTEM_PREFIXES)


def _hint(medium: Path) -> str:
    below = sorted(path.parent.name for path in medium.glob(f"*/{INDEX}"))
    if below:
        return f"a bundle lies in {medium / below[0]}"
    return "give the folder that holds index.json"


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turn what the system says about a file into an error that names it."""
    try:
        yield
    except NotRegularError as error:
        raise MediumError(path, "expected a plain file") from error
    except FileNotFoundError as error:
        raise MediumError(path, "missing") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise MediumError(path, "expected a plain file") from error
        raise MediumReadError(
            f"{path}: {error.strerror or error}", hint="is the medium still connected?"
        ) from error


def _printable(path: str) -> str:
    return path if path.isprintable() and path.isascii() else ascii(path)
