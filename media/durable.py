"""Files that are there completely or not at all, also after power was lost."""

import os
from pathlib import Path

__all__ = ["partial_of", "replace_file", "sync_folder"]


def partial_of(path: Path) -> Path:
    """Return the name that `replace_file` writes under; a crash may leave it behind."""
    return path.with_name(f".{path.name}.partial")


def replace_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file under another name, make it durable, and put it in its place.

    Callers hold a lock: two writers of one file would share that other name.
    """
    partial = partial_of(path)
    partial.unlink(missing_ok=True)
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(partial, flags, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the umask is
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make a folder's names durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
