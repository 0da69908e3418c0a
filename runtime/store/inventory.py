"""Every file of a home as it lies on the disk, and as it must be. No content is read here."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealift.runtime.audit.log import CHECKPOINT, ENTRIES
from sealift.runtime.audit.log import LOCK as LOG_LOCK
from sealift.runtime.audit.site_key import SITE_KEY, SITE_PUBLIC
from sealift.runtime.store import paths
from sealift.runtime.store.findings import Findings
from sealift.runtime.store.staged import BLOB_MODE, RECORD_MODE

__all__ = ["Found", "compare", "fixed_files", "is_link", "list_home", "parents"]

_PLAIN = 0o644
_FIXED = {
    ENTRIES: _PLAIN,
    CHECKPOINT: _PLAIN,
    LOG_LOCK: _PLAIN,
    SITE_KEY: 0o600,
    SITE_PUBLIC: _PLAIN,
    paths.LOCK: _PLAIN,
}
_EMPTY = (LOG_LOCK, paths.LOCK, f"{paths.STAGING}/lock")
_MODES = {paths.BLOBS: BLOB_MODE, paths.MODELS: BLOB_MODE, paths.RECORDS: RECORD_MODE}
_FOLDERS = {
    "blobs", "log", "site", paths.BLOBS, paths.MODELS, paths.RECORDS, paths.TRUST, paths.CURRENT,
    paths.STAGING,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plain file on the disk."""

    inode: tuple[int, int]
    size_bytes: int
    mode: int


def fixed_files() -> set[str]:
    """Return the files that every home has."""
    return set(_FIXED)


def list_home(home: Path, findings: Findings, folders: set[str]) -> dict[str, Found]:
    """List every plain file; anything else, and a folder that nothing needs, is a finding.

    Args:
        folders: those that the installed models need.
    """
    found: dict[str, Found] = {}
    for path, info in _walk(home, ""):
        if path.startswith(f"{paths.STAGING}/") and path not in _EMPTY:
            if stat.S_ISDIR(info.st_mode) and path.count("/") == 1:
                findings.notes.append(f"{path}: an import is under way: `sealift import --status`")
        elif stat.S_ISREG(info.st_mode):
            found[path] = Found(
                inode=(info.st_dev, info.st_ino),
                size_bytes=info.st_size,
                mode=stat.S_IMODE(info.st_mode),
            )
        elif not stat.S_ISDIR(info.st_mode):
            findings.fail(path, "expected a plain file, got a link or special file")
        elif path not in _FOLDERS | folders:
            findings.fail(path, "not in the log: unexpected folder")
    return found


def compare(found: Mapping[str, Found], expected: set[str], findings: Findings) -> None:
    """Name files that are missing, too many, not empty, or of another mode."""
    for path in expected - set(found):
        findings.fail(path, "missing")
    for path, file in found.items():
        if path not in expected and path not in _EMPTY:
            findings.fail(path, "not in the log: unexpected file")
        elif path in _EMPTY and file.size_bytes:
            findings.fail(path, f"expected an empty file, got {file.size_bytes} bytes")
        mode = _mode(path)
        if file.mode != mode:
            findings.fail(path, f"expected mode {mode:04o}, got {file.mode:04o}")


def is_link(found: Mapping[str, Found], path: str, blob: str) -> bool:
    """Say whether a file that is there is the same one as a blob."""
    return blob in found and found[blob].inode == found[path].inode


def parents(path: str) -> set[str]:
    """Return every folder above a path."""
    pieces = path.split("/")
    return {"/".join(pieces[:count]) for count in range(1, len(pieces))}


def _mode(path: str) -> int:
    for folder, mode in _MODES.items():
        if path.startswith(f"{folder}/"):
            return mode
    return _FIXED.get(path, _PLAIN)


def _walk(home: Path, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(home / prefix) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = f"{prefix}/{entry.name}" if prefix else entry.name
        info = entry.stat(follow_symlinks=False)
        yield path, info
        if stat.S_ISDIR(info.st_mode):
            yield from _walk(home, path)
