"""Whatever is changed on a medium: refused, the file named, nothing installed, all of it logged."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.keys.errors import UntrustedError
from sealift.keys.signer import generate
from sealift.keys.trust_root import TrustRoot
from sealift.manifests.errors import Category, SealiftError
from sealift.media.errors import MediumError
from sealift.media.verifier import verify_medium
from sealift.runtime.audit.entry import Kind
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.importer.staging import Staging
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.store import Store
from tests.runtime.importer.media import join
from tests.sealed import Sealed, flip, meta, seal_files, tree


def _of_store(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if not path.startswith(("log/", "staging/"))}


def refused(medium: Path, store: Store, sealed: Sealed) -> SealiftError:
    """Verify and import; both must refuse alike and leave the store as it was but for the log.

    Verified parts stay in the staging folder, where nothing is served from.
    """
    for folder in Staging.folders(store.home):
        shutil.rmtree(folder)  # what an earlier case left would not be read from the medium again
    before = tree(store.home)
    with pytest.raises(SealiftError) as verified:
        verify_medium(medium, TrustRoot.of([sealed.signer.public]))
    with pytest.raises(SealiftError) as caught:
        import_bundle(medium, store)
    error = caught.value
    assert verified.value.category is error.category
    after = tree(store.home)
    assert _of_store(after) == _of_store(before)
    *_, entry = store.log.entries()
    assert entry.kind is Kind.MODEL_IMPORT_REFUSED
    assert (entry.fields["code"], entry.fields["message"]) == (error.code, error.message)
    assert audit_verify(store.home).is_intact
    return error


def test_one_flipped_byte_in_any_file_is_refused_and_named(medium: Sealed, store: Store) -> None:
    paths = medium.paths()
    assert len(paths) > 20
    for path in paths:
        flip(path)
        error = refused(medium.bundle, store, medium)
        assert error.category is Category.INTEGRITY
        name = str(path.relative_to(medium.bundle))
        assert name in error.message, (name, error.message)
        flip(path)
    assert import_bundle(medium.bundle, store).name == "demo"


def test_first_and_last_bytes_count_too(medium: Sealed, store: Store) -> None:
    trust = TrustRoot.of([medium.signer.public])
    for path in medium.paths():
        for position in (0, path.stat().st_size - 1):
            flip(path, position)
            with pytest.raises(SealiftError) as caught:
                verify_medium(medium.bundle, trust)
            assert str(path.relative_to(medium.bundle)) in caught.value.message
            flip(path, position)
    verify_medium(medium.bundle, trust)


def test_a_wrong_part_says_what_was_expected_and_got(medium: Sealed, store: Store) -> None:
    blob = medium.part_blobs()[-1]
    flip(blob)
    error = refused(medium.bundle, store, medium)
    assert f"expected sha256:{blob.name}, got sha256:" in error.message


def test_verify_counts_all_wrong_files(medium: Sealed) -> None:
    for blob in medium.part_blobs()[:3]:
        flip(blob)
    with pytest.raises(MediumError) as caught:
        verify_medium(medium.bundle, TrustRoot.of([medium.signer.public]))
    assert (caught.value.hint or "").startswith("3 files are wrong")


def test_every_missing_file_is_named(medium: Sealed, store: Store) -> None:
    for path in medium.paths():
        aside = medium.bundle.parent / "aside"
        path.rename(aside)
        error = refused(medium.bundle, store, medium)
        assert error.category is Category.INTEGRITY
        assert str(path.relative_to(medium.bundle)) in error.message
        aside.rename(path)


@pytest.mark.parametrize("change", [-1, +1, -4096])
def test_every_file_of_another_length_is_named(medium: Sealed, store: Store, change: int) -> None:
    for path in medium.paths():
        good = path.read_bytes()
        path.write_bytes(good[:change] if change < 0 else good + b"x")
        error = refused(medium.bundle, store, medium)
        assert error.category is Category.INTEGRITY
        assert str(path.relative_to(medium.bundle)) in error.message
        path.write_bytes(good)


@pytest.mark.parametrize(
    "name",
    [
        "autorun.inf", "blobs/extra", f"blobs/sha256/{'0' * 64}", "blobs/sha256/.hidden",
        "index.json.bak", "a\nb", "\u202egnp.exe",
    ],
)  # fmt: skip
def test_an_extra_file_is_refused_and_named(medium: Sealed, store: Store, name: str) -> None:
    (medium.bundle / name).write_text("x")
    error = refused(medium.bundle, store, medium)
    assert error.category is Category.INTEGRITY
    assert (name if name.isascii() and name.isprintable() else ascii(name)) in error.message
    assert error.message.isprintable()


def _swap_first_two_parts(bundle: Path, sealed: Sealed) -> str:
    one, two = sealed.part_blobs()[-2:]
    one.rename(bundle.parent / "aside")
    two.rename(one)
    (bundle.parent / "aside").rename(two)
    return "blobs/sha256/"


def _duplicate(bundle: Path, sealed: Sealed) -> str:
    one, two = sealed.part_blobs()[-2:]
    shutil.copy(one, two)
    return f"blobs/sha256/{two.name}"


def _link_to_itself(bundle: Path, sealed: Sealed) -> str:
    blob = sealed.part_blobs()[-1]
    blob.rename(bundle.parent / "elsewhere")
    blob.symlink_to(bundle.parent / "elsewhere")
    return f"blobs/sha256/{blob.name}"


def _link_index(bundle: Path, sealed: Sealed) -> str:
    (bundle / "index.json").rename(bundle.parent / "elsewhere")
    (bundle / "index.json").symlink_to(bundle.parent / "elsewhere")
    return "index.json"


def _link_folder(bundle: Path, sealed: Sealed) -> str:
    (bundle / "blobs/sha256").rename(bundle.parent / "elsewhere")
    (bundle / "blobs/sha256").symlink_to(bundle.parent / "elsewhere")
    return "blobs/sha256"


def _fifo(bundle: Path, sealed: Sealed) -> str:
    blob = sealed.part_blobs()[-1]
    blob.unlink()
    os.mkfifo(blob)
    return f"blobs/sha256/{blob.name}"


def _fifo_index(bundle: Path, sealed: Sealed) -> str:
    (bundle / "index.json").unlink()
    os.mkfifo(bundle / "index.json")
    return "index.json"


def _socket(bundle: Path, sealed: Sealed) -> str:
    blob = sealed.part_blobs()[-1]
    blob.unlink()
    here = Path.cwd()
    os.chdir(blob.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(blob.name)
    finally:
        os.chdir(here)
    return f"blobs/sha256/{blob.name}"


def _folder_for_a_blob(bundle: Path, sealed: Sealed) -> str:
    blob = sealed.part_blobs()[-1]
    blob.unlink()
    blob.mkdir()
    return f"blobs/sha256/{blob.name}"


def _extra_folder(bundle: Path, sealed: Sealed) -> str:
    (bundle / "more").mkdir()
    return "more"


def _empty_index(bundle: Path, sealed: Sealed) -> str:
    (bundle / "index.json").write_text('{"manifests":[]}')
    return "index.json"


def _deep_index(bundle: Path, sealed: Sealed) -> str:
    (bundle / "index.json").write_text("[" * 100_000)
    return "index.json"


def _large_index(bundle: Path, sealed: Sealed) -> str:
    (bundle / "index.json").write_text('{"manifests":[' + "0," * (1 << 20) + "0]}")
    return "index.json"


def _twice_the_key(bundle: Path, sealed: Sealed) -> str:
    index = bundle / "index.json"
    index.write_bytes(b'{"manifests":[],' + index.read_bytes()[1:])
    return "index.json"


def _stripped_signature(bundle: Path, sealed: Sealed) -> str:
    for line in (bundle / "CONTENTS.txt").read_text().splitlines():
        digest, kind, *_ = line.split()
        if kind == "signature":
            (bundle / "blobs/sha256" / digest).unlink()
            return f"blobs/sha256/{digest}"
    raise LookupError


@pytest.mark.parametrize(
    "spoil",
    [
        _swap_first_two_parts, _duplicate, _link_to_itself, _link_index, _link_folder, _fifo,
        _fifo_index, _socket, _folder_for_a_blob, _extra_folder, _empty_index, _deep_index,
        _large_index, _twice_the_key, _stripped_signature,
    ],
)  # fmt: skip
def test_hostile_media_are_refused_and_the_file_named(
    medium: Sealed, store: Store, spoil: Callable[[Path, Sealed], str]
) -> None:
    name = spoil(medium.bundle, medium)
    error = refused(medium.bundle, store, medium)
    assert error.category is Category.INTEGRITY
    assert name in error.message


def test_an_unknown_signer_is_not_trusted(tmp_path: Path, store: Store, sealed: Sealed) -> None:
    stranger = seal_files(tmp_path / "stranger")
    error = refused(stranger.bundle, store, sealed)
    assert isinstance(error, UntrustedError)
    assert error.category is Category.TRUST
    assert stranger.signer.public.key_id[:16] in error.message


def test_another_key_is_not_the_signers(medium: Sealed, store: Store) -> None:
    with pytest.raises(UntrustedError):
        import_bundle(medium.bundle, store, key=generate().public)
    *_, entry = store.log.entries()
    assert entry.fields["code"] == "not_trusted"


def test_a_wrong_part_of_a_bundle_that_is_not_imported_does_not_matter_until_verified(
    tmp_path: Path, store: Store, sealed: Sealed
) -> None:
    other = seal_files(tmp_path / "o", meta(name="other"), signer=sealed.signer, seed=9)
    both = join(tmp_path / "both", sealed, other)
    theirs, ours = ({path.name for path in item.part_blobs()} for item in (other, sealed))
    victim = both / "blobs/sha256" / min(theirs - ours)
    flip(victim)
    assert import_bundle(both, store, name="demo").version == "1.0.0"
    with pytest.raises(MediumError, match=victim.name):
        import_bundle(both, store, name="other")
    with pytest.raises(MediumError, match=victim.name):
        verify_medium(both, store.trusted())
