"""Packing: the same bytes whatever the threads, every part restorable, odd trees refused."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard

from sealift.bundler.output import PackError
from sealift.bundler.pack import pack
from sealift.bundler.part_writer import PartWriter, Slice
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from tests.sealed import PART_BYTES, make_files, meta, tree


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_bytes_do_not_depend_on_the_threads(tmp_path: Path, workers: int) -> None:
    files = make_files(tmp_path / "files")
    one = pack(files, meta(), tmp_path / "one", workers=1, part_bytes=PART_BYTES)
    many = pack(files, meta(), tmp_path / "many", workers=workers, part_bytes=PART_BYTES)
    assert one == many
    assert tree(tmp_path / "one") == tree(tmp_path / "many")


def test_every_part_holds_its_bytes(tmp_path: Path) -> None:
    files = make_files(tmp_path / "files")
    packed = pack(files, meta(), tmp_path / "out", part_bytes=PART_BYTES)
    restored: dict[str, bytes] = {}
    for part in packed.manifest.parts:
        blob = (tmp_path / "out/blobs/sha256" / part.blob.hex).read_bytes()
        assert Digest.of(blob) == part.blob
        assert len(blob) == part.blob_bytes
        archive = zstandard.ZstdDecompressor().decompress(blob) if part.compressed else blob
        assert Digest.of(archive) == part.tar
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            (member,) = tar.getmembers()
            content = tar.extractfile(member)
            assert content is not None
            data = content.read()
        assert member.name == part.member
        assert len(restored.get(part.file, b"")) == part.offset
        restored[part.file] = restored.get(part.file, b"") + data
    assert restored == tree(files)
    assert {file.path: file.digest for file in packed.files} == {
        path: Digest.of(data).hex for path, data in restored.items()
    }


def test_stock_tools_restore_a_part(tmp_path: Path) -> None:
    packed = pack(make_files(tmp_path / "files"), meta(), tmp_path / "out", part_bytes=PART_BYTES)
    part = next(part for part in packed.manifest.parts if part.compressed and part.count > 1)
    blob = tmp_path / "out/blobs/sha256" / part.blob.hex
    done = subprocess.run(
        f"zstd -dc {blob} | tar -xOf - {part.member}", shell=True, capture_output=True
    )
    content = (tmp_path / "files" / part.file).read_bytes()
    assert done.stdout == content[part.offset : part.offset + part.length]


def test_incompressible_parts_are_raw_and_others_one_frame_with_its_size(tmp_path: Path) -> None:
    packed = pack(make_files(tmp_path / "files"), meta(), tmp_path / "out", part_bytes=PART_BYTES)
    kinds = {
        part.file: part.compressed for part in packed.manifest.parts if part.length == PART_BYTES
    }
    assert kinds == {"cpu-int4/model.onnx.data": False, "cpu-fp32/model.onnx.data": True}
    for part in packed.manifest.parts:
        if part.compressed:
            blob = (tmp_path / "out/blobs/sha256" / part.blob.hex).read_bytes()
            assert zstandard.frame_content_size(blob) == part.tar_bytes


def test_small_files_come_before_weights(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    with (files / "a.data").open("wb") as large:
        large.truncate((32 << 20) + 1)
    (files / "z.json").write_text("{}")
    packed = pack(files, meta(), tmp_path / "out")
    assert [part.file for part in packed.manifest.parts] == ["z.json", "a.data", "a.data"]


def test_a_probe_spares_incompressible_parts(tmp_path: Path) -> None:
    data = os.urandom(4 << 20)
    (tmp_path / "file").write_bytes(data)
    writer = PartWriter(tmp_path, 4 << 20)
    seen: list[int] = []
    piece = Slice(path=tmp_path / "file", file="file", offset=0, length=len(data), index=0, count=1)
    part = writer.write(piece, lambda view: seen.append(len(view)))
    assert not part.compressed
    assert seen == [len(data)]
    assert not list(tmp_path.glob(".*partial"))


def _link(files: Path) -> None:
    (files / "link").symlink_to(files / "manifest.json")


def _folder_link(files: Path) -> None:
    (files / "link").symlink_to(files / "cpu-int4")


def _fifo(files: Path) -> None:
    os.mkfifo(files / "fifo")


def _bad_name(files: Path) -> None:
    (files / "a b").touch()


def _case_collision(files: Path) -> None:
    (files / "MANIFEST.json").touch()


@pytest.mark.parametrize("spoil", [_link, _folder_link, _fifo, _bad_name, _case_collision])
def test_odd_trees_are_refused(tmp_path: Path, spoil: object) -> None:
    files = make_files(tmp_path / "files")
    assert callable(spoil)
    spoil(files)
    with pytest.raises((PackError, ManifestError)):
        pack(files, meta(), tmp_path / "out")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with pytest.raises(PackError, match="found none"):
        pack(tmp_path / "files", meta(), tmp_path / "out")


def test_a_file_that_shrinks_is_an_error_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    piece = Slice(path=path, file="file", offset=0, length=200, index=0, count=1)
    with pytest.raises(PackError, match="shorter"):
        PartWriter(tmp_path, PART_BYTES).write(piece, lambda view: None)


def test_parts_are_at_most_64_mib() -> None:
    assert LIMITS.part_bytes == 64 << 20
