"""The audit finds a changed byte in every file of a home, and whatever is missing or added."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.runtime.store import paths
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.errors import StoreError
from sealift.runtime.store.store import Store
from tests.sealed import flip


def _names(home: Path) -> set[str]:
    return {failure.path for failure in audit_verify(home).failures}


def test_an_untouched_home_is_intact(store: Store) -> None:
    report = audit_verify(store.home)
    assert report.is_intact
    assert (report.models, report.trusted_keys, report.notes) == (3, 1, ())
    assert report.checkpoint == store.log.checkpoint.short
    assert report.size_bytes > 1_000_000


def test_one_flipped_byte_in_any_file_is_found_and_named(store: Store) -> None:
    home = store.home
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and path.stat().st_size]
    assert len(files) > 40
    for path in files:
        size = path.stat().st_size
        for position in {0, size // 2, size - 1}:
            flip(path, position)
            assert str(path.relative_to(home)) in _names(home), f"{path} at {position}"
            flip(path, position)
    assert audit_verify(home).is_intact


def test_a_byte_added_to_any_file_is_found_and_named(store: Store) -> None:
    home = store.home
    for path in [path for path in sorted(home.rglob("*")) if path.is_file()]:
        mode, size = path.stat().st_mode, path.stat().st_size
        path.chmod(0o644)
        with path.open("ab") as file:
            file.write(b"x")
        path.chmod(mode)
        assert str(path.relative_to(home)) in _names(home), path
        os.truncate(path, size)
    assert audit_verify(home).is_intact


def test_any_missing_file_is_found_and_named(store: Store) -> None:
    home = store.home
    files = [path for path in sorted(home.rglob("*")) if path.is_file()]
    for path in files:
        if path.name == "lock":
            continue  # made again by whoever needs it; it holds nothing
        aside = home.parent / "aside"
        path.rename(aside)
        assert str(path.relative_to(home)) in _names(home), path
        aside.rename(path)
    assert audit_verify(home).is_intact


def _touch(name: str) -> Callable[[Path], None]:
    def add(home: Path) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")

    return add


def _link(home: Path) -> None:
    (home / "models/demo/1.0.0/link").symlink_to("/etc/passwd")


def _replaced_by_link(home: Path) -> None:
    path = home / "models/demo/1.0.0/manifest.json"
    path.rename(home.parent / "moved")
    path.symlink_to(home.parent / "moved")


def _fifo(home: Path) -> None:
    os.mkfifo(home / "current/fifo")


def _writable(home: Path) -> None:
    (home / "models/demo/1.0.0/manifest.json").chmod(0o644)


def _open_key(home: Path) -> None:
    (home / "site/key.pem").chmod(0o644)


def _copied(home: Path) -> None:
    path = home / "models/demo/1.0.0/manifest.json"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    path.chmod(0o444)


def _other_version_current(home: Path) -> None:
    path = home / "current/demo.json"
    path.write_bytes(path.read_bytes().replace(b"1.1.0", b"1.0.0"))


def _moved_version(home: Path) -> None:
    (home / "models/demo/1.1.0").rename(home / "models/demo/1.9.0")


def _empty_folder(home: Path) -> None:
    (home / "models/demo/1.0.0/extra").mkdir()


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (_touch("models/demo/1.0.0/extra.py"), "models/demo/1.0.0/extra.py"),
        (_touch("models/evil/1.0.0/model.onnx"), "models/evil/1.0.0/model.onnx"),
        (_touch(f"blobs/sha256/{'0' * 64}"), f"blobs/sha256/{'0' * 64}"),
        (_touch("records/demo/1.0.0/note"), "records/demo/1.0.0/note"),
        (_touch("current/evil.json"), "current/evil.json"),
        (_touch("trust/x.pem"), "trust/x.pem"),
        (_touch("log/old"), "log/old"),
        (_touch("stray"), "stray"),
        (_link, "models/demo/1.0.0/link"),
        (_replaced_by_link, "models/demo/1.0.0/manifest.json"),
        (_fifo, "current/fifo"),
        (_writable, "models/demo/1.0.0/manifest.json"),
        (_open_key, "site/key.pem"),
        (_copied, "models/demo/1.0.0/manifest.json"),
        (_other_version_current, "current/demo.json"),
        (_moved_version, "models/demo/1.1.0/manifest.json"),
        (_moved_version, "models/demo/1.9.0/manifest.json"),
        (_empty_folder, "models/demo/1.0.0/extra"),
    ],
)
def test_what_does_not_belong_is_named(
    store: Store, spoil: Callable[[Path], None], name: str
) -> None:
    spoil(store.home)
    assert name in _names(store.home)


def test_two_swapped_files_are_both_named(store: Store) -> None:
    one, two = (store.home / f"models/demo/{v}/cpu-int4/model.onnx" for v in ("1.0.0", "1.1.0"))
    one.rename(store.home.parent / "aside")
    two.rename(one)
    (store.home.parent / "aside").rename(two)
    assert _names(store.home) == {str(path.relative_to(store.home)) for path in (one, two)}


def test_a_message_says_what_was_expected(store: Store) -> None:
    flip(store.home / "models/demo/1.0.0/cpu-int4/model.onnx")
    for failure in audit_verify(store.home).failures:
        assert failure.message.startswith("expected sha256:")
        assert ", got sha256:" in failure.message


def test_an_unfinished_import_is_noted_and_no_failure(store: Store) -> None:
    folder = store.home / paths.STAGING / ("a" * 64)
    folder.mkdir()
    (folder / "x.partial").touch()
    report = audit_verify(store.home)
    assert report.is_intact
    assert len(report.notes) == 1


def test_no_home_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no log"):
        audit_verify(tmp_path)
    assert list(tmp_path.iterdir()) == []
