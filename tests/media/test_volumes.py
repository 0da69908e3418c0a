"""Volumes: each verifies alone, a set says what it lacks, and `volume.json` decides no more."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.keys.trust_root import TrustRoot
from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError, SealiftError
from sealift.manifests.layout import payload_blobs, render
from sealift.manifests.volume import VOLUME, Volume, VolumePlan
from sealift.media.errors import MediumError, MediumNotFoundError
from sealift.media.folder import MediumFolder
from sealift.media.inspector import SignatureState, inspect_medium
from sealift.media.medium import read_medium, read_unverified
from sealift.media.verifier import verify_medium, verify_set
from sealift.media.writer import WriteRequest, write_media
from tests.sealed import Sealed, flip, meta, seal_files, tree


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sealed, Path]:
    root = tmp_path_factory.mktemp("volumes")
    sealed = seal_files(root / "sealed")
    write_media(
        WriteRequest(
            sources=(sealed.bundle,), target=root / "set", capacity_bytes=5_200_000,
            parity_percent=40, signer=sealed.signer,
        )
    )  # fmt: skip
    return sealed, root / "set"


@pytest.fixture
def volumes(made: tuple[Sealed, Path], tmp_path: Path) -> Path:
    """A set of volumes, with records taken away: what a courier's own copy looks like."""
    shutil.copytree(made[1], tmp_path / "set")
    for custody in (tmp_path / "set").glob("*/custody"):
        shutil.rmtree(custody)
    return tmp_path / "set"


@pytest.fixture
def trust(made: tuple[Sealed, Path]) -> TrustRoot:
    return TrustRoot.of([made[0].signer.public])


def _folders(volumes: Path) -> list[Path]:
    return sorted(volumes.iterdir())


def test_a_volume_verifies_alone(volumes: Path, trust: TrustRoot) -> None:
    for number, folder in enumerate(_folders(volumes), 1):
        report = verify_medium(folder, trust)
        assert report.volume is not None
        assert report.volume.number == number
        assert report.part_count + report.repair_count == len(report.volume.blobs)


def test_a_set_is_complete_or_says_what_it_lacks(volumes: Path, trust: TrustRoot) -> None:
    whole = verify_set(volumes, trust)
    assert (whole.missing, whole.makes_up) == ((), True)
    assert sum(report.part_count for report in whole.volumes) == 18
    shutil.rmtree(_folders(volumes)[-1])
    lacking = verify_set(volumes, trust)
    assert lacking.missing == (len(whole.volumes),)
    assert lacking.makes_up  # 12 repair parts, and the last volume held less
    for folder in _folders(volumes)[1:]:
        shutil.rmtree(folder)
    assert not verify_set(volumes, trust).makes_up


def _parts(folder: Path) -> list[Path]:
    """Return the parts of a volume, not its repair parts."""
    lines = [line.split() for line in (folder / "CONTENTS.txt").read_text().splitlines()]
    blobs = [folder / "blobs/sha256" / line[0] for line in lines if line[1] in ("raw", "zstd")]
    return [blob for blob in blobs if blob.exists()]


def test_damage_is_counted_over_the_set_and_repairable_or_not(
    volumes: Path, trust: TrustRoot
) -> None:
    first, second, *_ = _folders(volumes)
    victims = [*_parts(first)[:2], _parts(second)[0]]
    for victim in victims:
        flip(victim)
    with pytest.raises(MediumError) as caught:
        verify_set(volumes, trust)
    assert caught.value.message.startswith(f"{first.name}/blobs/sha256/")
    assert caught.value.hint is not None
    assert "3 files are wrong" in caught.value.hint
    assert "the repair parts suffice" in caught.value.hint
    for folder in _folders(volumes):
        for part in _parts(folder):
            part.unlink()
    with pytest.raises(MediumError) as caught:
        verify_set(volumes, trust)
    assert "18 parts are lost, there are 12 repair parts" in (caught.value.hint or "")


