"""A bundle that takes an import a while: 48 MiB in parts of 1 MiB, half of it compressible."""

import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import zstandard

from tests.vectors.cases import BASE
from tests.vectors.forge import archive
from tests.vectors.model_files import external, files, graph, model

__all__ = ["MIB", "large_files", "seal_large"]

MIB = 1 << 20
_MEMBERS = 48
_FLOAT_BYTES = 4


@cache
def large_files() -> dict[str, bytes]:
    """Return the model's files."""
    source = random.Random(7)
    data = b"".join(_blocks(source))
    rows = len(data) // _FLOAT_BYTES
    tensor = external("big", rows, location="big.onnx.data", length=str(len(data)))
    return files(**{"model.onnx": model(graph((5, tensor))), "big.onnx.data": data})


def _blocks(source: random.Random) -> Iterator[bytes]:
    for number in range(_MEMBERS):
        noise = source.randbytes(MIB if number % 2 else MIB // 16)
        yield noise if number % 2 else struct.pack("<f", number) * (MIB // 4 - MIB // 64) + noise


def seal_large(folder: Path) -> Path:
    """Write the medium."""
    pack = zstandard.ZstdCompressor(level=1)

    def store(member: str, content: bytes) -> bytes | None:
        packed = pack.compress(archive(member, content))
        return packed if len(packed) < len(content) * 0.97 else None

    draft = replace(BASE, files=large_files(), part_bytes=MIB, store=store)
    for path, data in draft.medium().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder
