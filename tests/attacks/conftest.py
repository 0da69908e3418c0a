"""One host a session, copied for each attack, in memory where that is possible."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.attacks.host")

from tests.attacks.host import Host  # noqa: E402  # its assertions are rewritten, so after that


@pytest.fixture(scope="session")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder where flushing costs nothing; a disk where there is no memory file system."""
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK):
        yield tmp_path_factory.mktemp("attacks")
        return
    folder = Path(tempfile.mkdtemp(prefix="sealift-attacks-", dir=shm))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def scratch(fast_folder: Path) -> Iterator[Path]:
    """An empty folder for one test."""
    folder = Path(tempfile.mkdtemp(dir=fast_folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def first_host(fast_folder: Path) -> Host:
    """A host that nobody attacks."""
    return Host.new(fast_folder / "first")


@pytest.fixture
def host(first_host: Host, scratch: Path) -> Host:
    """A host with one release installed, to attack."""
    return first_host.copy(scratch)