def test_volumes_of_two_sets_are_no_set(
    made: tuple[Sealed, Path], volumes: Path, trust: TrustRoot, tmp_path: Path
) -> None:
    write_media(
        WriteRequest(sources=(made[0].bundle,), target=tmp_path / "x", capacity_bytes=5_200_000)
    )
    shutil.copytree(_folders(tmp_path / "x")[0], volumes / "volume-99")
    with pytest.raises((MediumError, ManifestError), match="another set"):
        verify_set(volumes, trust)


def test_a_folder_without_media_is_no_set(tmp_path: Path, trust: TrustRoot) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediumNotFoundError, match="no folder of volumes"):
        verify_set(tmp_path, trust)


def test_a_part_of_another_volume_does_not_belong_here(volumes: Path, trust: TrustRoot) -> None:
    first, second, *_ = _folders(volumes)
    stray = _parts(second)[0]
    shutil.copyfile(stray, first / "blobs/sha256" / stray.name)
    with pytest.raises(MediumError, match="not part of any bundle here"):
        verify_medium(first, trust)


def test_absent_names_the_parts_of_this_volume_alone(volumes: Path, trust: TrustRoot) -> None:
    folder = _folders(volumes)[0]
    gone, short = _parts(folder)[:2]
    gone.unlink()
    short.write_bytes(short.read_bytes()[:-1])
    with MediumFolder.open(folder) as source:
        medium = read_medium(source, trust)
        sizes = source.listing()
        medium.check_files(sizes)
        absent = medium.absent(sizes, medium.bundles[0])
    assert {part.blob.hex for part in absent} == {gone.name, short.name}


Change = Callable[[Volume], object]

BAD: dict[str, Change] = {
    "number-0": lambda v: {"number": 0, "plan": v.plan},
    "number-past-count": lambda v: {"number": v.count + 1, "plan": v.plan},
    "part-nowhere": lambda v: Volume(number=1, plan=VolumePlan(volumes=(v.blobs[1:], ("a" * 64,)))),
    "part-forgotten": lambda v: _with(v, v.plan.volumes[0][1:]),
    "part-invented": lambda v: _with(v, (*v.plan.volumes[0], "a" * 64)),
    "part-twice": lambda v: _with(v, (*v.plan.volumes[0], v.plan.volumes[0][0])),
    "not-a-digest": lambda v: _with(v, (*v.plan.volumes[0], "../../etc/passwd")),
    "base-without-left-out": lambda v: {
        "number": 1, "plan": {"volumes": v.plan.volumes, "base": "sha256:" + "a" * 64},
    },
    "one-volume": lambda v: Volume(number=1, plan=VolumePlan(volumes=(("a" * 64,),))),
    "unknown-field": lambda v: {"number": v.number, "plan": v.plan, "note": 1},
    "not-json": lambda v: b"\xff",
    "other-form": lambda v: v.encode() + b"\n",
}  # fmt: skip


def _with(volume: Volume, first: tuple[str, ...]) -> Volume:
    plan = VolumePlan(volumes=(first, *volume.plan.volumes[1:]))
    return Volume(number=volume.number, plan=plan)


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_a_volume_file_that_does_not_share_out_the_parts_is_refused(
    volumes: Path, trust: TrustRoot, change: Change
) -> None:
    folder = _folders(volumes)[0]
    made = change(Volume.parse((folder / VOLUME).read_bytes()))
    data = made if isinstance(made, bytes) else strict_json.canonical(made)
    (folder / VOLUME).write_bytes(data)
    with pytest.raises(SealiftError, match=r"volume|digest"):
        verify_medium(folder, trust)


def test_repair_parts_cannot_be_left_out(volumes: Path, trust: TrustRoot) -> None:
    folder = _folders(volumes)[0]
    volume = Volume.parse((folder / VOLUME).read_bytes())
    with MediumFolder.open(folder) as source:
        parity = read_medium(source, trust).bundles[0].parity
    assert parity is not None
    gone = next(hexa for hexa in volume.blobs if hexa in parity.blobs)
    plan = VolumePlan(
        volumes=tuple(tuple(h for h in v if h != gone) for v in volume.plan.volumes),
        left_out=(gone,),
        base="sha256:" + "a" * 64,
    )
    (folder / VOLUME).write_bytes(Volume(number=1, plan=plan).encode())
    with pytest.raises(MediumError, match="does not share out"):
        verify_medium(folder, trust)


