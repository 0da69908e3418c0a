"""Change one thing on a medium, as a seed says: the same seed changes the same thing."""

import os
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KINDS", "STREAM_KINDS", "Mutation", "classes", "mutate", "mutate_stream"]

_NAMES = (
    "autorun.inf", "index.json~", "x", "blobs/x", "blobs/sha256/x", "blobs/sha256/" + "0" * 64,
    "blobs/sha512/" + "0" * 128, "custody/00001.sigstore.json", "custody/00009.sigstore.json",
    "custody/x", "volume.json", "VOLUME.JSON", "Index.json", "trust/root.json", "a\nb", "\u202ex",
    "blobs/sha256/\udcff", ".git/config", "models/demo/2.0.0/x", " ", "-rf",
)  # fmt: skip
_DOCUMENTS = {
    "index.json": "index", "oci-layout": "oci-layout", "README.txt": "readme",
    "CONTENTS.txt": "contents", "SHA256SUMS": "sums", "volume.json": "volume",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """What was done: a kind, to a file of a class, and how exactly."""

    kind: str
    file_class: str
    what: str


def classes(medium: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Group a medium's files by what they are."""
    kinds = {
        f"blobs/sha256/{hexa}": "part" if kind in ("raw", "zstd") else kind
        for hexa, kind, *_ in map(str.split, medium["CONTENTS.txt"].decode().splitlines())
    }
    found: dict[str, list[str]] = {}
    for path in sorted(medium):
        default = "custody" if path.startswith("custody/") else "referrer"
        found.setdefault(_DOCUMENTS.get(path) or kinds.get(path, default), []).append(path)
    return found


def mutate(folder: Path, medium: Mapping[str, bytes], seed: str) -> Mutation:
    """Change one thing on a medium that lies in a folder."""
    source = random.Random(seed)
    kind = source.choice(list(KINDS))
    groups = classes(medium)
    file_class = source.choice(list(groups))
    path = source.choice(groups[file_class])
    what = KINDS[kind](source, folder, path, sorted(medium))
    return Mutation(kind=kind, file_class=file_class, what=what)


STREAM_KINDS = ("flip a byte", "cut", "drop", "insert", "repeat", "swap", "zero", "twice")


def mutate_stream(stream: bytes, seed: str) -> tuple[bytes, Mutation]:
    """Change one thing of a stream, as a link or an attacker might."""
    source = random.Random(seed)
    kind = source.choice(STREAM_KINDS)
    at, end = sorted(source.sample(range(len(stream)), 2))
    end = min(end, at + source.choice([1, 512, 2048, 16384]))
    before, middle, behind = stream[:at], stream[at:end], stream[end:]
    data = {
        "flip a byte": before + bytes([middle[0] ^ source.randrange(1, 256)]) + stream[at + 1 :],
        "cut": before,
        "drop": before + behind,
        "insert": before + source.randbytes(end - at) + middle + behind,
        "repeat": before + middle + middle + behind,
        "swap": behind[: len(behind) // 2] + middle + before + behind[len(behind) // 2 :],
        "zero": before + bytes(end - at) + behind,
        "twice": before + stream,
    }[kind]
    return data, Mutation(kind=kind, file_class="stream", what=f"bytes {at} to {end}")


_Change = Callable[[random.Random, Path, str, list[str]], str]


def _flip(source: random.Random, folder: Path, path: str, _: list[str]) -> str:
    data = bytearray((folder / path).read_bytes())
    at, bits = source.randrange(len(data)), source.randrange(1, 256)
    data[at] ^= bits
    (folder / path).write_bytes(data)
    return f"{path}: byte {at} ^= {bits}"


def _truncate(source: random.Random, folder: Path, path: str, _: list[str]) -> str:
    size = source.randrange((folder / path).stat().st_size)
    os.truncate(folder / path, size)
    return f"{path}: truncated to {size} bytes"


def _insert_bytes(source: random.Random, folder: Path, path: str, _: list[str]) -> str:
    data = (folder / path).read_bytes()
    at, more = source.choice([0, len(data), source.randrange(len(data))]), source.randbytes(3)
    (folder / path).write_bytes(data[:at] + more + data[at:])
    return f"{path}: {more.hex()} inserted at {at}"


def _delete_bytes(source: random.Random, folder: Path, path: str, _: list[str]) -> str:
    data = (folder / path).read_bytes()
    at, count = source.randrange(len(data)), source.randrange(1, 64)
    (folder / path).write_bytes(data[:at] + data[at + count :])
    return f"{path}: {count} bytes deleted at {at}"


def _swap(source: random.Random, folder: Path, path: str, paths: list[str]) -> str:
    other = source.choice([item for item in paths if item != path])
    (folder / path).rename(folder / ".aside")
    (folder / other).rename(folder / path)
    (folder / ".aside").rename(folder / other)
    return f"{path} and {other} swapped"


def _copy_over(source: random.Random, folder: Path, path: str, paths: list[str]) -> str:
    other = source.choice([item for item in paths if item != path])
    shutil.copyfile(folder / path, folder / other)
    return f"{path} copied over {other}"


def _new_name(source: random.Random, folder: Path, paths: list[str]) -> Path:
    hexa = f"blobs/sha256/{source.randbytes(32).hex()}"
    name = source.choice([item for item in (*_NAMES, hexa) if item not in paths])
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    return folder / name


def _copy(source: random.Random, folder: Path, path: str, paths: list[str]) -> str:
    target = _new_name(source, folder, paths)
    shutil.copyfile(folder / path, target)
    return f"{path} copied to {str(target.relative_to(folder))!a}"


def _rename(source: random.Random, folder: Path, path: str, paths: list[str]) -> str:
    target = _new_name(source, folder, paths)
    (folder / path).rename(target)
    return f"{path} renamed to {str(target.relative_to(folder))!a}"


def _insert(source: random.Random, folder: Path, _: str, paths: list[str]) -> str:
    target, data = _new_name(source, folder, paths), source.randbytes(source.choice([0, 10, 2048]))
    target.write_bytes(data)
    return f"{str(target.relative_to(folder))!a}: {len(data)} bytes added"


def _delete(_: random.Random, folder: Path, path: str, paths: list[str]) -> str:
    (folder / path).unlink()
    return f"{path} deleted"


def _link(source: random.Random, folder: Path, path: str, paths: list[str]) -> str:
    kept = folder.parent / "aside"
    targets = [kept, folder / source.choice(paths), Path("/dev/zero"), folder, Path("nowhere")]
    target = source.choice(targets)
    shutil.copyfile(folder / path, kept)
    (folder / path).unlink()
    (folder / path).symlink_to(target)
    return f"{path} replaced by a link to {target.name}"


def _special(source: random.Random, folder: Path, path: str, paths: list[str]) -> str:
    (folder / path).unlink()
    make = source.choice([os.mkfifo, os.mkdir])
    make(folder / path)
    return f"{path} replaced: {make.__name__}"


KINDS: dict[str, _Change] = {
    "flip a byte": _flip,
    "truncate": _truncate,
    "insert bytes": _insert_bytes,
    "delete bytes": _delete_bytes,
    "swap two files": _swap,
    "copy over another file": _copy_over,
    "duplicate under another name": _copy,
    "rename": _rename,
    "insert a file": _insert,
    "delete a file": _delete,
    "replace by a link": _link,
    "replace by something else": _special,
}
