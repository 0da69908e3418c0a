"""Change the disk and the log together, so that a crash between the two is mended.

    with HomeLock(home).exclusive():
        begin(home, Intent(models=(("purser", "1.0.0"),)))
        ...                                   # what must be on the disk before the log entry; it
        mend(home, state)                     # the rest, as the log now says

The log decides: `mend` removes what is on the disk without a log entry, and writes the pointers
that the log asks for. It touches only what the intent names, and it is the same after a change that
went well, one that failed, and one that a crash interrupted.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.names import check_name, check_version
from sealift.manifests.record import Record
from sealift.media.durable import partial_of, replace_file, sync_folder
from sealift.media.regular_file import read_regular
from sealift.runtime.store import paths
from sealift.runtime.store.errors import StoreError, StoreIntegrityError
from sealift.runtime.store.state import StoreState

__all__ = [
    "Intent",
    "begin",
    "drop_model",
    "exclusive",
    "mend",
    "pointer_bytes",
    "shared",
    "try_exclusive",
    "write_pointer",
]

_INTENT_BYTES_MAX = 8 << 20


class Intent(Record, frozen=True, kw_only=True):
    """What a change is about to touch; written before it touches anything.

    Attributes:
        models: name and version of each.
        blobs: digests of files that it may add or drop.
        staging: folder that added files come from, and go back to if the change is taken back:
            they are verified, and may have taken hours to carry in.
        keys: ids of trusted keys.
    """

    models: tuple[tuple[str, str], ...] = ()
    blobs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    staging: str = ""

    @classmethod
    def parse(cls, data: bytes) -> "Intent":
        """Read an intent; every part of a path in it is checked.

        Raises:
            StoreIntegrityError: not one that `begin` wrote.
        """
        try:
            intent = strict_json.decode(data, cls, what=paths.INTENT)
            for name, version in intent.models:
                check_name(name)
                check_version(version)
            for hexa in (*intent.blobs, *intent.keys, *([intent.staging] * bool(intent.staging))):
                Digest("sha256", hexa)
        except ManifestError as error:
            raise StoreIntegrityError(error.message) from error
        return intent


@contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Hold the home for a change; waits for others."""
    with _locked(home, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(home: Path) -> Iterator[None]:
    """Hold the home against changes."""
    with _locked(home, fcntl.LOCK_SH):
        yield


@contextmanager
def try_exclusive(lock: Path) -> Iterator[bool]:
    """Hold a lock file if nobody else does; the value says whether it was taken."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def _locked(home: Path, kind: int) -> Iterator[None]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(home / paths.LOCK, flags, 0o644)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def begin(home: Path, intent: Intent) -> None:
    """Write down what is about to happen."""
    replace_file(home / paths.INTENT, strict_json.canonical(intent))


def mend(home: Path, state: StoreState) -> None:
    """Bring the disk to the log's state after a change; the home is held.

    Raises:
        StoreIntegrityError: the intent is not one that we wrote.
    """
    partial_of(home / paths.INTENT).unlink(missing_ok=True)
    try:
        data = read_regular(home / paths.INTENT, size_max=_INTENT_BYTES_MAX)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{paths.INTENT}: {error}") from error
    intent = Intent.parse(data)
    # Trees that were being linked: they hold on to blobs. Who links holds the home, as we do now.
    for tree in (home / paths.STAGING).glob("*/tree"):
        shutil.rmtree(tree, ignore_errors=True)
    for name, version in intent.models:
        if state.find(name, version) is None:
            drop_model(home, name, version)
        write_pointer(home, state, name)
    staging = home / paths.STAGING / intent.staging if intent.staging else None
    for hexa in intent.blobs:
        _drop_unused(home / paths.blob(hexa), keep=staging)
    if staging is not None and all(state.find(*model) for model in intent.models):
        shutil.rmtree(staging, ignore_errors=True)  # installed: nothing there is needed any more
    for key_id in intent.keys:
        partial_of(home / paths.trust(key_id)).unlink(missing_ok=True)
        if key_id not in state.trusted:
            (home / paths.trust(key_id)).unlink(missing_ok=True)
    (home / paths.INTENT).unlink()


def drop_model(home: Path, name: str, version: str) -> None:
    """Remove a version's folders and the blobs that no other version uses."""
    folder = home / paths.model(name, version)
    blobs = set()
    for file in folder.rglob("*"):
        info = file.lstat()
        if info.st_nlink > 1:
            blobs.add(info.st_ino)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(home / paths.record(name, version), ignore_errors=True)
    for parent in (folder.parent, (home / paths.record(name, version)).parent):
        try:
            parent.rmdir()
        except OSError:
            pass  # other versions, or never made
    for entry in os.scandir(home / paths.BLOBS):
        if entry.inode() in blobs:
            _drop_unused(Path(entry.path))


def _drop_unused(blob: Path, keep: Path | None = None) -> None:
    """Remove a blob that no model links to, or give it back to the folder it came from."""
    try:
        if blob.lstat().st_nlink > 1:
            return
        if keep is not None and keep.is_dir():
            blob.replace(keep / blob.name)
        else:
            blob.unlink()
    except FileNotFoundError:
        pass


def pointer_bytes(state: StoreState, name: str) -> bytes | None:
    """Return what the file that names the current version holds; `None`: there is none."""
    version = state.current.get(name)
    record = state.find(name, version) if version else None
    if record is None:
        return None
    return strict_json.canonical(
        {"digest": str(record.digest), "name": name, "version": record.version}
    )


def write_pointer(home: Path, state: StoreState, name: str) -> None:
    """Make the pointer what the log says."""
    path = home / paths.pointer(name)
    data = pointer_bytes(state, name)
    if data is None:
        path.unlink(missing_ok=True)
        partial_of(path).unlink(missing_ok=True)
        sync_folder(path.parent)
    else:
        replace_file(path, data)
