"""What the tables of attacks are written with: a base, its differences, and what to expect."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sealift.manifests.digest import Digest
from sealift.manifests.oci import blob_path
from sealift.manifests.recipe import Task
from tests.vectors.forge import Draft
from tests.vectors.model_files import TABLE, TEMPLATE, VARIANT, chat_files, files
from tests.vectors.sets import repairable, volume
from tests.vectors.vector import Change, Expected, Vector, difference

__all__ = [
    "BASE",
    "INSTALLED",
    "MEDIA",
    "WHOLE",
    "draft",
    "invalid",
    "on_base",
    "part_path",
    "signed",
    "untrusted",
]

#: What a test's host has installed before the attack, and the release that attacks start from.
INSTALLED = Draft(
    files=files(**{"model.onnx.data": bytes(len(TABLE))}), version="1.0.0", sequence=5
)
BASE = Draft(files=files())
WHOLE = replace(BASE, part_bytes=1 << 26)
CHAT = replace(WHOLE, files=chat_files(TEMPLATE), task=Task.CHAT)
MEDIA = {
    "installed": INSTALLED.medium(),
    "base": BASE.medium(),
    "whole": WHOLE.medium(),
    "chat": CHAT.medium(),
    "repairable": repairable(BASE),
    "volume-1": volume(BASE, 1),
    "volume-2": volume(BASE, 2),
}

INVALID = 3
UNTRUSTED = 4


def draft(**changes: object) -> Draft:
    """Return the base with some of it forged."""
    return replace(BASE, **changes)  # type: ignore[arg-type]  # the fields of a Draft, checked there


def signed(
    row: str, name: str, about: str, forgery: Draft, expected: Expected, *arguments: str
) -> Vector:
    """Return a vector of a bundle that is signed and complete."""
    base = "base" if forgery.part_bytes == BASE.part_bytes else "whole"
    return Vector(
        row=row, name=name, about=about, base=base, expected=expected, arguments=arguments,
        changes=difference(MEDIA[base], forgery.medium()),
    )  # fmt: skip


def on_base(
    row: str, name: str, about: str, changes: Iterable[Change], expected: Expected,
    meanwhile: Iterable[Change] = (),
) -> Vector:  # fmt: skip
    """Return a vector of a good medium that somebody changed."""
    return Vector(
        row=row, name=name, about=about, base="base", changes=tuple(changes), expected=expected,
        meanwhile=tuple(meanwhile),
    )  # fmt: skip


def invalid(code: str, *words: str) -> Expected:
    """Expect a refusal because something is not what it must be."""
    return Expected(exit=INVALID, code=code, words=words)


def untrusted(code: str, *words: str) -> Expected:
    """Expect a refusal because nobody whom this host trusts stands for it."""
    return Expected(exit=UNTRUSTED, code=code, words=words)


def part_path(member: str) -> str:
    """Return where a part of the base lies, by the end of its member's name."""
    for line in MEDIA["base"]["CONTENTS.txt"].decode().splitlines():
        if line.endswith(member):
            return f"blobs/sha256/{line.split()[0]}"
    raise LookupError(member)


def document_path(kind: str, medium: Mapping[str, bytes] | None = None) -> str:
    """Return where the manifest, config or signature lies."""
    return _blobs(medium or MEDIA["base"], {kind})[0]


def blob_of(data: bytes) -> str:
    """Return where a blob lies."""
    return blob_path(Digest.of(data))


def model_path(name: str) -> str:
    """Return a file's path in the model."""
    return f"{VARIANT}/{name}"


def _blobs(medium: Mapping[str, bytes], kinds: set[str]) -> list[str]:
    return list(_walk(medium["CONTENTS.txt"].decode(), kinds))


def _walk(contents: str, kinds: set[str]) -> Iterator[str]:
    for line in contents.splitlines():
        hexa, kind, *_ = line.split(" ")
        if kind in kinds:
            yield f"blobs/sha256/{hexa}"
