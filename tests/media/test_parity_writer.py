"""Repair parts of real bundles: made of right parts only, and enough to bring any part back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sealift.manifests.part import Part
from sealift.media.errors import MediumError, RebuiltError
from sealift.media.folder import MediumFolder
from sealift.media.parity_codec import rebuild, repair_count
from sealift.media.parity_writer import make_parity
from sealift.media.part_images import CheckedImage, ImageFileSink, open_images
from sealift.media.shards import BlobReader, MemoryReader
from tests.media.bundle_parts import parts_of
from tests.sealed import Sealed, flip, seal_files

Spoil = Callable[[Part, Sealed], None]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return seal_files(tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def copied(tmp_path: Path) -> Sealed:
    return seal_files(tmp_path / "own")


@pytest.fixture
def folder(sealed: Sealed) -> Iterator[MediumFolder]:
    with MediumFolder.open(sealed.bundle) as opened:
        yield opened


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "repair").mkdir()
    return tmp_path / "repair"


def quiet(count: int) -> None:
    """Report nothing."""


def test_every_part_comes_back(
    sealed: Sealed, folder: MediumFolder, target: Path, tmp_path: Path
) -> None:
    parts = parts_of(sealed)
    assert {part.compressed for part in parts} == {True, False}
    parity = make_parity(folder, parts, percent=30, target=target)
    assert len(parity.blobs) == repair_count(len(parts), 30)
    assert {path.name for path in target.iterdir()} == set(parity.blobs)
    assert list(tmp_path.glob(".images-*")) == []
    step = len(parity.blobs)
    for first in range(0, len(parts), step):
        lost = range(first, min(first + step, len(parts)))
        work = tmp_path / f"lost-{first}"
        work.mkdir()
        kept = {index: part for index, part in enumerate(parts) if index not in lost}
        sinks = [ImageFileSink(work / f"rebuilt-{index}", parts[index]) for index in lost]
        blobs = [BlobReader(target / hexa, parity.shard_bytes) for hexa in parity.blobs]
        rebuild(
            open_images(kept, lambda part: folder, work, quiet), dict(enumerate(blobs)),
            shard_count=len(parts), parity=parity, lost=lost, targets=sinks, advance=quiet,
        )  # fmt: skip
        for index, sink in zip(lost, sinks, strict=True):
            assert sink.check().stat().st_size == parts[index].tar_bytes


def _damage(part: Part, copied: Sealed) -> None:
    flip(copied.bundle / "blobs/sha256" / part.blob.hex)


def _remove(part: Part, copied: Sealed) -> None:
    (copied.bundle / "blobs/sha256" / part.blob.hex).unlink()


@pytest.mark.parametrize("spoil", [_damage, _remove])
@pytest.mark.parametrize("compressed", [True, False])
def test_no_repair_parts_of_wrong_parts(
    spoil: Spoil, compressed: bool, copied: Sealed, target: Path, tmp_path: Path
) -> None:
    parts = parts_of(copied)
    spoiled = next(part for part in parts if part.compressed is compressed)
    spoil(spoiled, copied)
    with MediumFolder.open(copied.bundle) as folder:
        with pytest.raises(MediumError, match=spoiled.blob.hex):
            make_parity(folder, parts, percent=20, target=target)
    assert list(target.iterdir()) == []
    assert list(tmp_path.glob(".images-*")) == []


def test_an_image_is_read_in_order(sealed: Sealed) -> None:
    image = CheckedImage(MemoryReader(bytes(1024)), parts_of(sealed)[0])
    image.read(0, memoryview(bytearray(64)))
    with pytest.raises(ValueError, match="expected 64"):
        image.read(0, memoryview(bytearray(64)))


def test_a_rebuilt_image_of_other_bytes_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    part = parts_of(sealed)[0]
    sink = ImageFileSink(tmp_path / "image", part)
    sink.write(0, memoryview(bytes(part.tar_bytes + 512)))
    with pytest.raises(RebuiltError, match=str(part.tar)):
        sink.check()
