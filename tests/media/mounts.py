"""Real file systems for tests, mounted where the machine lets us; else the test is skipped.

Sticks are FAT32 and exFAT: by the kernel's own driver, or by one in user space.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

__all__ = ["memory_disk", "stick"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAKE = {"vfat": ["mkfs.vfat", "-F", "32"], "exfat": ["mkfs.exfat"]}


@contextmanager
def memory_disk(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """Mount a file system of a size, in memory."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def stick(folder: Path, kind: str, *, size_bytes: int = 64 << 20) -> Iterator[Path]:
    """Make an image of a stick, `vfat` or `exfat`, and mount it."""
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _run(*_MAKE[kind], str(image))
    folder.mkdir()
    with ExitStack() as stack:
        device = _run("losetup", "--find", "--show", str(image))
        stack.callback(subprocess.run, ["losetup", "--detach", device], check=True)
        if subprocess.run(
            ["mount", "-t", kind, device, str(folder)], capture_output=True
        ).returncode:
            if kind == "exfat":
                _run("mount.exfat-fuse", device, str(folder))
            else:
                _run("fusefat", "-o", "rw+", str(image), str(folder))
        stack.callback(subprocess.run, ["umount", str(folder)], check=True)
        yield folder


def _run(tool: str, *arguments: str) -> str:
    found = shutil.which(tool, path=_PATH)
    if found is None:
        pytest.skip(f"{tool} is not there")
    done = subprocess.run([found, *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{tool} cannot do it here: {done.stderr.strip()}")
    return done.stdout.strip()
