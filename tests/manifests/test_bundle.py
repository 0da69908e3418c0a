"""Manifests: what is written is read; anything else, a single byte included, is refused."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.manifests import ustar
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.part import Part


def _part(file: str, offset: int, length: int, index: int, count: int, *, raw: bool) -> Part:
    tar = Digest.of(f"{file}{index}tar".encode())
    return Part(
        file=file, offset=offset, length=length, index=index, count=count,
        tar=tar,
        blob=tar if raw else Digest.of(f"{file}{index}blob".encode()),
        blob_bytes=ustar.total_bytes(length) if raw else max(1, length // 2), compressed=not raw,
    )  # fmt: skip


def _manifest(*parts: Part) -> Manifest:
    return Manifest(
        name="demo", version="1.0.0", created="2026-01-02T03:04:05Z", license="MIT",
        architecture="llama", parts=parts,
    )  # fmt: skip


GOOD = _manifest(
    _part("config.json", 0, 10, 0, 1, raw=False),
    _part("model.data", 0, 4096, 0, 2, raw=True),
    _part("model.data", 4096, 100, 1, 2, raw=False),
    _part("empty", 0, 0, 0, 1, raw=True),
)


def test_round_trip() -> None:
    assert Manifest.parse(*GOOD.encode()) == GOOD
    assert GOOD.files == {"config.json": 10, "model.data": 4196, "empty": 0}


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5000), st.booleans()), min_size=1,
                max_size=6))  # fmt: skip
@settings(deadline=None)
def test_any_manifest_round_trips(files: list[tuple[int, int, bool]]) -> None:
    parts = []
    for number, (count, length, raw) in enumerate(files):
        size = length if count == 1 else max(1, length)
        parts += [
            _part(f"f{number}", index * size, size, index, count, raw=raw) for index in range(count)
        ]
    manifest = _manifest(*parts)
    assert Manifest.parse(*manifest.encode()) == manifest


def test_every_single_byte_flip_is_refused_or_changes_the_digest() -> None:
    """A flip that still parses gives other bytes, which the sealed digest does not cover."""
    manifest, config = GOOD.encode()
    for position in range(len(manifest)):
        bad = manifest[:position] + bytes([manifest[position] ^ 1]) + manifest[position + 1 :]
        assert Digest.of(bad) != Digest.of(manifest)
        try:
            parsed = Manifest.parse(bad, config)
        except ManifestError:
            continue
        assert parsed.encode() == (bad, config)
    for position in range(len(config)):
        bad = config[:position] + bytes([config[position] ^ 1]) + config[position + 1 :]
        with pytest.raises(ManifestError):
            Manifest.parse(manifest, bad)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (_part("a", 10, 5, 0, 1, raw=True),),
        (_part("a", 0, 5, 0, 2, raw=True), _part("a", 6, 5, 1, 2, raw=True)),
        (_part("a", 0, 5, 0, 2, raw=True), _part("a", 4, 5, 1, 2, raw=True)),
        (_part("a", 5, 5, 1, 2, raw=True), _part("a", 0, 5, 0, 2, raw=True)),
        (_part("a", 0, 5, 0, 2, raw=True), _part("a", 5, 0, 1, 2, raw=True)),
        (_part("a", 0, 5, 0, 1, raw=True), _part("A", 0, 5, 0, 1, raw=True)),
        (_part("a", 0, 5, 0, 1, raw=True), _part("a/b", 0, 5, 0, 1, raw=True)),
        (_part("a", 0, 5, 0, 2, raw=True), _part("a", 5, 5, 1, 2, raw=True),
         _part("a.part00000", 0, 5, 0, 1, raw=True)),
    ],
    ids=[
        "none", "late start", "gap", "overlap", "reordered", "empty tail", "case",
        "file as folder", "a file named like a part",
    ],
)  # fmt: skip
def test_parts_that_do_not_cover_files_are_refused(parts: tuple[Part, ...]) -> None:
    with pytest.raises(ManifestError):
        _manifest(*parts)


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../x"}, {"file": "/x"}, {"length": -1}, {"offset": -1},
        {"length": LIMITS.part_bytes + 1}, {"blob_bytes": 0, "compressed": True},
        {"blob_bytes": LIMITS.blob_bytes + 1, "compressed": True},
        {"blob_bytes": 1}, {"blob": Digest.of(b"other")},
    ],
)  # fmt: skip
def test_bad_parts_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ManifestError):
        replace(_part("a", 0, 5, 0, 1, raw=True), **change)  # type: ignore[arg-type]  # a table
