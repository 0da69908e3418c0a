"""Importing what is right: exactly the signed files, once, whatever else happens meanwhile."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealift.keys.errors import UntrustedError
from sealift.manifests.errors import Category
from sealift.manifests.progress import Advance
from sealift.media.errors import MediumError, MediumNotFoundError, NoSuchBundleError
from sealift.runtime.audit.entry import Event, Kind
from sealift.runtime.audit.log import AuditLog
from sealift.runtime.importer import importer as importer_module
from sealift.runtime.importer.errors import ImportBusyError, SpaceError
from sealift.runtime.importer.importer import Outcome, import_bundle
from sealift.runtime.importer.staging import Staging
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.errors import ClockError, StoreIntegrityError, VersionConflictError
from sealift.runtime.store.store import Store
from tests.runtime.importer.media import join
from tests.sealed import PART_BYTES, Sealed, flip, meta, seal_files, tree


def _intact(home: Path) -> None:
    assert audit_verify(home).failures == ()


def test_exactly_the_signed_files_are_installed(sealed: Sealed, store: Store) -> None:
    result = import_bundle(sealed.bundle, store)
    assert result.outcome is Outcome.INSTALLED
    assert tree(result.path) == tree(sealed.files)
    assert store.current("demo") == "1.0.0"
    assert [path.name for path in (store.home / "staging").iterdir()] == ["lock"]
    *_, entry = store.log.entries()
    assert entry.kind is Kind.MODEL_IMPORT
    assert entry.fields["digest"] == str(result.digest)
    assert entry.fields["by_key_option"] is False
    _intact(store.home)


def test_a_second_import_does_nothing_and_says_so(sealed: Sealed, store: Store) -> None:
    import_bundle(sealed.bundle, store)
    before = tree(store.home)
    again = import_bundle(sealed.bundle, store)
    assert again.outcome is Outcome.ALREADY_INSTALLED
    assert again.read_bytes == 0
    assert tree(store.home) == before


@pytest.mark.parametrize("part_bytes", [4096, PART_BYTES, 100_000, 1 << 20, 64 << 20])
def test_any_size_of_parts(tmp_path: Path, part_bytes: int) -> None:
    sealed = seal_files(tmp_path, part_bytes=part_bytes, large_bytes=(1 << 20) + 77)
    store = Store.open(tmp_path / "home")
    result = import_bundle(sealed.bundle, store, key=sealed.signer.public)
    assert tree(result.path) == tree(sealed.files)
    _intact(store.home)


def test_a_file_system_without_direct_writes_gets_ordinary_ones(
    sealed: Sealed, tmp_path: Path
) -> None:
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK):
        pytest.skip("no /dev/shm to write to")
    home = shm / f"sealift-test-{os.getpid()}"
    try:
        store = Store.open(home)
        big = seal_files(tmp_path, part_bytes=1 << 20, large_bytes=(3 << 20) + 5)
        result = import_bundle(big.bundle, store, key=big.signer.public)
        assert tree(result.path) == tree(big.files)
    finally:
        subprocess.run(["rm", "-rf", str(home)])


def test_files_that_are_here_are_not_written_again(
    sealed: Sealed, store: Store, tmp_path: Path
) -> None:
    import_bundle(sealed.bundle, store)
    newer = seal_files(tmp_path / "n", meta(version="1.0.1", sequence=2), signer=sealed.signer)
    result = import_bundle(newer.bundle, store)
    assert result.reused_bytes > 400_000
    assert tree(result.path) == tree(newer.files)
    _intact(store.home)


def test_a_decayed_file_of_the_store_is_not_reused(
    sealed: Sealed, store: Store, tmp_path: Path
) -> None:
    import_bundle(sealed.bundle, store)
    flip(store.home / "models/demo/1.0.0/cpu-int4/model.onnx")
    newer = seal_files(tmp_path / "n", meta(version="1.0.1", sequence=2), signer=sealed.signer)
    with pytest.raises(StoreIntegrityError, match="expected sha256"):
        import_bundle(newer.bundle, store)
    assert store.state().find("demo", "1.0.1") is None


def test_several_bundles_on_one_medium(sealed: Sealed, store: Store, tmp_path: Path) -> None:
    other = seal_files(tmp_path / "o", meta(name="other"), signer=sealed.signer, seed=2)
    newer = seal_files(
        tmp_path / "n", meta(version="2.0.0", sequence=2), signer=sealed.signer, seed=3
    )
    medium = join(tmp_path / "medium", sealed, other, newer)
    for name in (None, "demo", "nope"):
        with pytest.raises(NoSuchBundleError, match=r"demo-1\.0\.0, demo-2\.0\.0, other-1\.0\.0"):
            import_bundle(medium, store, name=name)
    assert import_bundle(medium, store, name="other").name == "other"
    assert import_bundle(medium, store, name="demo-1.0.0").version == "1.0.0"
    assert import_bundle(medium, store, name="demo-2.0.0").version == "2.0.0"
    _intact(store.home)


def test_the_same_version_with_other_content_is_a_conflict(
    sealed: Sealed, store: Store, tmp_path: Path
) -> None:
    import_bundle(sealed.bundle, store)
    other = seal_files(tmp_path / "o", signer=sealed.signer, seed=5)
    with pytest.raises(VersionConflictError):
        import_bundle(other.bundle, store)
    assert tree(store.resolve("demo").path) == tree(sealed.files)


def test_a_bundle_for_another_site_is_refused_but_may_travel_along(
    sealed: Sealed, store: Store, tmp_path: Path
) -> None:
    theirs = seal_files(
        tmp_path / "o", meta(name="other", audience=("north",)), signer=sealed.signer
    )
    with pytest.raises(UntrustedError, match="bundle is for north, this site is unnamed"):
        import_bundle(theirs.bundle, store)
    medium = join(tmp_path / "medium", sealed, theirs)
    assert import_bundle(medium, store, name="demo").name == "demo"
    north = Store.open(store.home, site="north")
    assert import_bundle(medium, north, name="other").name == "other"


def test_a_clock_set_back_stops_the_import(sealed: Sealed, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    late = Store.open(tmp_path / "home", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    store.trust(sealed.signer.public)
    with pytest.raises(ClockError):
        import_bundle(sealed.bundle, late)


def test_a_full_disk_is_seen_before_anything_is_read(
    sealed: Sealed, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(store.home)
    fields = list(real)
    fields[4] = 100  # f_bavail
    monkeypatch.setattr(
        importer_module.os, "statvfs", lambda path: os.statvfs_result([*fields, real.f_fsid])
    )
    with pytest.raises(SpaceError) as caught:
        import_bundle(sealed.bundle, store)
    assert caught.value.category is Category.IO
    *_, entry = store.log.entries()
    assert entry.fields["code"] == "no_space"


def test_no_medium_is_a_usage_error_with_a_hint(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MediumNotFoundError) as caught:
        import_bundle(tmp_path / "nowhere", store)
    assert caught.value.category is Category.USAGE
    assert caught.value.hint


def test_a_folder_above_the_bundle_gets_a_hint(sealed: Sealed, store: Store) -> None:
    with pytest.raises(MediumError) as caught:
        import_bundle(sealed.bundle.parent, store)
    assert str(sealed.bundle) in (caught.value.hint or "")


def test_one_import_at_a_time(sealed: Sealed, store: Store) -> None:
    digest = import_bundle(sealed.bundle, store).digest
    store.remove("demo")
    with Staging.open(store.home, digest), pytest.raises(ImportBusyError):
        import_bundle(sealed.bundle, store)
    assert import_bundle(sealed.bundle, store).outcome is Outcome.INSTALLED


def test_others_may_append_to_the_log_meanwhile(sealed: Sealed, store: Store) -> None:
    stop = threading.Event()

    def append() -> None:
        log = AuditLog.open(store.home)
        while not stop.is_set():
            log.append(Event(kind=Kind.REQUEST, fields={"n": 1}))

    threads = [threading.Thread(target=append) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        import_bundle(sealed.bundle, store)
        store.rollback("demo", "1.0.0")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    _intact(store.home)
    assert [entry.seq for entry in store.log.entries()] == list(range(store.log.checkpoint.size))


class _Interrupting:
    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        def advance(count: int) -> None:
            raise KeyboardInterrupt

        yield advance


def test_an_interrupted_import_installs_nothing_and_is_gone_on_with(
    sealed: Sealed, store: Store
) -> None:
    with pytest.raises(KeyboardInterrupt):
        import_bundle(sealed.bundle, store, progress=_Interrupting())
    assert store.models() == ()
    _intact(store.home)
    import_bundle(sealed.bundle, store)
    assert tree(store.resolve("demo").path) == tree(sealed.files)
    assert [path.name for path in (store.home / "staging").iterdir()] == ["lock"]


_CHILD = """
import os, signal, sys
from pathlib import Path
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.store.store import Store

