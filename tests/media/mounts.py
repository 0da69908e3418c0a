"""Real file systems for tests, mounted where the machine lets us; else the test is skipped."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["memory_disk", "vfat_stick"]


@contextmanager
def memory_disk(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """Mount a file system of a size, in memory."""
    folder.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def vfat_stick(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """Make an image of a FAT stick and mount it."""
    mkfs = shutil.which("mkfs.vfat") or shutil.which("mkfs.vfat", path="/usr/sbin:/sbin")
    if mkfs is None:
        pytest.skip("mkfs.vfat is not there (package dosfstools)")
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run([mkfs, "-n", "SEALIFT", str(image)], check=True, capture_output=True)
    folder.mkdir()
    _mount("-t", "vfat", "-o", "loop", str(image), str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)
