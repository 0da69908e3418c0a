"""A damaged medium becomes, byte for byte, what it was; or it stays as it is, and why is said."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.cli.media_repair import repair
from sealift.keys.trust_root import TrustRoot
from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.part import Part
from sealift.manifests.progress import QuietProgress
from sealift.media.blob_rebuilder import BlobRebuilder
from sealift.media.errors import MediaError, MediumError, RepairError
from sealift.media.folder import MediumFolder
from sealift.media.parity_writer import make_parity
from sealift.media.part_images import require_scratch
from sealift.media.profile import Profile
from sealift.media.repairer import repair_media
from sealift.media.verifier import verify_medium
from sealift.media.writer import WriteRequest, write_media
from tests.sealed import Sealed, flip, seal_files, tree

SMALL = Profile(
    name="usb", block_bytes=512, file_bytes=0, reserve_bytes=0, reserve_permille=0
)  # fmt: skip
VOLUME_BYTES = 400_000


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return seal_files(tmp_path_factory.mktemp("sealed"))


@pytest.fixture(scope="module")
def written(sealed: Sealed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One medium with repair parts."""
    target = tmp_path_factory.mktemp("written") / "medium"
    write(sealed, target)
    return target


@pytest.fixture
def medium(written: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "medium"))


def write(sealed: Sealed, target: Path, capacity_bytes: int | None = None) -> None:
    """Write a bundle with repair parts for a fifth of all parts."""
    write_media(
        WriteRequest(
            sources=(sealed.bundle,), target=target, profile=SMALL, capacity_bytes=capacity_bytes,
            parity_percent=20, signer=sealed.signer,
        )
    )  # fmt: skip


def payload(medium: Path) -> list[Path]:
    """Return the parts and repair parts of a medium."""
    lines = (line.split() for line in (medium / "CONTENTS.txt").read_text().splitlines())
    names = [line[0] for line in lines if line[1] in ("raw", "zstd", "repair")]
    return [path for name in names if (path := medium / "blobs/sha256" / name).exists()]


def repair_parts(medium: Path) -> int:
    """Count the repair parts of a bundle."""
    return (medium / "CONTENTS.txt").read_text().count(" repair ")


def _flip(path: Path) -> None:
    flip(path)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _remove(path: Path) -> None:
    path.unlink()


