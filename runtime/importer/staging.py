"""The folder where an import assembles files, until all of them are verified.

One import a home at a time. What fails leaves nothing behind. What is killed leaves finished files,
which the next import of the same bundle takes over, after it has hashed them again; an import of
another bundle removes them.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sealift.manifests.digest import Digest
from sealift.runtime.importer.errors import ImportBusyError
from sealift.runtime.importer.plan import ImportPlan
from sealift.runtime.store import change, paths
from sealift.runtime.store.errors import StoreIntegrityError
from sealift.runtime.store.file_hash import hash_file

__all__ = ["Staging", "check_present"]

_LOCK = f"{paths.STAGING}/lock"
_SHA256_CHARS = 64


class Staging:
    """A folder of one bundle's finished and unfinished files."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._home = home
        self.folder = folder

    @classmethod
    @contextmanager
    def open(cls, home: Path, manifest: Digest) -> Iterator["Staging"]:
        """Take the folder of a bundle; it is gone when the block ends.

        Raises:
            ImportBusyError: another import is running.
        """
        with change.try_exclusive(home / _LOCK) as held:
            if not held:
                raise ImportBusyError(f"{home}: another import is running", hint="wait for its end")
            folder = home / paths.STAGING / manifest.hex
            _clean(folder)
            try:
                yield cls(home, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def clear(home: Path) -> None:
        """Remove what killed imports left, unless an import is running."""
        with change.try_exclusive(home / _LOCK) as held:
            if held:
                _remove_folders(home / paths.STAGING)

    def held(self) -> frozenset[str]:
        """Return the SHA-256 of every file that is here already, finished."""
        folders = (self.folder, self._home / paths.BLOBS)
        return frozenset(path.name for folder in folders for path in folder.iterdir())


def check_present(home: Path, folder: Path, plan: ImportPlan) -> None:
    """Hash the files that will not be read from the medium: what is here may have decayed.

    Raises:
        StoreIntegrityError: one is not what its name says.
    """

    def check(item: tuple[str, int]) -> None:
        sha256, size = item
        blob = home / paths.blob(sha256)
        path = blob if blob.exists() else folder / sha256
        got = hash_file(path, size_max=size)
        if got != sha256:
            raise StoreIntegrityError(
                f"{path.relative_to(home)}: expected sha256:{sha256}, got sha256:{got}",
                hint="`sealift audit verify` lists all damage",
            )

    with ThreadPoolExecutor(2, thread_name_prefix="reuse") as executor:
        list(executor.map(check, plan.present))


def _clean(folder: Path) -> None:
    """Remove what other imports left, and unfinished files of this one."""
    _remove_folders(folder.parent, keep=folder.name)
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif len(path.name) != _SHA256_CHARS:
            path.unlink()


def _remove_folders(staging: Path, *, keep: str = "") -> None:
    for path in staging.iterdir():
        if path.name != keep and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
