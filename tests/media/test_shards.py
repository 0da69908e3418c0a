"""An image that is written again is the blob that was packed, whatever piece of it is asked for."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.manifests.digest import Digest
from sealift.manifests.part import Part
from sealift.media.errors import MediumError, RebuiltError
from sealift.media.parity_codec import ShardReader
from sealift.media.shards import BlobReader, MemoryReader, PartImageReader, PartImageSink
from tests.media.bundle_parts import parts_of
from tests.sealed import Sealed, seal_files


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return seal_files(tmp_path_factory.mktemp("sealed"), part_bytes=3000, large_bytes=10_000)


@pytest.fixture(scope="module")
def parts(sealed: Sealed) -> tuple[Part, ...]:
    return parts_of(sealed)


def read(reader: ShardReader, offset: int, count: int) -> bytes:
    """Read into memory that is not zero to begin with."""
    into = bytearray(b"\xff" * count)
    reader.read(offset, memoryview(into))
    return bytes(into)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_piece_of_any_image(
    sealed: Sealed, parts: tuple[Part, ...], data: st.DataObject
) -> None:
    part = data.draw(st.sampled_from(parts))
    file = sealed.files / part.file
    whole = read(PartImageReader(file, part), 0, part.tar_bytes)
    assert Digest.of(whole) == part.tar
    padded = whole + bytes(6000)
    offset = data.draw(st.integers(0, len(whole) + 2000))
    count = data.draw(st.integers(0, 4000))
    expected = padded[offset : offset + count]
    assert read(PartImageReader(file, part), offset, count) == expected
    assert read(MemoryReader(whole), offset, count) == expected
    with file.open("rb") as opened:
        assert read(PartImageReader(opened.fileno(), part), offset, count) == expected
    if not part.compressed:
        blob = sealed.bundle / "blobs/sha256" / part.blob.hex
        assert read(BlobReader(blob, part.blob_bytes), offset, count) == expected


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_is_written_again_from_its_images(
    sealed: Sealed, parts: tuple[Part, ...], data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    file = data.draw(st.sampled_from(sorted({part.file for part in parts})))
    pieces = [part for part in parts if part.file == file]
    step = data.draw(st.integers(1, 5000))
    path = tmp_path_factory.mktemp("again") / "file"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        for part in data.draw(st.permutations(pieces)):
            image = read(PartImageReader(sealed.files / file, part), 0, part.tar_bytes + 700)
            sink = PartImageSink(descriptor, part)
            for offset in range(0, len(image), step):
                sink.write(offset, memoryview(image)[offset : offset + step])
            sink.check()
    finally:
        os.close(descriptor)
    assert path.read_bytes() == (sealed.files / file).read_bytes()


def test_a_wrong_image_is_refused(parts: tuple[Part, ...], tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        sink = PartImageSink(file.fileno(), parts[0])
        sink.write(0, memoryview(bytes(parts[0].tar_bytes)))
        with pytest.raises(RebuiltError, match=f"expected {parts[0].tar}"):
            sink.check()


def test_no_image_of_what_is_no_plain_file(
    sealed: Sealed, parts: tuple[Part, ...], tmp_path: Path
) -> None:
    part = next(part for part in parts if part.length > 100)
    link, fifo, short = tmp_path / "link", tmp_path / "fifo", tmp_path / "short"
    link.symlink_to(sealed.files / part.file)
    os.mkfifo(fifo)
    short.write_bytes(bytes(part.offset + 100))
    for path, message in (
        (link, "expected a plain file"),
        (fifo, "expected a plain file"),
        (tmp_path / "nothing", "missing"),
        (short, f"ends at byte {part.offset + 100}"),
    ):
        with pytest.raises(MediumError, match=message):
            read(PartImageReader(path, part), 0, part.tar_bytes)