DAMAGES: tuple[Callable[[Path], None], ...] = (_flip, _cut, _extend, _empty, _remove)


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_as_much_damage_as_was_promised(
    sealed: Sealed, written: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    medium = Path(shutil.copytree(written, tmp_path_factory.mktemp("damaged") / "medium"))
    count = repair_parts(medium)
    files = payload(medium)
    assert count >= len(files) / 5
    spoiled = data.draw(st.sets(st.sampled_from(files), min_size=1, max_size=count))
    for path in sorted(spoiled):
        data.draw(st.sampled_from(DAMAGES))(path)
    report = repair_media([medium])
    assert {medium / file.path for file in report.repaired} == spoiled
    assert all(file.rebuilt for file in report.repaired)
    assert report.checked == len(files)
    assert tree(medium) == tree(written)
    verify_medium(medium, TrustRoot.of([sealed.signer.public]))


def test_nothing_to_repair(medium: Path, written: Path) -> None:
    report = repair_media([medium])
    assert report.repaired == ()
    assert report.checked == len(payload(medium))
    assert tree(medium) == tree(written)


def test_one_too_many_changes_nothing(medium: Path, tmp_path: Path) -> None:
    spoiled = random.Random(1).sample(payload(medium), repair_parts(medium) + 1)
    for path in spoiled:
        flip(path)
    before = tree(tmp_path)
    with pytest.raises(RepairError, match=r"repair parts? (is|are) left|there are \d+ repair"):
        repair_media([medium])
    assert tree(tmp_path) == before


def test_a_medium_without_repair_parts_says_so(sealed: Sealed, tmp_path: Path) -> None:
    medium = Path(shutil.copytree(sealed.bundle, tmp_path / "medium"))
    spoiled = sealed.part_blobs()[3].name
    flip(medium / "blobs/sha256" / spoiled)
    with pytest.raises(RepairError, match=f"there are no repair parts: .*{spoiled}"):
        repair_media([medium])


def test_another_copy_helps_where_repair_parts_do_not(sealed: Sealed, tmp_path: Path) -> None:
    """Two copies with different damage make two whole ones."""
    one, two = (Path(shutil.copytree(sealed.bundle, tmp_path / name)) for name in ("one", "two"))
    names = [path.name for path in sealed.part_blobs()]
    for name in names[:4]:
        flip(one / "blobs/sha256" / name)
    for name in names[4:7]:
        (two / "blobs/sha256" / name).unlink()
    report = repair_media([one, two])
    assert len(report.repaired) == len(set(names[:4])) + len(set(names[4:7]))
    assert not any(file.rebuilt for file in report.repaired)
    assert tree(one) == tree(two) == tree(sealed.bundle)


def test_a_set_of_volumes_is_repaired_together(sealed: Sealed, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(sealed, folder, VOLUME_BYTES)
    volumes = sorted(folder.iterdir())
    assert len(volumes) > 1
    before = tree(folder)
    spoiled = [payload(volume)[0] for volume in volumes][: repair_parts(volumes[0])]
    for path in spoiled:
        flip(path)
    report = repair_media([folder])
    assert {file.medium for file in report.repaired} == {path.parents[2] for path in spoiled}
    assert tree(folder) == before


def test_one_volume_alone_lacks_the_others(sealed: Sealed, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(sealed, folder, VOLUME_BYTES)
    volume = min(folder.iterdir())
    flip(payload(volume)[0])
    with pytest.raises(RepairError) as caught:
        repair_media([volume])
    assert "missing volume" in str(caught.value.hint)


def test_a_signed_document_is_not_repaired(medium: Path) -> None:
    flip(medium / "README.txt")
    with pytest.raises(MediumError, match=r"README\.txt"):
        repair_media([medium])


def test_a_link_in_the_place_of_a_part_is_refused_not_followed(
    medium: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"left alone")
    spoiled = payload(medium)[5]
    spoiled.unlink()
    spoiled.symlink_to(outside)
    with pytest.raises(MediumError, match="plain file"):
        repair_media([medium])
    assert outside.read_bytes() == b"left alone"


def test_nothing_is_left_in_the_scratch_folder(medium: Path, written: Path, tmp_path: Path) -> None:
    flip(payload(medium)[0])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    repair_media([medium], scratch=scratch)
    assert list(scratch.iterdir()) == []
    assert tree(medium) == tree(written)


def test_a_frame_that_this_zstd_does_not_make_is_left_as_it_is(tmp_path: Path) -> None:
    """Packed long ago, by a library that compresses otherwise: its archive comes back, no blob."""
    part, frame = _foreign_part()
    bundle, scratch = tmp_path / "bundle", tmp_path / "scratch"
    blobs = bundle / "blobs/sha256"
    blobs.mkdir(parents=True)
    scratch.mkdir()
    (blobs / part.blob.hex).write_bytes(frame)
    with MediumFolder.open(bundle) as folder:
        parity = make_parity(folder, [part], percent=10, target=blobs)
        (blobs / part.blob.hex).unlink()
        stock = dict.fromkeys(parity.blobs, folder)
        rebuilder = BlobRebuilder([part], parity, stock, scratch)
        with pytest.raises(RepairError, match="to other bytes than") as caught:
            rebuilder.rebuild({part.blob.hex}, QuietProgress())
    assert "import does without" in str(caught.value.hint)
    assert [path.name for path in blobs.iterdir()] == list(parity.blobs)


def test_too_little_scratch_space_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="free bytes for unpacked parts"):
        require_scratch(tmp_path, 1 << 60)
    require_scratch(tmp_path, 1)


def _foreign_part() -> tuple[Part, bytes]:
    content = bytes(random.Random(3).choices(range(40), k=50_000))
    archive = (
        ustar.header("model.onnx", len(content)) + content
        + ustar.padding(len(content)) + ustar.TRAILER
    )  # fmt: skip
    frame = zstandard.ZstdCompressor(level=19).compress(archive)
    part = Part(
        file="model.onnx", offset=0, length=len(content), index=0, count=1,
        tar=Digest.of(archive), blob=Digest.of(frame), blob_bytes=len(frame), compressed=True,
    )  # fmt: skip
    return part, frame


def test_the_command_names_what_it_did(medium: Path) -> None:
    first, *_, last = payload(medium)
    flip(first)
    last.unlink()
    done = CliRunner().invoke(repair, [str(medium)])
    assert done.exit_code == 0, done.output
    assert f"rebuilt: {first} (" in done.stdout
    assert f"rebuilt: {last} (repair part " in done.stdout
    assert "was missing" in done.stdout
    assert f"{len(payload(medium))} parts read, 2 repaired" in done.stdout
    again = CliRunner().invoke(repair, [str(medium), "--json"])
    assert '"repaired": []' in again.stdout
