"""The cache's folder as its owner handles it: list, remove, mark as used, clean up after a crash.

All of this blocks.
"""

import os
import shutil
import stat
import time
from pathlib import Path
from typing import Final

from sealift.runtime.engine.prepack.policy import EntryFacts, make_room
from sealift.runtime.engine.prepack_spec import is_entry_name, is_partial_name, partial_prefix

__all__ = ["PrepackDisk"]

# Another server's writer may be at work in the same folder; none takes this long.
_PARTIAL_HOLDS_S: Final = 3600.0


class PrepackDisk:
    """The entries of one root folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Make the folder, for us alone, and remove what writers left that were killed.

        Raises:
            OSError: it cannot be made, or is not ours alone.
        """
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self._root.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(f"{self._root}: not a folder")
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise PermissionError(f"{self._root}: expected a folder of ours with mode 0700")
        oldest_s = time.time() - _PARTIAL_HOLDS_S
        for path in self._root.iterdir():
            if is_partial_name(path.name) and path.lstat().st_mtime < oldest_s:
                shutil.rmtree(path, ignore_errors=True)

    def entries(self) -> list[EntryFacts]:
        """List the entries that are complete."""
        found = []
        for path in self._root.iterdir():
            if not is_entry_name(path.name):
                continue
            try:
                size_bytes = sum(item.lstat().st_size for item in path.iterdir())
                used_ns = path.lstat().st_mtime_ns
            except OSError:
                continue  # another server removes it, or it is no folder
            found.append(EntryFacts(name=path.name, size_bytes=size_bytes, used_ns=used_ns))
        return found

    def make_room(self, needed_bytes: int, *, budget_bytes: int, spare_bytes: int) -> bool:
        """Remove what was not used for longest; return whether there is room now.

        Args:
            spare_bytes: of the disk, never to be taken.
        """
        removed = make_room(
            self.entries(),
            needed_bytes=needed_bytes,
            budget_bytes=budget_bytes,
            free_bytes=shutil.disk_usage(self._root).free - spare_bytes,
        )
        for name in removed or ():
            self.remove(name)
        return removed is not None

    def remove(self, name: str) -> None:
        """Remove an entry, whatever it is by now; models that are loaded from it keep working."""
        path = self._root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def remove_partial(self, name: str) -> None:
        """Remove what a writer left that did not end well."""
        for path in self._root.iterdir():
            if path.name.startswith(partial_prefix(name)):
                shutil.rmtree(path, ignore_errors=True)

    def mark_used(self, name: str) -> None:
        """Note that an entry was loaded from."""
        try:
            os.utime(self._root / name)
        except OSError:
            pass  # removed meanwhile: nothing to note
