"""The folders where imports assemble files, until all of them are verified.

    with Staging.open(home, manifest) as staging:
        ...                                          # staging.folder, staging.journal
        staging.discard()                            # installed, or never to be

A bundle has a folder of its own, named by its manifest, so several can be under way: a set of discs
may come in over days. What is there stays there, whatever ends an import, until it is installed or
discarded. One import a home at a time.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sealift.manifests.digest import Digest
from sealift.runtime.importer.errors import ImportBusyError
from sealift.runtime.importer.journal import Journal
from sealift.runtime.importer.plan import ImportPlan
from sealift.runtime.store import change, paths
from sealift.runtime.store.errors import StoreIntegrityError
from sealift.runtime.store.file_hash import hash_file

__all__ = ["ABOUT_FILE", "JOURNAL_FILE", "Staging", "check_present", "present_path"]

ABOUT_FILE = "about.json"
JOURNAL_FILE = "parts"

_LOCK = f"{paths.STAGING}/lock"
_REPAIR = "repair"
_SHA256_CHARS = 64


class Staging:
    """A folder of one bundle's finished and unfinished files."""

    def __init__(self, home: Path, folder: Path, journal: Journal) -> None:
        self._home = home
        self._is_kept = True
        self.folder = folder
        self.journal = journal
        self.repair_folder = folder / _REPAIR

    @classmethod
    @contextmanager
    def open(cls, home: Path, manifest: Digest) -> Iterator["Staging"]:
        """Take the folder of a bundle.

        Raises:
            ImportBusyError: another import is running.
        """
        with change.try_exclusive(home / _LOCK) as held:
            if not held:
                raise ImportBusyError(f"{home}: another import is running", hint="wait for its end")
            folder = home / paths.STAGING / manifest.hex
            folder.mkdir(exist_ok=True)
            journal = Journal(folder / JOURNAL_FILE)
            staging = cls(home, folder, journal)
            try:
                staging.repair_folder.mkdir(exist_ok=True)
                yield staging
            finally:
                journal.close()
                if not staging._is_kept:
                    shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def remove(home: Path, manifest: Digest) -> bool:
        """Remove what an unfinished import left; the value says whether there was anything.

        Raises:
            ImportBusyError: an import is running.
        """
        folder = home / paths.STAGING / manifest.hex
        if not folder.is_dir() or folder.is_symlink():
            return False  # whoever else is importing is not in the way
        with change.try_exclusive(home / _LOCK) as held:
            if not held:
                raise ImportBusyError(f"{home}: another import is running", hint="wait for its end")
            shutil.rmtree(folder, ignore_errors=True)
        return True

    @staticmethod
    def folders(home: Path) -> list[Path]:
        """Return the folder of every import that is under way or was interrupted."""
        return sorted(
            path
            for path in (home / paths.STAGING).iterdir()
            if path.is_dir() and not path.is_symlink()
        )

    def discard(self) -> None:
        """Remove the folder when the block ends: nothing of it will be needed."""
        self._is_kept = False

    def discard_if_empty(self) -> None:
        """Remove the folder when the block ends, unless it holds something verified."""
        repair = any(path.suffix == "" for path in self.repair_folder.iterdir())
        files = any(len(path.name) == _SHA256_CHARS for path in self.folder.iterdir())
        if not self.journal.held and not repair and not files:
            self._is_kept = False

    def held(self) -> frozenset[str]:
        """Return the SHA-256 of every file that is here already, finished."""
        staged = (path.name for path in self.folder.iterdir())
        installed = (path.name for path in (self._home / paths.BLOBS).iterdir())
        return frozenset((*(name for name in staged if len(name) == _SHA256_CHARS), *installed))


def check_present(home: Path, folder: Path, plan: ImportPlan) -> None:
    """Hash the files that will not be read from the medium: what is here may have decayed.

    Raises:
        StoreIntegrityError: one is not what its name says.
    """

    def check(item: tuple[str, int]) -> None:
        sha256, size = item
        path = present_path(home, folder, sha256)
        got = hash_file(path, size_max=size)
        if got != sha256:
            raise StoreIntegrityError(
                f"{path.relative_to(home)}: expected sha256:{sha256}, got sha256:{got}",
                hint="`sealift audit verify` lists all damage",
            )

    with ThreadPoolExecutor(2, thread_name_prefix="reuse") as executor:
        list(executor.map(check, plan.present))


def present_path(home: Path, folder: Path, sha256: str) -> Path:
    """Return where a finished file lies: in the store, or in the staging folder."""
    blob = home / paths.blob(sha256)
    return blob if blob.exists() else folder / sha256
