"""A vector: a hostile medium as data that git can hold, and what an importer must say to it.

A medium is a base (another vector's files) and changes to it. Links, FIFOs and devices are words
here, and are made when a test lays the medium out.
"""

import base64
import functools
import json
import os
import socket
import stat
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "FOLDER",
    "Change",
    "Expected",
    "Vector",
    "difference",
    "encode_changes",
    "lay_out",
    "read_changes",
    "read_vector",
]

FOLDER = Path(__file__).resolve().parent
_TEXT_BYTES_MAX = 100
_WINDOW_BYTES = 32 * 1024
_NO_DICTIONARY = b" "


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that a medium has, or has no more.

    Attributes:
        kind: file, remove, folder, link, hardlink, fifo, socket or device.
        target: of a link; of a device, its numbers, as `1:5`.
    """

    path: str
    kind: str = "file"
    data: bytes = b""
    target: str = ""

    @classmethod
    def file(cls, path: str, data: bytes) -> "Change":
        """Write a file."""
        return cls(path=path, data=data)

    def encode(self, dictionary: bytes) -> dict[str, str]:
        """Write the change as JSON; what is long is compressed, with the base as a dictionary."""
        value = {"path": self.path, "kind": self.kind}
        if self.target:
            value["target"] = self.target
        if self.data:
            value |= _encode(self.data, dictionary)
        return value

    @classmethod
    def parse(cls, value: Mapping[str, str], dictionary: bytes) -> "Change":
        """Read what `encode` wrote."""
        data = value.get("text", "").encode()
        if "zlib" in value:
            unpack = zlib.decompressobj(zdict=dictionary)
            data = unpack.decompress(base64.b64decode(value["zlib"]))
        return cls(
            path=value["path"], kind=value["kind"], data=data, target=value.get("target", "")
        )


def _encode(data: bytes, dictionary: bytes) -> dict[str, str]:
    if len(data) < _TEXT_BYTES_MAX and data.isascii():
        return {"text": data.decode()}
    pack = zlib.compressobj(9, zdict=dictionary)
    return {"zlib": base64.b64encode(pack.compress(data) + pack.flush()).decode()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How `sealift import` ends: its exit code, the code in the log, and words of the message."""

    exit: int
    code: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One attack.

    Attributes:
        row: the attack it is a case of, as the folder of its file.
        arguments: more words for `sealift import`; `KEYS/x` is a file of tests/vectors/keys.
        meanwhile: what changes after the metadata was verified, before parts are read.
    """

    row: str
    name: str
    about: str
    base: str
    changes: tuple[Change, ...]
    expected: Expected
    arguments: tuple[str, ...] = ()
    meanwhile: tuple[Change, ...] = field(default=())

    @property
    def path(self) -> Path:
        """Where it is committed, below `FOLDER`."""
        return Path("attacks", self.row, f"{self.name}.json")

    def encode(self) -> bytes:
        """Write the committed file."""
        dictionary = _dictionary(self.base)
        value: dict[str, object] = {
            "about": self.about,
            "base": self.base,
            "expected": {
                "exit": self.expected.exit,
                "code": self.expected.code,
                "words": self.expected.words,
            },
            "changes": [change.encode(dictionary) for change in self.changes],
        }
        if self.arguments:
            value["arguments"] = self.arguments
        if self.meanwhile:
            value["meanwhile"] = [change.encode(dictionary) for change in self.meanwhile]
        return (json.dumps(value, indent=1) + "\n").encode()

    def lay_out(self, folder: Path) -> None:
        """Make the medium."""
        lay_out(folder, [*read_changes(self.base), *self.changes])


def read_vector(path: Path) -> Vector:
    """Read a committed vector."""
    value = json.loads(path.read_bytes())
    expected = value["expected"]
    dictionary = _dictionary(value["base"])
    return Vector(
        row=path.parent.name,
        name=path.stem,
        about=value["about"],
        base=value["base"],
        changes=tuple(Change.parse(change, dictionary) for change in value["changes"]),
        expected=Expected(
            exit=expected["exit"], code=expected["code"], words=tuple(expected["words"])
        ),
        arguments=tuple(value.get("arguments", ())),
        meanwhile=tuple(Change.parse(change, dictionary) for change in value.get("meanwhile", ())),
    )


def read_changes(name: str) -> list[Change]:
    """Read a committed medium."""
    data = (FOLDER / "media" / f"{name}.json").read_bytes()
    return [Change.parse(value, _NO_DICTIONARY) for value in json.loads(data)]


def encode_changes(changes: Iterable[Change]) -> bytes:
    """Write a medium to commit."""
    values = [change.encode(_NO_DICTIONARY) for change in changes]
    return (json.dumps(values, indent=1) + "\n").encode()


@functools.cache
def _dictionary(base: str) -> bytes:
    # What a forged medium repeats of its base costs next to nothing then.
    changes = sorted(read_changes(base), key=lambda change: change.path, reverse=True)
    return b"".join(change.data for change in changes)[-_WINDOW_BYTES:]


def difference(base: Mapping[str, bytes], medium: Mapping[str, bytes]) -> tuple[Change, ...]:
    """Return what makes a medium of its base."""
    removed = (Change(path=path, kind="remove") for path in sorted(set(base) - set(medium)))
    written = (
        Change.file(path, medium[path]) for path in sorted(medium) if base.get(path) != medium[path]
    )
    return (*removed, *written)


def lay_out(folder: Path, changes: Iterable[Change]) -> None:
    """Apply changes to a folder, in their order."""
    for change in changes:
        path = folder / change.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.exists():
            _remove(path)
        _make(path, change, folder)


def _make(path: Path, change: Change, folder: Path) -> None:
    match change.kind:
        case "remove":
            pass
        case "file":
            path.write_bytes(change.data)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(change.target)
        case "hardlink":
            path.hardlink_to(folder / change.target)
        case "fifo":
            os.mkfifo(path)
        case "socket":
            _socket(path)
        case "device":
            major, minor = map(int, change.target.split(":"))
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        case _:
            raise ValueError(f"{change.path}: {change.kind}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink()


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)