def test_without_its_volume_file_a_volume_is_no_medium(volumes: Path, trust: TrustRoot) -> None:
    folder = _folders(volumes)[0]
    (folder / VOLUME).unlink()
    with pytest.raises(MediumError):
        verify_medium(folder, trust)


def test_repair_parts_by_another_key_are_refused(
    made: tuple[Sealed, Path], volumes: Path, tmp_path: Path
) -> None:
    # A bundle of the same files, sealed by someone else, whose key is trusted here too.
    other = seal_files(tmp_path / "other", meta(version="2.0.0"))
    write_media(
        WriteRequest(
            sources=(other.bundle,), target=tmp_path / "usb", parity_percent=40, signer=other.signer
        )
    )
    shutil.rmtree(tmp_path / "usb/custody")
    both = TrustRoot.of([made[0].signer.public, other.signer.public])
    claims = inspect_medium(tmp_path / "usb", both)
    assert claims.bundles[0].parity is SignatureState.GOOD
    victim = seal_files(tmp_path / "victim", meta(version="2.0.0"), signer=made[0].signer)
    with MediumFolder.open(tmp_path / "usb") as source:
        theirs = read_unverified(source).bundles[0]
    with MediumFolder.open(victim.bundle) as source:
        ours = read_unverified(source).bundles[0]
    assert theirs.parity is not None
    envelope = next(
        data for digest, data in theirs.documents.items() if digest not in ours.documents
        and b"dsse" in data and digest == theirs.layout.referrers[-1].blob.checked_digest
    )  # fmt: skip
    layout = ours.layout.with_parity(theirs.parity, envelope)
    (victim.bundle / "blobs/sha256" / theirs.layout.referrers[-1].blob.checked_digest.hex
     ).write_bytes(envelope)  # fmt: skip
    for path in payload_blobs(layout):
        if not (victim.bundle / path).exists():
            shutil.copyfile(tmp_path / "usb" / path, victim.bundle / path)
    for path, data in render([layout]).items():
        (victim.bundle / path).write_bytes(data)
    with pytest.raises(SealiftError, match="expected the seal's signer"):
        verify_medium(victim.bundle, both)


def test_reading_without_a_key_takes_no_damaged_metadata(volumes: Path) -> None:
    folder = _folders(volumes)[0]
    for path in [path for path in tree(folder) if Path(path).name not in _payload_names(folder)]:
        before = (folder / path).read_bytes()
        flip(folder / path)
        with MediumFolder.open(folder) as source, pytest.raises(SealiftError):
            read_unverified(source)
        (folder / path).write_bytes(before)


def _payload_names(folder: Path) -> set[str]:
    return set(Volume.parse((folder / VOLUME).read_bytes()).blobs)


def test_stock_tools_check_each_volume_and_restore_from_all(
    made: tuple[Sealed, Path], volumes: Path, tmp_path: Path
) -> None:
    for tool in ("sha256sum", "zstd", "tar"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not there")
    script = """
    set -eu
    mkdir together restored
    for volume in set/*; do
        (cd $volume && sha256sum --quiet -c SHA256SUMS)
        cp -n $volume/blobs/sha256/* together/
    done
    while read -r blob kind _ member; do
        case $kind in
            zstd) zstd -qdc together/$blob | tar -xf - -C restored ;;
            raw) tar -xf together/$blob -C restored ;;
        esac
    done < set/volume-01-of-*/CONTENTS.txt
    cd restored
    for first in $(find . -name '*.part00000'); do
        cat ${first%.part00000}.part* > ${first%.part00000}
        rm ${first%.part00000}.part*
    done
    """
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    assert tree(tmp_path / "restored") == tree(made[0].files)
