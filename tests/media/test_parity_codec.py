"""Any shards that are enough give all others back, byte for byte; fewer give an error."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import reed_solomon_leopard
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.manifests.parity import Parity
from sealift.media.errors import MediumError, ParityCountError
from sealift.media.parity_codec import (
    CODE_BLOCK_BYTES,
    ShardReader,
    rebuild,
    repair_count,
    window_bytes,
    write_parity,
)
from sealift.media.shards import BlobReader, MemoryReader
from tests.media.make_parity_vector import VECTOR, shards
from tests.media.parity_reference import repair_shards

MIB = 1 << 20


def quiet(count: int) -> None:
    """Report nothing."""


class Collected:
    """A sink in memory; refuses what does not come in order."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, offset: int, data: memoryview) -> None:
        """Append."""
        assert offset == len(self.data)
        self.data += data


def make(
    data: Sequence[bytes], count: int, folder: Path, shard_bytes: int = 0
) -> tuple[Parity, list[Path]]:
    """Write the repair blobs of shards in memory."""
    shard_bytes = shard_bytes or -(-max(map(len, data)) // 512) * 512
    digests = write_parity(
        [MemoryReader(each) for each in data],
        shard_bytes=shard_bytes, count=count, folder=folder, advance=quiet,
    )  # fmt: skip
    names = tuple(digest.hex for digest in digests)
    parity = Parity(code="leopard-rs16", shard_bytes=shard_bytes, blobs=names)
    return parity, [folder / name for name in names]


def restore(
    data: Sequence[bytes], parity: Parity, blobs: Sequence[Path], lost: Sequence[int],
    lost_repair: Sequence[int] = (),
) -> list[bytes]:  # fmt: skip
    """Rebuild shards from the others; returns them without padding."""
    sinks = [Collected() for _ in lost]
    kept: dict[int, ShardReader] = {
        index: MemoryReader(each) for index, each in enumerate(data) if index not in lost
    }
    repair: dict[int, ShardReader] = {
        index: BlobReader(path, parity.shard_bytes)
        for index, path in enumerate(blobs)
        if index not in lost_repair
    }
    rebuild(
        kept, repair, shard_count=len(data), parity=parity, lost=lost, targets=sinks, advance=quiet
    )
    for index, sink in zip(lost, sinks, strict=True):
        assert len(sink.data) == parity.shard_bytes
        assert not any(sink.data[len(data[index]) :])
    return [bytes(sink.data[: len(data[i])]) for i, sink in zip(lost, sinks, strict=True)]


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_any_lost_shards_up_to_the_number_of_repair_blobs_come_back(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 9), label="repair")
    contents = data.draw(st.lists(st.binary(min_size=1, max_size=1500), min_size=1, max_size=24))
    kinds = range(len(contents) + count)
    lost = data.draw(st.sets(st.sampled_from(kinds), max_size=count), label="lost")
    lost_data = [index for index in sorted(lost) if index < len(contents)]
    lost_repair = [index - len(contents) for index in lost if index >= len(contents)]
    with TemporaryDirectory() as folder:
        parity, blobs = make(contents, count, Path(folder))
        got = restore(contents, parity, blobs, lost_data, lost_repair)
    assert got == [contents[index] for index in lost_data]


