"""A good medium, changed by somebody who holds no key."""

from collections.abc import Iterator
from dataclasses import replace

from sealift.manifests.layout import render
from tests.vectors.cases import BASE, MEDIA, blob_of, document_path, invalid, on_base, part_path
from tests.vectors.vector import Change, Vector, difference

__all__ = ["vectors"]

_BASE = MEDIA["base"]
_PART = part_path("model.onnx.data.part00001")
_OTHER = part_path("model.onnx.data.part00000")


def vectors() -> Iterator[Vector]:
    """Give the rows special-files, parts, duplicates, and what changes while it is read."""
    yield from _special_files()
    yield from _parts()
    yield from _duplicates()
    yield from _meanwhile()


def _special_files() -> Iterator[Vector]:
    row = "special-files"
    plain = invalid("medium_invalid", _PART, "expected a plain file")
    cases = {
        "symbolic-link": Change(path=_PART, kind="link", target="/etc/passwd"),
        "link-to-a-right-copy": Change(path=_PART, kind="link", target="../../copy"),
        "fifo": Change(path=_PART, kind="fifo"),
        "socket": Change(path=_PART, kind="socket"),
        "device": Change(path=_PART, kind="device", target="1:5"),
        "folder": Change(path=_PART, kind="folder"),
    }
    for name, change in cases.items():
        yield on_base(row, f"part-is-a-{name}", f"a part is a {name}", [change], plain)
    index = invalid("medium_invalid", "index.json", "expected a plain file")
    for kind, target in (("link", "blobs/x"), ("fifo", ""), ("device", "1:3"), ("folder", "")):
        change = Change(path="index.json", kind=kind, target=target)
        yield on_base(row, f"index-is-a-{kind}", f"index.json is a {kind}", [change], index)
    seal = document_path("signature")
    yield on_base(
        row, "signature-is-a-fifo", "a reader that opens it waits for ever",
        [Change(path=seal, kind="fifo")], invalid("medium_invalid", seal, "expected a plain file"),
    )  # fmt: skip
    folder = Change(path="blobs/sha256", kind="link", target="/usr")
    yield on_base(
        row, "blobs-folder-is-a-link", "the folder of blobs leads off the medium", [folder],
        invalid("medium_invalid", "blobs/sha256", "expected a folder"),
    )  # fmt: skip
    yield on_base(
        row, "hard-link-to-another-part", "two names for one file: one of them is wrong",
        [Change(path=_PART, kind="hardlink", target=_OTHER)], invalid("medium_invalid", _PART),
    )  # fmt: skip
    yield on_base(
        row, "extra-link", "a link that nothing names",
        [Change(path="blobs/sha256/x", kind="link", target="/etc")],
        invalid("medium_invalid", "blobs/sha256/x", "expected a plain file"),
    )  # fmt: skip


def _parts() -> Iterator[Vector]:
    data, other = _BASE[_PART], _BASE[_OTHER]

    flipped = bytes([*data[:600], data[600] ^ 1, *data[601:]])
    cases = {
        "truncated": ("the end of a part is missing", [Change.file(_PART, data[:-1])], _PART),
        "emptied": ("a part is empty", [Change.file(_PART, b"")], _PART),
        "longer": ("a part has a byte more", [Change.file(_PART, data + b"\0")], _PART),
        "flipped": ("one bit of a part is another", [Change.file(_PART, flipped)], _PART),
        "swapped": ("two parts stand under each other's names",
                    [Change.file(_PART, other), Change.file(_OTHER, data)], "blobs/sha256/"),
        "missing": ("a part is missing", [Change(path=_PART, kind="remove")], _PART),
        "extra-blob": ("a blob that nothing names", [Change.file(blob_of(b"more"), b"more")],
                       blob_of(b"more")),
        "extra-file": ("a file that nothing names", [Change.file("autorun.inf", b"[autorun]")],
                       "autorun.inf"),
        "extra-bidi-name": ("a name that shows as another", [Change.file("\u202egnp.exe", b"MZ")],
                            "\\u202egnp.exe"),
        "extra-folder": ("a folder that nothing names", [Change(path="more", kind="folder")],
                         "more"),
    }  # fmt: skip
    for name, (about, changes, path) in cases.items():
        yield on_base("parts", name, about, changes, invalid("medium_invalid", path))


def _duplicates() -> Iterator[Vector]:
    data = _BASE[_PART]
    yield on_base(
        "duplicates", "part-under-another-name", "a part once more, under another part's name",
        [Change.file(_OTHER, data)], invalid("medium_invalid", _OTHER),
    )  # fmt: skip
    index = _BASE["index.json"]
    start = index.index(b"[") + 1
    entries = index[start : index.rindex(b"]")]
    doubled = index[:start] + entries + b"," + index[start:]
    yield on_base(
        "duplicates", "bundle-named-twice", "index.json names one bundle twice",
        [Change.file("index.json", doubled)], invalid("medium_invalid", "index.json", "two"),
    )  # fmt: skip
    yield from _twins()


def _twins() -> Iterator[Vector]:
    # Two bundles of one name and version, both sealed by a trusted key: which one is it?
    blobs: dict[str, bytes] = {}
    twins = [BASE.layout(blobs), replace(BASE, created="2026-01-02T03:04:06Z").layout(blobs)]
    yield on_base(
        "duplicates", "two-bundles-of-one-version", "two bundles of one name and version",
        difference(_BASE, blobs | render(twins)), invalid("medium_invalid", "index.json", "two"),
    )  # fmt: skip


def _meanwhile() -> Iterator[Vector]:
    row, data = "changed-meanwhile", _BASE[_PART]
    other = bytes([*data[:600], data[600] ^ 1, *data[601:]])
    cases = {
        "other-bytes": ("a part gets other bytes of the same length", Change.file(_PART, other)),
        "shorter": ("a part is cut", Change.file(_PART, data[:700])),
        "longer": ("a part grows", Change.file(_PART, data + bytes(1 << 16))),
        "gone": ("a part goes away", Change(path=_PART, kind="remove")),
        "link": ("a part becomes a link", Change(path=_PART, kind="link", target="/dev/zero")),
        "fifo": ("a part becomes a FIFO", Change(path=_PART, kind="fifo")),
    }
    for name, (about, change) in cases.items():
        expected = invalid("medium_invalid", _PART)
        yield on_base(row, name, f"{about} after it was looked at", [], expected, [change])
