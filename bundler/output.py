"""The folder that a bundle is written to: complete and durable, or not there at all.

    with new_folder(Path("bundle")) as folder:
        write_file(folder / "index.json", b"{}")

The folder is filled under another name beside its place and renamed at the end.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealift.bundler.errors import BundlerError
from sealift.manifests.errors import Category

__all__ = ["OutputError", "PackError", "check_new", "new_folder", "sync_folder", "write_file"]


class PackError(BundlerError):
    """The files to pack are not what they were, or not plain files."""

    category = Category.IO
    code = "pack_failed"


class OutputError(BundlerError):
    """The output folder cannot be taken."""

    category = Category.USAGE
    code = "output_refused"


def check_new(out: Path) -> None:
    """Check that a folder can be taken, before the work is done that will fill it.

    Raises:
        OutputError: it exists and is not an empty folder.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise OutputError(
            f"{out}: expected a new or empty folder",
            hint="give another --out, or remove what is there",
        )


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill; it becomes `out` when the block ends well, else it is removed.

    Raises:
        OutputError: `out` exists and is not an empty folder.
    """
    check_new(out)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    folder.mkdir()
    try:
        yield folder
        for path, _, _ in os.walk(folder):
            sync_folder(Path(path))
        folder.rename(out)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file through to the disk, under another name until it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def sync_folder(path: Path) -> None:
    """Make a folder's names durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