@given(st.integers(1, 40), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_one_more_lost_is_refused(shard_count: int, count: int) -> None:
    contents = shards(shard_count, 512)
    lost = list(range(min(count + 1, shard_count)))
    lost_repair = list(range(count + 1 - len(lost)))
    with TemporaryDirectory() as folder:
        parity, blobs = make(contents, count, Path(folder))
        with pytest.raises(ValueError, match=f"expected {shard_count}"):
            restore(contents, parity, blobs, lost, lost_repair)


@given(st.integers(2, 30), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_the_code_is_the_one_that_its_definition_gives(shard_count: int, count: int) -> None:
    contents = shards(shard_count, CODE_BLOCK_BYTES)
    with TemporaryDirectory() as folder:
        _, blobs = make(contents, count, Path(folder), CODE_BLOCK_BYTES)
        assert [path.read_bytes() for path in blobs] == repair_shards(contents, count)


@pytest.mark.parametrize("case", json.loads(VECTOR.read_text()), ids=lambda case: str(case))
def test_frozen_vector(case: dict[str, int | str], tmp_path: Path) -> None:
    contents = shards(int(case["shards"]), int(case["bytes"]))
    _, blobs = make(contents, int(case["repair"]), tmp_path, int(case["bytes"]))
    assert blobs[0].read_bytes().hex() == case["first"]
    joined = b"".join(path.read_bytes() for path in blobs)
    assert hashlib.sha256(joined).hexdigest() == case["sha256"]


def test_the_only_part_is_coded_with_a_shard_of_zeros(tmp_path: Path) -> None:
    """Otherwise every repair blob were the part itself, and lost with it."""
    (content,) = shards(1, 1024)
    parity, blobs = make([content], 3, tmp_path)
    assert len({content, *(path.read_bytes() for path in blobs)}) == 4
    assert blobs[0].read_bytes()[:64] == repair_shards([content[:64], bytes(64)], 3)[0]
    assert restore([content], parity, blobs, [0], [0, 2]) == [content]


def test_many_shards(tmp_path: Path) -> None:
    contents = shards(700, 1024)
    count = repair_count(700, 10)
    parity, blobs = make(contents, count, tmp_path)
    lost = list(range(5, 5 + 7 * (count - 8), 7))
    assert restore(contents, parity, blobs, lost, range(8)) == [contents[i] for i in lost]


def test_windows_and_steps_do_not_show_in_the_result(tmp_path: Path) -> None:
    contents = shards(30, 2 * MIB + 512)
    parity, blobs = make(contents, 4, tmp_path)
    assert window_bytes(30, 4, parity.shard_bytes) < parity.shard_bytes
    assert [path.read_bytes() for path in blobs] == reed_solomon_leopard.encode(contents, 4)
    assert restore(contents, parity, blobs, [0, 7, 29], [2]) == [contents[i] for i in (0, 7, 29)]


@given(st.integers(1, 16384), st.integers(1, 16384), st.integers(1, 131076))
def test_windows_are_bounded_and_whole(shard_count: int, count: int, blocks: int) -> None:
    window = window_bytes(shard_count, count, blocks * 512)
    assert 0 < window <= blocks * 512
    assert window % CODE_BLOCK_BYTES == 0
    assert window * (shard_count + count) <= 32 * MIB


_MEASURED = """
import sys
from pathlib import Path
from sealift.manifests.parity import Parity
from sealift.media.parity_codec import rebuild, write_parity
from sealift.media.shards import BlobReader

class Pattern:
    def read(self, offset, into): into[:] = bytes([offset & 255]) * len(into)

class Nowhere:
    def write(self, offset, data): pass

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

folder, size, quiet = Path(sys.argv[1]), 8 << 20, lambda count: None
before = peak()
made = write_parity([Pattern()] * 40, shard_bytes=size, count=10, folder=folder, advance=quiet)
parity = Parity(code="leopard-rs16", shard_bytes=size, blobs=tuple(each.hex for each in made))
repair = {i: BlobReader(folder / each.hex, size) for i, each in enumerate(made)}
rebuild({i: Pattern() for i in range(10, 40)}, repair, shard_count=40, parity=parity,
        lost=range(10), targets=[Nowhere()] * 10, advance=quiet)
print(peak() - before)
"""


def test_memory_is_bounded_whatever_the_shards_hold(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path)],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert int(done.stdout) < 100 * 1024, "of 400 MiB, in KiB"


def test_only_the_repair_blobs_asked_for_are_written(tmp_path: Path) -> None:
    contents = shards(6, 512)
    all_of_them, some = tmp_path / "all", tmp_path / "some"
    all_of_them.mkdir()
    some.mkdir()
    parity, _ = make(contents, 4, all_of_them)
    digests = write_parity(
        [MemoryReader(each) for each in contents],
        shard_bytes=512, count=4, folder=some, advance=quiet, only=frozenset({1, 3}),
    )  # fmt: skip
    assert tuple(digest.hex for digest in digests) == parity.blobs
    assert {path.name for path in some.iterdir()} == {parity.blobs[1], parity.blobs[3]}


def test_a_shard_that_ends_early_leaves_nothing_behind(tmp_path: Path) -> None:
    blobs, source = tmp_path / "blobs", tmp_path / "short"
    blobs.mkdir()
    source.write_bytes(bytes(700))
    readers: list[ShardReader] = [MemoryReader(bytes(1024)), BlobReader(source, 1024)]
    with pytest.raises(MediumError, match="ends at byte 700, expected 324 more"):
        write_parity(readers, shard_bytes=1024, count=2, folder=blobs, advance=quiet)
    assert list(blobs.iterdir()) == []


@pytest.mark.parametrize("shard_bytes", [0, -64, 63, 100])
def test_lengths_that_are_not_whole_code_blocks(shard_bytes: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        write_parity(
            [MemoryReader(b"x")], shard_bytes=shard_bytes, count=1, folder=tmp_path, advance=quiet
        )
    assert list(tmp_path.iterdir()) == []


@given(st.integers(1, 2000), st.integers(1, 80))
def test_repair_count_is_the_smallest_that_keeps_its_word(part_count: int, percent: int) -> None:
    count = repair_count(part_count, percent)
    assert 100 * count >= percent * (part_count + count)
    assert 100 * (count - 1) < percent * (part_count + count - 1)


@pytest.mark.parametrize(
    ("part_count", "percent", "count"),
    [
        (1, 10, 1),
        (16, 10, 2),
        (90, 10, 10),
        (91, 10, 11),
        (640, 10, 72),
        (1000, 0.1, 2),
        (9, 50, 9),
    ],
)
def test_repair_counts(part_count: int, percent: float, count: int) -> None:
    assert repair_count(part_count, percent) == count


@pytest.mark.parametrize("percent", [0, -1, 100, 150, 99.99])
def test_shares_that_cannot_be(percent: float) -> None:
    with pytest.raises(ParityCountError):
        repair_count(640, percent)
