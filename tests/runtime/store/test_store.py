"""The store: versions, pointers, trust, and what a crash between disk and log leaves."""

from pathlib import Path

import pytest

from sealift.keys.errors import UntrustedError
from sealift.keys.signer import generate, generate_site_key
from sealift.manifests.errors import Category
from sealift.runtime.audit.entry import Kind
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.store import change, paths
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.change import Intent
from sealift.runtime.store.errors import (
    DowngradeError,
    NotInstalledError,
    StoreIntegrityError,
)
from sealift.runtime.store.store import Store
from tests.sealed import Sealed, flip, tree


def _intact(store: Store) -> None:
    report = audit_verify(store.home)
    assert report.failures == ()
    assert report.notes == ()


def test_resolve_describes_exactly_the_signed_folder(
    store: Store, releases: dict[str, Sealed]
) -> None:
    model = store.resolve("demo")
    assert (model.version, model.is_current, model.sequence) == ("1.1.0", True, 2)
    assert tree(model.path) == tree(releases["1.1.0"].files)
    assert {file.path: file.size_bytes for file in model.files} == {
        path: len(data) for path, data in tree(model.path).items()
    }
    assert model.variants == ("cpu-fp32", "cpu-int4")
    assert model.key_id == releases["1.0.0"].signer.public.key_id
    assert store.resolve("demo", "1.0.0").is_current is False


def test_equal_files_are_one_file_on_the_disk(store: Store) -> None:
    one = store.home / "models/demo/1.0.0/cpu-int4/tokenizer.json"
    two = store.home / "models/other/1.0.0/cpu-fp32/tokenizer.json"
    assert one.stat().st_ino == two.stat().st_ino
    assert one.stat().st_mode & 0o777 == 0o444


def test_unknown_names_say_what_is_there(store: Store) -> None:
    with pytest.raises(NotInstalledError, match="installed: demo, other") as caught:
        store.resolve("nope")
    assert caught.value.category is Category.USAGE
    with pytest.raises(NotInstalledError):
        store.resolve("demo", "9")


def test_removal_takes_only_what_nobody_else_needs(store: Store) -> None:
    shared = store.home / "models/other/1.0.0/cpu-fp32/tokenizer.json"
    before = len(list((store.home / paths.BLOBS).iterdir()))
    assert store.remove("demo").version == "1.1.0"
    assert store.current("demo") == "1.0.0"
    assert len(list((store.home / paths.BLOBS).iterdir())) < before
    assert shared.read_text()
    store.remove("demo", "1.0.0")
    assert [record.name for record in store.models()] == ["other"]
    assert not (store.home / "models/demo").exists()
    _intact(store)
    store.remove("other")
    assert list((store.home / paths.BLOBS).iterdir()) == []
    _intact(store)


def test_rollback_goes_back_in_the_order_of_import(
    store: Store, releases: dict[str, Sealed]
) -> None:
    import_bundle(releases["1.2.0"].bundle, store)
    assert [store.rollback("demo").version, store.rollback("demo").version] == ["1.1.0", "1.0.0"]
    with pytest.raises(NotInstalledError, match="before it"):
        store.rollback("demo")
    assert store.rollback("demo", "1.2.0").version == "1.2.0"
    with pytest.raises(NotInstalledError):
        store.rollback("demo", "7")
    _intact(store)


def test_an_older_release_is_a_downgrade_even_after_the_newer_was_removed(
    store: Store, releases: dict[str, Sealed]
) -> None:
    store.remove("demo", "1.1.0")
    store.remove("demo", "1.0.0")
    with pytest.raises(DowngradeError):
        import_bundle(releases["1.0.0"].bundle, store)
    assert import_bundle(releases["1.0.0"].bundle, store, allow_downgrade=True).is_downgrade
    *_, entry = store.log.entries()
    assert (entry.kind, entry.fields["downgrade"]) == (Kind.MODEL_IMPORT, True)
    _intact(store)


