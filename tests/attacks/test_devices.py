"""Devices that fail for real: a stick that is pulled or has bad sectors, a disk that is full."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealift.cli.exit_code import ExitCode, exit_code_for
from sealift.manifests.errors import SealiftError
from sealift.manifests.progress import Advance
from sealift.media.folder import MediumFolder
from sealift.runtime.importer.importer import import_bundle, import_medium
from sealift.runtime.store.store import Store
from tests.attacks.host import Done, Host
from tests.attacks.large import MIB, large_files, seal_large
from tests.runtime.importer.sources import NotingSource
from tests.sealed import tree

_IMAGE_BYTES = 64 * MIB


@contextmanager
def _mounted(folder: Path, *arguments: str | Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    done = subprocess.run(["mount", *arguments, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A medium of 48 parts that nobody changes."""
    return seal_large(tmp_path_factory.mktemp("large") / "medium")


@pytest.fixture
def stick(large: Path, tmp_path: Path) -> Path:
    """A file that is a file system with the medium on it."""
    image = tmp_path / "stick.img"
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    make = shutil.which("mkfs.ext2")
    if make is None:
        pytest.skip("no mkfs.ext2")
    subprocess.run([make, "-q", "-d", large, image], check=True)
    return image


def _is_said_in_one_line(done: Done, *words: str) -> None:
    (line,) = (line for line in done.err.splitlines() if line.startswith("error: "))
    assert done.exit == 5, done.err
    for word in words:
        assert word in line


def test_a_device_that_fails_in_the_middle(host: Host, stick: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.img"
    shutil.copy(stick, whole)
    with _mounted(tmp_path / "mount", "-o", "loop,ro", stick) as medium:
        for path in medium.rglob("*"):
            if path.is_file() and path.stat().st_size < MIB // 16:
                path.read_bytes()  # these documents the kernel has in memory now
        # Behind its end the kernel gives EIO, as for a bad sector or a stick that was pulled.
        os.truncate(stick, _IMAGE_BYTES // 5)
        done = host.sealift("import", medium)
    _is_said_in_one_line(done, "blobs/sha256/", "Input/output error")
    assert host.last_entry().fields["code"] == "medium_unreadable"
    host.is_clean()
    with _mounted(tmp_path / "again", "-o", "loop,ro", whole) as medium:
        with MediumFolder.open(medium) as folder:
            source = NotingSource(folder)
            import_medium(source, Store.open(host.home))
    # Half of the parts are random bytes, and a third of the device could be read.
    assert 10 < len(source.opened) < 48
    assert tree(host.home / "models/demo/2.0.0") == large_files()
    host.is_clean()


def test_a_disk_that_is_too_small_is_seen_before_anything_is_read(
    large: Path, tmp_path: Path
) -> None:
    with _mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=40m", "none") as disk:
        host = Host.new(disk)
        done = host.sealift("import", large)
        _is_said_in_one_line(done, "free bytes")
        assert host.last_entry().fields["code"] == "no_space"
        assert [path.name for path in (host.home / "staging").iterdir()] == ["lock"]
        host.is_clean()


class _Filling:
    """Fills the disk when parts are about to be read: the check before that was passed."""

    def __init__(self, folder: Path, left_bytes: int) -> None:
        self.file = folder / "filling"
        self._left_bytes = left_bytes

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Start reading."""
        disk = os.statvfs(self.file.parent)
        free = disk.f_bavail * disk.f_frsize
        with self.file.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - self._left_bytes)
        yield lambda count: None


@pytest.mark.parametrize("left_bytes", [20 * MIB, 256 * 1024, 4096, 0])
def test_a_disk_that_fills_up_meanwhile(large: Path, tmp_path: Path, left_bytes: int) -> None:
    with _mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=120m", "none") as disk:
        host = Host.new(disk)
        filling = _Filling(disk, left_bytes)
        with pytest.raises(SealiftError) as caught:
            import_bundle(large, Store.open(host.home), progress=filling)
        assert exit_code_for(caught.value.category) is ExitCode.IO
        assert "disk is full" in caught.value.message
        filling.file.unlink()
        host.is_clean()
        for blob in (host.home / "blobs/sha256").iterdir():
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
        import_bundle(large, Store.open(host.home))
        assert tree(host.home / "models/demo/2.0.0") == large_files()
        host.is_clean()
