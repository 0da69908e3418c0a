"""From verified files in a staging folder to an installed version."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealift.keys.verify import VerifiedBundle
from sealift.media.durable import replace_file, sync_folder
from sealift.runtime.store import paths
from sealift.runtime.store.state import StoreState

__all__ = ["BLOB_MODE", "RECORD_MODE", "Staged", "install_files"]

BLOB_MODE = 0o444
RECORD_MODE = 0o444


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A bundle whose every byte was verified, ready to be taken in.

    Attributes:
        folder: holds each new file under its SHA-256, complete, durable, mode 0444.
        records: the signed documents to keep, by file name.
        recheck: raises if the state, which may have changed meanwhile, no longer admits it.
    """

    bundle: VerifiedBundle
    folder: Path
    records: Mapping[str, bytes]
    recheck: Callable[[StoreState], None]


def install_files(home: Path, staged: Staged) -> None:
    """Move files to blobs, then link them as a model and write its records."""
    fields = staged.bundle.seal.statement.fields
    files = {file.path: file.digest for file in staged.bundle.seal.statement.files}
    for sha256 in sorted(set(files.values())):
        source, target = staged.folder / sha256, home / paths.blob(sha256)
        if source.exists():
            source.replace(target)
    sync_folder(home / paths.BLOBS)
    tree, records = staged.folder / "tree", staged.folder / "records"
    for folder in (tree, records):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for path, sha256 in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(home / paths.blob(sha256), tree / path, follow_symlinks=False)
    for name, data in staged.records.items():
        replace_file(records / name, data, mode=RECORD_MODE)
    _move(records, home / paths.record(fields.name, fields.version))
    _move(tree, home / paths.model(fields.name, fields.version))


def _move(folder: Path, target: Path) -> None:
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
    sync_folder(target.parent)
    sync_folder(target.parent.parent)
