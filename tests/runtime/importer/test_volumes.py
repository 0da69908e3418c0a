"""Volumes in any order, lost parts, deltas: every road leads to the same installed files."""

import itertools
import shutil
from pathlib import Path

import pytest

from sealift.media.errors import MediumError, RepairError
from sealift.media.profile import PROFILES
from sealift.media.writer import WriteRequest, write_media
from sealift.runtime.audit.entry import Kind
from sealift.runtime.importer.about import unfinished_imports
from sealift.runtime.importer.errors import BaseMissingError
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.importer.result import ImportResult, Waiting
from sealift.runtime.importer.staging import Staging
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.have import export_have
from sealift.runtime.store.store import Store
from tests.sealed import Sealed, flip, meta, seal_files, tree

_MIB = 1 << 20
_LARGE_BYTES = 6 * _MIB + 77
_PART_BYTES = 128 << 10


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """A bundle of about a hundred parts."""
    return seal_files(
        tmp_path_factory.mktemp("big"), part_bytes=_PART_BYTES, large_bytes=_LARGE_BYTES
    )


@pytest.fixture(scope="module")
def volumes(big: Sealed, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four volumes, with repair parts for a third of all."""
    return write(big, tmp_path_factory.mktemp("set") / "v", volume=10_000_000, parity=34.0)


@pytest.fixture(scope="module")
def repairable(big: Sealed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One medium, with repair parts for a tenth of all."""
    (medium,) = write(big, tmp_path_factory.mktemp("one") / "m", parity=10.0)
    return medium


@pytest.fixture
def home(big: Sealed, tmp_path: Path) -> Store:
    store = Store.open(tmp_path / "home")
    store.trust(big.signer.public)
    return store


def write(
    sealed: Sealed, target: Path, *, volume: int | None = None, parity: float | None = None
) -> list[Path]:
    """Write a medium, or volumes, with the bundle's key."""
    write_media(
        WriteRequest(
            sources=(sealed.bundle,), target=target, profile=PROFILES["disc"],
            capacity_bytes=volume, number=None, parity_percent=parity, have=None,
            signer=sealed.signer,
        )
    )  # fmt: skip
    return sorted(target.iterdir()) if volume else [target]


def installed_as_signed(sealed: Sealed, store: Store) -> None:
    """Exactly the signed files are there, the log proves it, and nothing is left over."""
    assert tree(store.resolve("demo").path) == tree(sealed.files)
    report = audit_verify(store.home)
    assert (report.failures, report.notes) == ((), ())
    assert Staging.folders(store.home) == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_volumes_come_in_any_order(
    big: Sealed, volumes: list[Path], home: Store, order: tuple[int, ...]
) -> None:
    assert len(volumes) == 4
    for index in order[:-1]:
        result = import_bundle(volumes[index], home)
        assert isinstance(result, Waiting)
        missing = {volume.number - 1 for volume in result.unfinished.missing}
        assert index not in missing
        assert home.models() == ()
        *_, entry = home.log.entries()
        assert entry.kind is Kind.MODEL_IMPORT_WAITING
        assert str(entry.fields["custody"]).startswith("sha256:")
    (unfinished,) = unfinished_imports(home.home)
    assert [volume.number for volume in unfinished.missing] == [order[-1] + 1]
    assert isinstance(import_bundle(volumes[order[-1]], home), ImportResult)
    installed_as_signed(big, home)


def test_the_same_volume_twice_changes_nothing(volumes: list[Path], home: Store) -> None:
    first = import_bundle(volumes[1], home)
    again = import_bundle(volumes[1], home)
    assert isinstance(first, Waiting)
    assert isinstance(again, Waiting)
    assert again.read_bytes == 0
    assert again.unfinished == first.unfinished


def test_a_lost_volume_is_rebuilt_when_that_is_asked_for(
    big: Sealed, volumes: list[Path], home: Store
) -> None:
    for index in (0, 3):
        assert isinstance(import_bundle(volumes[index], home, rebuild_missing=False), Waiting)
    assert isinstance(import_bundle(volumes[1], home), Waiting)
    result = import_bundle(volumes[0], home, rebuild_missing=True)
    assert isinstance(result, ImportResult)
    installed_as_signed(big, home)


def test_too_few_repair_parts_for_a_lost_volume_say_so(volumes: list[Path], home: Store) -> None:
    with pytest.raises(RepairError, match="repair parts are left"):
        import_bundle(volumes[0], home, rebuild_missing=True)
    assert home.models() == ()


def test_damage_on_one_volume_is_repaired_with_what_another_brought(
    big: Sealed, volumes: list[Path], home: Store, tmp_path: Path
) -> None:
    copies = [Path(shutil.copytree(volume, tmp_path / volume.name)) for volume in volumes]
    victim = _parts_on(copies[2])[0]
    flip(victim)
    taken = import_bundle(copies[2], home)
    assert isinstance(taken, Waiting)
    assert len(taken.damaged) == 1
    assert victim.name in taken.damaged[0]
    for copy in (copies[0], copies[1], copies[3]):
        import_bundle(copy, home)
    assert home.models() == ()
    assert isinstance(import_bundle(copies[2], home), ImportResult)
    installed_as_signed(big, home)


@pytest.mark.parametrize("how", ["delete", "flip", "truncate"])
def test_a_tenth_of_all_parts_may_be_lost(
    big: Sealed, repairable: Path, home: Store, tmp_path: Path, how: str
) -> None:
    medium = Path(shutil.copytree(repairable, tmp_path / "m"))
    parts = _parts_on(medium)
    for victim in parts[:: len(parts) // (len(parts) // 10)][: len(parts) // 10]:
        _spoil(victim, how)
    assert isinstance(import_bundle(medium, home), ImportResult)
    installed_as_signed(big, home)


def test_one_part_more_is_refused_and_the_parts_are_named(
    repairable: Path, home: Store, tmp_path: Path
) -> None:
    medium = Path(shutil.copytree(repairable, tmp_path / "m"))
    parts = _parts_on(medium)
    victims = parts[: -(-len(parts) * 11 // 100)]
    for victim in victims:
        _spoil(victim, "flip")
    with pytest.raises(RepairError) as caught:
        import_bundle(medium, home)
    assert "parts are lost" in caught.value.message
    assert any(victim.name in caught.value.message for victim in victims)
    assert home.models() == ()
    for victim, good in ((victim, repairable / victim.relative_to(medium)) for victim in victims):
        shutil.copyfile(good, victim)
    result = import_bundle(medium, home)
    assert isinstance(result, ImportResult)
    assert result.read_bytes <= sum(victim.stat().st_size for victim in victims)


def test_without_repair_parts_a_missing_part_is_refused_before_reading(
    big: Sealed, home: Store, tmp_path: Path
) -> None:
    medium = Path(shutil.copytree(big.bundle, tmp_path / "m"))
    victim = _parts_on(medium)[0]
    victim.unlink()
    with pytest.raises(MediumError, match=f"{victim.name}: missing"):
        import_bundle(medium, home)
    assert Staging.folders(home.home) == []


def test_a_delta_completes_from_what_is_installed_and_refuses_without_it(
    big: Sealed, home: Store, tmp_path: Path
) -> None:
    import_bundle(big.bundle, home)
    changed = Path(shutil.copytree(big.files, tmp_path / "files"))
    with (changed / "cpu-int4/model.onnx.data").open("r+b") as file:
        file.seek(3 * _PART_BYTES)
        file.write(b"a new layer")
    newer = seal_files(
        tmp_path / "n", meta(version="1.0.1", sequence=2), signer=big.signer, files=changed,
        part_bytes=_PART_BYTES,
    )  # fmt: skip
    have = export_have(home).have
    report = write_media(
        WriteRequest(
            sources=(newer.bundle,), target=tmp_path / "delta", profile=PROFILES["usb"],
            capacity_bytes=None, number=None, parity_percent=None, have=have, signer=None,
        )
    )  # fmt: skip
    assert len(report.plan.plan.left_out) > 50
    stranger = Store.open(tmp_path / "stranger")
    with pytest.raises(BaseMissingError, match=r"parts that this host does not hold: .*part0000"):
        import_bundle(tmp_path / "delta", stranger, key=big.signer.public)
    assert stranger.models() == ()
    assert Staging.folders(stranger.home) == []
    result = import_bundle(tmp_path / "delta", home)
    assert isinstance(result, ImportResult)
    assert result.version == "1.0.1"
    assert tree(result.path) == tree(changed)
    assert audit_verify(home.home).failures == ()


def _parts_on(medium: Path) -> list[Path]:
    """The blobs of parts and repair parts: what CONTENTS.txt calls so, and what lies here."""
    kinds = [line.split()[:2] for line in (medium / "CONTENTS.txt").read_text().splitlines()]
    paths = [medium / "blobs/sha256" / hexa for hexa, kind in kinds if kind in _PART_KINDS]
    return [path for path in paths if path.exists()]


_PART_KINDS = ("zstd", "raw", "repair")


def _spoil(path: Path, how: str) -> None:
    if how == "delete":
        path.unlink()
    elif how == "flip":
        flip(path)
    else:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