left = int(sys.argv[3])

def count(event, arguments):
    global left
    if event in ("os.rename", "os.link", "os.mkdir", "os.remove", "os.truncate"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

print("go", flush=True)
sys.addaudithook(count)
import_bundle(Path(sys.argv[1]), Store.open(Path(sys.argv[2])))
"""


def _import_until(event: int, bundle: Path, home: Path, *, seconds: float | None = None) -> int:
    """Import in a process that dies before its n-th change of the disk, or after some time."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(bundle), str(home), str(event)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    if seconds is not None:
        time.sleep(seconds)
        child.kill()
    child.stdout.close()
    return child.wait(60)


def _continue(sealed: Sealed, home: Path) -> None:
    """After a crash: the store is valid, and a new import ends as if nothing had been."""
    _intact(home)
    import_bundle(sealed.bundle, Store.open(home))
    assert tree(Store.open(home).resolve("demo").path) == tree(sealed.files)
    report = audit_verify(home)
    assert (report.failures, report.notes) == ((), ())


def test_sigkill_before_any_change_of_the_disk_leaves_a_valid_store(
    tmp_path: Path, sealed: Sealed
) -> None:
    killed = 0
    for event in range(1, 200, 3):
        home = tmp_path / f"home-{event}"
        Store.open(home).trust(sealed.signer.public)
        if _import_until(event, sealed.bundle, home) == 0:
            break
        killed += 1
        _continue(sealed, home)
    assert killed > 15


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.02, 0.04])
def test_sigkill_at_some_moment_leaves_a_valid_store(
    store: Store, sealed: Sealed, seconds: float
) -> None:
    _import_until(0, sealed.bundle, store.home, seconds=seconds)
    _continue(sealed, store.home)
