"""Parts that a trusted key signed, in forms that must not be decoded or believed."""

from collections.abc import Callable, Iterator

from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.part import Part
from sealift.manifests.statement import FileDigest
from tests.vectors.cases import WHOLE, draft, invalid, signed
from tests.vectors.forge import Draft, archive, forged, tar_header
from tests.vectors.vector import Vector
from tests.vectors.wire import MAGIC, frame, raw_blocks, rle_blocks

__all__ = ["vectors"]

_DATA = "model.onnx.data"


def _whole(member: str, content: bytes) -> bytes:
    tar = archive(member, content)
    return frame(raw_blocks(tar), content_size=len(tar))


def _stated(member: str, content: bytes) -> int:
    return len(archive(member, content))


def _cut(member: str, content: bytes) -> bytes:
    tar = archive(member, content)
    return frame(raw_blocks(tar, is_last=False), content_size=len(tar))


def _other_archive(tar: bytes) -> bytes:
    return frame(raw_blocks(tar), content_size=len(tar))


def _with_header(member: str, content: bytes, header: bytes) -> bytes:
    return _other_archive(header + archive(member, content)[len(header) :])


def _link(kind: bytes) -> Callable[[str, bytes], bytes]:
    def store(member: str, content: bytes) -> bytes:
        header = tar_header(member, len(content), type=kind, linkname="/etc/passwd")
        return _with_header(member, content, header)

    return store


def _second_member(member: str, content: bytes) -> bytes:
    tar = archive(member, content)
    return _other_archive(tar[: -len(ustar.TRAILER)] + tar_header("x", 0) + bytes(512))


_FRAMES: dict[str, tuple[str, Callable[[str, bytes], bytes]]] = {
    "bomb": (
        "a frame that states the signed size and gives 32 MiB of zeros",
        lambda m, c: frame(rle_blocks(b"\0", 256), content_size=_stated(m, c)),
    ),
    "bomb-that-says-so": (
        "a frame that states and gives 1 TiB",
        lambda m, c: frame(rle_blocks(b"\0", 8), content_size=1 << 40),
    ),
    "window-bomb": (
        "a frame that asks for a window of 2 GiB",
        lambda m, c: frame(
            raw_blocks(archive(m, c)), content_size=_stated(m, c), window_descriptor=21 << 3
        ),
    ),
    "largest-window": (
        "a frame that asks for a window of 3.75 TiB",
        lambda m, c: frame(
            raw_blocks(archive(m, c)), content_size=_stated(m, c), window_descriptor=0xFF
        ),
    ),
    "no-size": (
        "a frame that does not say how long it gets",
        lambda m, c: frame(raw_blocks(archive(m, c)), content_size=None, window_descriptor=0),
    ),
    "dictionary": (
        "a frame that needs a dictionary",
        lambda m, c: frame(
            raw_blocks(archive(m, c)), content_size=_stated(m, c), dictionary=b"\1\2\3\4"
        ),
    ),
    "many-tiny-blocks": (
        "70,000 empty blocks, to burn time",
        lambda m, c: frame(bytes(3) * 70_000 + raw_blocks(archive(m, c)),
                           content_size=_stated(m, c)),
    ),
}  # fmt: skip

_ARCHIVES: dict[str, tuple[str, Callable[[str, bytes], bytes]]] = {
    "trailing-bytes": ("bytes behind the frame", lambda m, c: _whole(m, c) + b"more"),
    "second-frame": (
        "a second frame behind the first",
        lambda m, c: _whole(m, c) + frame(raw_blocks(b""), content_size=0),
    ),
    "skippable-frame": (
        "a skippable frame behind the first",
        lambda m, c: _whole(m, c) + b"\x50\x2a\x4d\x18\x04\0\0\0abcd",
    ),
    "truncated-frame": ("a frame without its end", lambda m, c: _whole(m, c)[:-3]),
    "no-last-block": ("a frame that never ends", _cut),
    "reserved-block": (
        "a block of a kind that does not exist",
        lambda m, c: frame(b"\7\0\0", content_size=_stated(m, c)),
    ),
    "not-zstd": ("a zip archive", lambda m, c: b"PK\3\4" + bytes(600)),
    "magic-alone": ("nothing but a frame's first four bytes", lambda m, c: MAGIC),
    "longer": (
        "an archive with a block more", lambda m, c: _other_archive(archive(m, c) + bytes(512))
    ),
    "shorter": ("an archive with a block less", lambda m, c: _other_archive(archive(m, c)[:-512])),
    "other-name": (
        "an archive whose member would be restored elsewhere",
        lambda m, c: _with_header(m, c, tar_header("../../etc/passwd", len(c))),
    ),
    "symbolic-link-member": ("a member that is a link", _link(b"2")),
    "hard-link-member": ("a member that is a hard link", _link(b"1")),
    "device-member": ("a member that is a device", _link(b"3")),
    "fifo-member": ("a member that is a FIFO", _link(b"6")),
    "setuid-member": (
        "a member that is a setuid program",
        lambda m, c: _with_header(m, c, tar_header(m, len(c), mode=0o4755)),
    ),
    "second-member": ("a second member", _second_member),
}  # fmt: skip


