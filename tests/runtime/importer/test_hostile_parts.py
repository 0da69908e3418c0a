"""Parts that a trusted key signed and that still must not get through: bombs, lies, leftovers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from sealift.bundler.pack import Packed, pack
from sealift.bundler.seal import seal
from sealift.keys.signer import MemorySigner, generate
from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.errors import Category
from sealift.manifests.part import Part
from sealift.manifests.statement import FileDigest
from sealift.media.errors import MediumError
from sealift.runtime.audit.entry import Kind
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.store import Store
from tests.sealed import STATEMENTS, meta

CONTENT = b"weights " * 4000


def _archive(part: Part, *, header: bytes | None = None, end: bytes | None = None) -> bytes:
    start = part.tar_header if header is None else header
    rest = ustar.padding(part.length) + ustar.TRAILER if end is None else end
    return start + CONTENT + rest


def _frame(data: bytes, **parameters: int) -> bytes:
    settings = zstandard.ZstdCompressionParameters(compression_level=1, **parameters)
    return zstandard.ZstdCompressor(compression_params=settings).compress(data)


def _trailing(part: Part) -> bytes:
    return _frame(_archive(part)) + b"more"


def _second_frame(part: Part) -> bytes:
    return _frame(_archive(part)) + _frame(b"")


def _skippable_behind(part: Part) -> bytes:
    return _frame(_archive(part)) + b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


def _truncated(part: Part) -> bytes:
    return _frame(_archive(part))[:-3]


def _no_size(part: Part) -> bytes:
    return _frame(_archive(part), write_content_size=0)


def _longer(part: Part) -> bytes:
    return _frame(_archive(part) + bytes(512))


def _shorter(part: Part) -> bytes:
    return _frame(_archive(part)[:-512])


def _bomb(part: Part) -> bytes:
    # States the signed size, and repeats 128 KiB blocks until 8 MiB.
    header = _frame(_archive(part), write_content_size=1)[:16]
    start = zstandard.frame_header_size(header)
    block = (1 << 1 | (128 * 1024) << 3).to_bytes(3, "little") + b"\0"
    last = (1 | 1 << 1 | (128 * 1024) << 3).to_bytes(3, "little") + b"\0"
    return header[:start] + block * 63 + last


def _window_bomb(part: Part) -> bytes:
    compressor = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27, compression_level=1)
    ).compressobj()
    return compressor.compress(_archive(part)) + compressor.flush()


def _not_zstd(part: Part) -> bytes:
    return b"PK\3\4" + bytes(600)


def _other_name(part: Part) -> bytes:
    return _frame(_archive(part, header=ustar.header("../../etc/passwd", part.length)))


def _link_member(part: Part) -> bytes:
    header = bytearray(part.tar_header)
    header[156:157] = b"2"
    return _frame(_archive(part, header=bytes(header)))


def _second_member(part: Part) -> bytes:
    return _frame(_archive(part, end=ustar.padding(part.length) + b"x" + ustar.TRAILER[1:]))


@pytest.mark.parametrize(
    "make",
    [
        _trailing, _second_frame, _skippable_behind, _truncated, _no_size, _longer, _shorter,
        _bomb, _window_bomb, _not_zstd, _other_name, _link_member, _second_member,
    ],
)  # fmt: skip
def test_a_signed_part_in_another_form_is_refused(
    tmp_path: Path, make: Callable[[Part], bytes]
) -> None:
    store = Store.open(tmp_path / "home")
    bundle, signer, blob = _seal_with(tmp_path, make)
    with pytest.raises(MediumError) as caught:
        import_bundle(bundle, store, key=signer.public)
    assert caught.value.category is Category.INTEGRITY
    assert caught.value.path == f"blobs/sha256/{blob.hex}"
    *_, entry = store.log.entries()
    assert entry.kind is Kind.MODEL_IMPORT_REFUSED
    assert list((store.home / "blobs/sha256").iterdir()) == []
    assert audit_verify(store.home).failures == ()


def test_the_same_part_in_the_right_form_is_taken(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    bundle, signer, _ = _seal_with(tmp_path, lambda part: _frame(_archive(part)))
    result = import_bundle(bundle, store, key=signer.public)
    assert (result.path / "model.onnx.data").read_bytes() == CONTENT


def test_a_whole_file_that_is_not_the_signed_one_is_refused(tmp_path: Path) -> None:
    packed = _packed(tmp_path)
    wrong = (FileDigest(path="model.onnx.data", digest=Digest.of(b"other").hex),)
    signer = generate()
    seal(replace(packed, files=wrong), meta(), STATEMENTS, signer, tmp_path / "bundle")
    store = Store.open(tmp_path / "home")
    with pytest.raises(MediumError, match=r"model\.onnx\.data: expected sha256"):
        import_bundle(tmp_path / "bundle", store, key=signer.public)
    assert store.models() == ()


def _packed(tmp_path: Path) -> Packed:
    files = tmp_path / "files"
    files.mkdir()
    (files / "model.onnx.data").write_bytes(CONTENT)
    return pack(files, meta(), tmp_path / "bundle")


def _seal_with(tmp_path: Path, make: Callable[[Part], bytes]) -> tuple[Path, MemorySigner, Digest]:
    packed = _packed(tmp_path)
    (part,) = packed.manifest.parts
    data = make(part)
    forged = replace(part, blob=Digest.of(data), blob_bytes=len(data), compressed=True)
    (tmp_path / "bundle/blobs/sha256" / part.blob.hex).unlink()
    (tmp_path / "bundle/blobs/sha256" / forged.blob.hex).write_bytes(data)
    signer = generate()
    manifest = replace(packed.manifest, parts=(forged,))
    seal(replace(packed, manifest=manifest), meta(), STATEMENTS, signer, tmp_path / "bundle")
    return tmp_path / "bundle", signer, forged.blob