def test_a_distrusted_key_serves_nothing_any_more(store: Store) -> None:
    (key_id,) = store.trusted().keys
    store.distrust(key_id[:12])
    with pytest.raises(UntrustedError):
        store.resolve("demo")
    assert not list((store.home / paths.TRUST).iterdir())
    assert not audit_verify(store.home).is_intact
    with pytest.raises(NotInstalledError):
        store.distrust(key_id)


def test_trusting_twice_is_once_and_site_keys_are_no_signers(store: Store) -> None:
    key = generate().public
    assert store.trust(key) is True
    assert store.trust(key) is False
    assert [entry.kind for entry in store.log.entries()].count(Kind.KEY_TRUST) == 2
    with pytest.raises(UntrustedError):
        store.trust(generate_site_key().public)
    _intact(store)


@pytest.mark.parametrize("spoil", ["added", "removed", "changed"])
def test_trust_is_what_the_log_says_not_what_lies_in_the_folder(store: Store, spoil: str) -> None:
    (key,) = (store.home / paths.TRUST).iterdir()
    match spoil:
        case "added":
            stranger = generate().public
            (key.parent / f"{stranger.key_id}.pem").write_bytes(stranger.pem)
        case "removed":
            key.unlink()
        case _:
            key.write_bytes(generate().public.pem)
    with pytest.raises(StoreIntegrityError):
        store.resolve("demo")
    assert not audit_verify(store.home).is_intact


def test_a_key_for_one_import_opens_that_version_and_no_other(
    tmp_path: Path, releases: dict[str, Sealed]
) -> None:
    store = Store.open(tmp_path / "home")
    key = releases["1.0.0"].signer.public
    result = import_bundle(releases["1.0.0"].bundle, store, key=key)
    assert result.by_key_option
    assert store.resolve("demo").by_key_option
    assert not store.trusted().keys
    with pytest.raises(UntrustedError):
        import_bundle(releases["1.1.0"].bundle, store)
    _intact(store)
    flip(store.home / "records/demo/1.0.0/key.pem")
    assert not audit_verify(store.home).is_intact
    flip(store.home / "records/demo/1.0.0/key.pem")
    store.distrust(key.key_id)
    with pytest.raises(UntrustedError):
        store.resolve("demo")


def test_another_process_s_changes_are_seen(store: Store) -> None:
    beside = Store.open(store.home)
    store.rollback("demo")
    assert beside.current("demo") == "1.0.0"
    beside.remove("demo", "1.0.0")
    assert store.current("demo") == "1.1.0"


def test_a_changed_record_does_not_resolve(store: Store) -> None:
    for name in ("seal.sigstore.json", "manifest.json", "config.json"):
        path = store.home / "records/demo/1.1.0" / name
        flip(path)
        with pytest.raises(StoreIntegrityError, match=name):
            store.resolve("demo")
        flip(path)
    store.resolve("demo")


def test_an_interrupted_install_is_taken_back(store: Store, releases: dict[str, Sealed]) -> None:
    before = tree(store.home)
    change.begin(store.home, Intent(models=(("demo", "9.9.9"),), blobs=("f" * 64,)))
    for folder in ("models/demo/9.9.9", "records/demo/9.9.9"):
        (store.home / folder).mkdir()
        (store.home / folder / "file").touch()
    (store.home / paths.BLOBS / ("f" * 64)).touch()
    Store.open(store.home)
    assert tree(store.home) == before
    _intact(store)


def test_an_interrupted_removal_is_completed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crash(BaseException):
        pass

    def crash(*arguments: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(change, "drop_model", crash)
        with pytest.raises(Crash):
            store.remove("demo")
    assert (store.home / "models/demo/1.1.0").exists()
    again = Store.open(store.home)
    assert not (store.home / "models/demo/1.1.0").exists()
    assert again.current("demo") == "1.0.0"
    _intact(again)


def test_a_hostile_intent_touches_nothing_outside(store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (store.home / paths.INTENT).write_bytes(
        b'{"blobs":[],"keys":[],"models":[["..","../../victim"]]}'
    )
    with pytest.raises(StoreIntegrityError):
        Store.open(store.home)
    assert victim.exists()
