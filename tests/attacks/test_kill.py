"""SIGKILL at any moment of an import: the store stays valid, nothing is torn, the next run goes on.

    SEALIFT_KILLS=200 pytest tests/attacks/test_kill.py

A killed process leaves what it wrote in the page cache, so this is not what a power cut does: for
that, files and folders are synced before anything refers to them.
"""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sealift.keys.trust_root import TrustRoot
from sealift.manifests.part import Part
from sealift.media.folder import MediumFolder
from sealift.media.verifier import verify_medium
from sealift.runtime.importer.importer import import_bundle, import_medium
from sealift.runtime.importer.journal import Journal
from sealift.runtime.importer.result import ImportResult
from sealift.runtime.importer.staging import JOURNAL_FILE, Staging
from sealift.runtime.store.store import Store
from tests.attacks.host import Host, snapshot
from tests.attacks.large import large_files, seal_large
from tests.runtime.importer.sources import NotingSource
from tests.sealed import tree
from tests.vectors.forge import SIGNER

_KILLS = int(os.environ.get("SEALIFT_KILLS", "20"))
_CHILD = """
import sys
from pathlib import Path
from sealift.cli.main import main
print("go", flush=True)
main(["import", sys.argv[1], "--home", sys.argv[2]])
"""


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A medium of 48 parts that nobody changes."""
    return seal_large(tmp_path_factory.mktemp("large") / "medium")


@pytest.fixture(scope="module")
def disk_host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host on a real disk: in memory there is little to interrupt."""
    return Host.new(tmp_path_factory.mktemp("disk"))


def _start(medium: Path, home: Path) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(medium), str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"go\n"
    return child


def _end(child: "subprocess.Popen[bytes]") -> int:
    child.communicate(timeout=120)
    return child.returncode


def _nothing_is_torn(home: Path) -> None:
    for blob in (home / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def _journalled(home: Path) -> frozenset[str]:
    """Parts (by the digest of their archive) that the next run need not read again."""
    return frozenset[str]().union(
        *(Journal.read(folder / JOURNAL_FILE) for folder in Staging.folders(home))
    )


def _finish(medium: Path, home: Path) -> list[str]:
    """Import to the end; returns the blobs that were read for it."""
    with MediumFolder.open(medium) as folder:
        source = NotingSource(folder)
        result = import_medium(source, Store.open(home))
    assert isinstance(result, ImportResult)
    return source.opened


@pytest.mark.slow
@pytest.mark.timeout(max(300, _KILLS * 10))
def test_sigkill_at_random_moments(medium: Path, disk_host: Host, tmp_path: Path) -> None:
    reference = disk_host.copy(tmp_path / "reference")
    started = time.monotonic()
    assert _end(_start(medium, reference.home)) == 0
    seconds = time.monotonic() - started
    blobs = {part.tar.hex: part.blob.hex for part in _parts(medium)}
    signed, expected = large_files(), snapshot(reference.home)
    source, killed, kept = random.Random(20), 0, 0
    for number in range(_KILLS):
        host = disk_host.copy(tmp_path / f"host-{number}")
        child = _start(medium, host.home)
        time.sleep(source.uniform(0, seconds))
        child.kill()
        killed += _end(child) != 0
        host.is_clean()
        _nothing_is_torn(host.home)
        held = _journalled(host.home)
        is_installed = len(Store.open(host.home).models()) > 1
        opened = [] if is_installed else _finish(medium, host.home)
        kept += bool(held)
        again = {blobs[tar] for tar in held} & set(opened)
        assert not again, "a verified part was read again"
        assert len(set(opened)) == len(opened), "a part was read twice"
        assert tree(host.home / "models/demo/2.0.0") == signed
        assert snapshot(host.home).keys() == expected.keys()
        assert Staging.folders(host.home) == []
        host.is_clean()
        subprocess.run(["rm", "-rf", host.home.parent], check=True)
    assert killed > _KILLS // 3
    assert kept > _KILLS // 10


def test_killed_again_and_again_one_import_still_comes_to_its_end(
    medium: Path, disk_host: Host, tmp_path: Path
) -> None:
    host = disk_host.copy(tmp_path / "host")
    held: frozenset[str] = frozenset()
    source = random.Random(21)
    for _ in range(8):
        child = _start(medium, host.home)
        time.sleep(source.uniform(0.1, 0.6))
        child.kill()
        ended = _end(child)
        host.is_clean()
        if ended == 0 or len(Store.open(host.home).models()) > 1:
            break
        now = _journalled(host.home)
        assert now >= held, "what was verified is forgotten"
        held = now
    import_bundle(medium, Store.open(host.home))
    assert tree(host.home / "models/demo/2.0.0") == large_files()
    host.is_clean()
    _nothing_is_torn(host.home)


def _parts(medium: Path) -> tuple[Part, ...]:
    report = verify_medium(medium, TrustRoot.of([SIGNER.public]))
    return report.bundles[0].bundle.manifest.parts
