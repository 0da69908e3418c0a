"""The code of an entry's data: each byte and its place count, however many threads there are."""

import os
from pathlib import Path

import pytest

from sealift.runtime.engine.prepack.binding import processor_identity
from sealift.runtime.engine.prepack.key import derive_key, spec_for
from sealift.runtime.engine.prepack.seal import (
    Binding,
    BoundFile,
    PrepackError,
    Seal,
    data_code,
    encode_seal,
    parse_seal,
)
from sealift.runtime.engine.prepack_spec import PrepackSettings

CHUNK = 2 << 20
KEY = bytes(32)
SALT = bytes(range(32))
BINDING = Binding(
    format=1,
    model_digest="sha256:00",
    variant="cpu-int4",
    graph_sha256="00",
    files=(BoundFile(path="a", size_bytes=1, sha256="00", inode=2, mtime_ns=3),),
    runtime="1.32",
    processor="x",
    options=(("a", "b"),),
)
SEAL = Seal(salt=SALT, binding=BINDING, graph_sha256="00", data_bytes=5, data_code=bytes(32))


def _code(data: bytes, path: Path, *, threads: int = 2, key: bytes = KEY, salt: bytes = SALT):
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return data_code(descriptor, len(data), key=key, salt=salt, threads=threads)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
def test_the_number_of_threads_makes_no_difference(size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    assert len({_code(data, tmp_path / "x", threads=threads) for threads in (1, 2, 5)}) == 1


def test_each_change_changes_the_code(tmp_path: Path) -> None:
    data = bytes(CHUNK) + b"\1" * CHUNK + b"\2" * 100
    changed = [
        data,
        data[CHUNK : 2 * CHUNK] + data[:CHUNK] + data[2 * CHUNK :],  # two chunks changed places
        data[:-1],
        data + b"\0",
        b"\1" + data[1:],
        data[:-1] + b"\3",
        data[CHUNK:],
    ]
    codes = [_code(item, tmp_path / "x") for item in changed]
    codes.append(_code(data, tmp_path / "x", key=b"k" * 32))
    codes.append(_code(data, tmp_path / "x", salt=b"s" * 32))
    assert len(set(codes)) == len(codes)


def test_a_file_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(CHUNK))
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.raises(PrepackError, match="it ends before"):
        data_code(descriptor, 2 * CHUNK, key=KEY, salt=SALT, threads=2)
    os.close(descriptor)


def test_a_disk_that_fails_is_not_a_match() -> None:
    reading, writing = os.pipe()  # cannot be read at an offset
    with pytest.raises(OSError, match="seek"):
        data_code(reading, 2 * CHUNK, key=KEY, salt=SALT, threads=2)
    os.close(reading)
    os.close(writing)


def test_a_seal_comes_back_with_its_key_alone() -> None:
    data = encode_seal(SEAL, KEY)
    assert parse_seal(data, KEY) == SEAL
    for bad, key in [
        (data, b"k" * 32),
        (data[:-1], KEY),
        (data + b"\0", KEY),
        (b"", KEY),
        (bytes(32) + data[32:], KEY),
        (data[:40] + bytes([data[40] ^ 1]) + data[41:], KEY),
    ]:
        with pytest.raises(PrepackError, match="not written with this host's key"):
            parse_seal(bad, key)


def test_keys_differ_by_model_and_purpose_and_are_never_printed() -> None:
    settings = PrepackSettings(folder="/x", key=b"secret-secret-secret-secret-secr")
    one, two = spec_for(settings, "sha256:01"), spec_for(settings, "sha256:02")
    assert one.key != two.key
    assert derive_key(KEY, purpose=b"a") != derive_key(KEY, purpose=b"b")
    for printed in (repr(settings), repr(one), f"{one}"):
        assert "secret" not in printed
        assert "key" not in printed


CPU = "processor: 0\nmodel name: A\nflags: avx2 sha_ni\ncpu MHz: 1000\n"


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (CPU.replace("1000", "2000"), True),
        (CPU + "\n" + CPU.replace("processor: 0", "processor: 1"), True),
        (CPU.replace("model name: A", "model name: B"), False),
        (CPU.replace("avx2", "avx2 avx512f"), False),
        (CPU + "\n" + CPU.replace("avx2 ", ""), False),
        ("", False),
    ],
)
def test_a_processor_is_known_by_what_it_can(other: str, is_same: bool) -> None:
    assert (processor_identity(other) == processor_identity(CPU)) is is_same
