"""What was verified is kept: the next run reads the rest, and ends as if nothing had been."""

import os
from pathlib import Path

import pytest

from sealift.keys.trust_root import TrustRoot
from sealift.manifests.part import Part
from sealift.media.errors import MediumError, MediumReadError
from sealift.media.folder import MediumFolder
from sealift.media.verifier import verify_medium
from sealift.runtime.importer.about import unfinished_imports
from sealift.runtime.importer.importer import import_bundle, import_medium
from sealift.runtime.importer.result import ImportResult
from sealift.runtime.importer.staging import Staging
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.store import Store
from tests.runtime.importer.sources import NotingSource
from tests.sealed import Sealed, flip, meta, seal_files, tree


def _parts(sealed: Sealed) -> tuple[Part, ...]:
    report = verify_medium(sealed.bundle, TrustRoot.of([sealed.signer.public]))
    return report.bundles[0].bundle.manifest.parts


def _large(sealed: Sealed) -> list[Part]:
    """The parts of one file that has several."""
    parts = [part for part in _parts(sealed) if part.count > 2]
    return [part for part in parts if part.file == parts[0].file]


def _installed_as_signed(sealed: Sealed, store: Store) -> None:
    assert tree(store.resolve("demo").path) == tree(sealed.files)
    report = audit_verify(store.home)
    assert (report.failures, report.notes) == ((), ())
    assert Staging.folders(store.home) == []


def test_a_bad_sector_costs_one_part_and_the_next_run_reads_that_one_only(
    sealed: Sealed, store: Store
) -> None:
    bad = _large(sealed)[1].blob.hex
    with MediumFolder.open(sealed.bundle) as folder:
        source = NotingSource(folder, frozenset({bad}))
        with pytest.raises(MediumReadError, match=bad) as caught:
            import_medium(source, store)
    assert "good parts are kept" in (caught.value.hint or "")
    assert store.models() == ()
    (unfinished,) = unfinished_imports(store.home)
    assert unfinished.part_count - unfinished.held_parts == 1
    assert unfinished.reference == "demo-1.0.0"
    with MediumFolder.open(sealed.bundle) as folder:
        source = NotingSource(folder)
        result = import_medium(source, store)
    assert source.opened == [bad]
    assert isinstance(result, ImportResult)
    assert result.read_bytes == next(p.blob_bytes for p in _parts(sealed) if p.blob.hex == bad)
    _installed_as_signed(sealed, store)


def test_a_pulled_medium_keeps_what_was_read_before(sealed: Sealed, store: Store) -> None:
    parts = _parts(sealed)
    broken = frozenset(part.blob.hex for part in parts[len(parts) // 2 :] if part.blob_bytes > 512)
    with MediumFolder.open(sealed.bundle) as folder:
        with pytest.raises(MediumReadError, match="EIO") as caught:
            import_medium(NotingSource(folder, broken), store)
    assert "still connected" in (caught.value.hint or "")
    with MediumFolder.open(sealed.bundle) as folder:
        source = NotingSource(folder)
        import_medium(source, store)
    assert set(source.opened) == broken
    _installed_as_signed(sealed, store)


def test_a_damaged_part_is_named_and_a_good_copy_gives_the_rest(
    medium: Sealed, sealed: Sealed, store: Store
) -> None:
    bad = _large(sealed)[2]
    flip(medium.bundle / "blobs/sha256" / bad.blob.hex)
    with pytest.raises(MediumError, match=bad.blob.hex):
        import_bundle(medium.bundle, store)
    with MediumFolder.open(sealed.bundle) as folder:
        source = NotingSource(folder)
        import_medium(source, store)
    assert source.opened == [bad.blob.hex]
    _installed_as_signed(sealed, store)


def test_a_part_that_decayed_in_staging_is_read_again(sealed: Sealed, store: Store) -> None:
    first, second, *_ = _large(sealed)
    with MediumFolder.open(sealed.bundle) as folder, pytest.raises(MediumReadError):
        import_medium(NotingSource(folder, frozenset({second.blob.hex})), store)
    (folder_path,) = Staging.folders(store.home)
    digests = {file.path: file.digest for file in _statement(sealed)}
    partial = folder_path / f"{digests[first.file]}.partial"
    with partial.open("r+b") as file:
        file.seek(first.offset + 7)
        file.write(b"decayed!")
        os.fsync(file.fileno())
    with MediumFolder.open(sealed.bundle) as folder:
        source = NotingSource(folder)
        import_medium(source, store)
    assert sorted(source.opened) == sorted([first.blob.hex, second.blob.hex])
    _installed_as_signed(sealed, store)


def test_a_journal_that_was_cut_or_lies_costs_reading_and_nothing_else(
    sealed: Sealed, store: Store
) -> None:
    parts = _large(sealed)
    with MediumFolder.open(sealed.bundle) as folder, pytest.raises(MediumReadError):
        import_medium(NotingSource(folder, frozenset({parts[1].blob.hex})), store)
    (folder_path,) = Staging.folders(store.home)
    journal = folder_path / "parts"
    lines = journal.read_text().splitlines(keepends=True)
    lie = f"{parts[1].tar.hex}\n"
    journal.write_text("".join(lines[1:]) + lie + "f" * 64 + "\n" + lines[0][:30])
    import_bundle(sealed.bundle, store)
    _installed_as_signed(sealed, store)


def test_two_bundles_may_be_under_way_and_one_can_be_discarded(
    sealed: Sealed, store: Store, tmp_path: Path
) -> None:
    other = seal_files(tmp_path / "o", meta(name="other"), signer=sealed.signer, seed=2)
    for bundle in (sealed, other):
        with MediumFolder.open(bundle.bundle) as folder, pytest.raises(MediumReadError):
            import_medium(NotingSource(folder, frozenset({_large(bundle)[0].blob.hex})), store)
    names = [item.name for item in unfinished_imports(store.home)]
    assert names == ["demo", "other"]
    assert audit_verify(store.home).failures == ()
    import_bundle(sealed.bundle, store)
    assert [item.name for item in unfinished_imports(store.home)] == ["other"]


def test_a_new_version_reads_only_the_parts_that_changed(
    sealed: Sealed, store: Store, tmp_path: Path
) -> None:
    import_bundle(sealed.bundle, store)
    part = _large(sealed)[1]
    changed = tmp_path / "files"
    _copy_with_change(sealed.files, changed, part)
    newer = seal_files(
        tmp_path / "n", meta(version="1.0.1", sequence=2), signer=sealed.signer, files=changed
    )
    with MediumFolder.open(newer.bundle) as folder:
        source = NotingSource(folder)
        result = import_medium(source, store)
    assert isinstance(result, ImportResult)
    changed_part = next(p for p in _parts(newer) if p.member == part.member)
    needed = set(source.opened) - {p.blob.hex for p in _parts(sealed)}
    assert needed == {changed_part.blob.hex}
    assert tree(result.path) == tree(changed)


def _statement(sealed: Sealed):  # type: ignore[no-untyped-def]  # a verified statement's files
    report = verify_medium(sealed.bundle, TrustRoot.of([sealed.signer.public]))
    return report.bundles[0].bundle.seal.statement.files


def _copy_with_change(source: Path, target: Path, part: Part) -> None:
    for path, data in tree(source).items():
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = bytearray(data)
        if path == part.file:
            content[part.offset + 3] ^= 0xFF
        copy.write_bytes(content)