def vectors() -> Iterator[Vector]:
    """Give the rows bombs, archives, and signed lists of parts that lie."""
    for row, table in (("bombs", _FRAMES), ("archives", _ARCHIVES)):
        for name, (about, store) in table.items():
            bundle = _with_data(store)
            expected = invalid("medium_invalid", _blob(bundle))
            yield signed(row, name, f"sealed: {about}", bundle, expected)
    yield from _lists()
    yield signed(
        "duplicates", "file-twice", "the seal lists a file twice",
        draft(listed=lambda files: [*files, files[0]]), invalid("manifest_invalid", "collide"),
    )  # fmt: skip
    yield signed(
        "archives", "other-whole-file", "every part is as signed, and the file is not",
        draft(listed=_wrong_digest), invalid("medium_invalid", "model.onnx.data: expected sha256"),
    )  # fmt: skip


def _lists() -> Iterator[Vector]:
    lists: dict[str, tuple[str, Callable[[list[Part]], list[Part]], str]] = {
        "parts-reordered": ("the parts of a file in another order", _reorder, "expected offset"),
        "part-left-out": ("a file has a gap", lambda parts: _without(parts, 1), "expected offset"),
        "part-twice": ("a part of a file comes twice", lambda p: _insert(p, 0), "expected offset"),
        "file-left-out": (
            "the seal lists a file of which there is no part",
            lambda parts: [part for part in parts if not part.file.endswith(_DATA)], _DATA,
        ),
        "no-parts": ("a bundle of nothing", lambda parts: [], "expected 1 to"),
    }  # fmt: skip
    for name, (about, parts, word) in lists.items():
        row = "duplicates" if name == "part-twice" else "parts"
        bundle = draft(parts=lambda given, change=parts: _numbered(change(given)))
        yield signed(row, name, f"sealed: {about}", bundle, invalid("manifest_invalid", word))
    for name, change in {
        "huge-part": {"length": 1 << 40},
        "negative-length": {"length": -1},
        "huge-blob": {"blob_bytes": 1 << 40, "compressed": True},
    }.items():

        def spoil(parts: list[Part], change: dict[str, int] = change) -> list[Part]:
            return [*parts[:-1], _changed(parts[-1], **change)]

        yield signed(
            "bombs", name, f"sealed: a part of {change}", draft(parts=spoil),
            invalid("manifest_invalid", "layers["),
        )  # fmt: skip


def _with_data(store: Callable[[str, bytes], bytes]) -> Draft:
    # One part a file: which blob is the hostile one is then clear.
    return draft(
        part_bytes=WHOLE.part_bytes,
        store=lambda member, content: store(member, content) if member.endswith(_DATA) else None,
    )


def _blob(bundle: Draft) -> str:
    lines = bundle.medium()["CONTENTS.txt"].decode().splitlines()
    return next(line.split()[0] for line in lines if line.endswith(_DATA))


def _wrong_digest(files: list[FileDigest]) -> list[FileDigest]:
    wrong = Digest.of(b"other").hex
    return [
        FileDigest(path=file.path, digest=wrong) if file.path.endswith(_DATA) else file
        for file in files
    ]


def _numbered(parts: list[Part]) -> list[Part]:
    """Number the parts of each file anew, so that their names fit their places."""
    files = [part.file for part in parts]
    return [
        _changed(part, index=files[:at].count(part.file), count=files.count(part.file))
        for at, part in enumerate(parts)
    ]


def _data_at(parts: list[Part]) -> int:
    return next(number for number, part in enumerate(parts) if part.file.endswith(_DATA))


def _reorder(parts: list[Part]) -> list[Part]:
    at = _data_at(parts)
    return [*parts[:at], parts[at + 1], parts[at], *parts[at + 2 :]]


def _without(parts: list[Part], index: int) -> list[Part]:
    at = _data_at(parts)
    return [part for number, part in enumerate(parts) if number != at + index - 1]


def _insert(parts: list[Part], index: int) -> list[Part]:
    at = _data_at(parts) + index
    return [*parts[: at + 1], parts[at], *parts[at + 1 :]]


def _changed(part: Part, **changes: int) -> Part:
    fields = {name: getattr(part, name) for name in Part.__dataclass_fields__}
    return forged(Part, **{**fields, **changes})
