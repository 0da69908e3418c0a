"""Compute repair parts, and lost parts from them, in bounded memory.

    digests = write_parity(shards, shard_bytes=longest, count=12, folder=blobs, advance=advance)

A shard is the tar image of one part, followed by zeros up to `shard_bytes`. All shards are read
side by side, a window of each at a time: about 32 MiB in all, some 80 MiB with what the code works
in, whatever the bundle's size. Every two bytes of a window are a code word of their own, so neither
windows nor steps show in the result.

Nothing here knows whether a shard is right. A wrong one gives wrong results, which the digests of
the parts (and of the repair blobs) refuse: whoever calls compares them.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import reed_solomon_leopard

from sealift.manifests.digest import Digest
from sealift.manifests.limits import LIMITS
from sealift.manifests.parity import Parity
from sealift.manifests.progress import Advance
from sealift.media.durable import sync_folder
from sealift.media.errors import ParityCountError

__all__ = [
    "CODE_BLOCK_BYTES",
    "BlockSink",
    "ShardReader",
    "coded_count",
    "rebuild",
    "repair_count",
    "window_bytes",
    "write_parity",
]

CODE_BLOCK_BYTES = 64
_WINDOW_BYTES = 32 << 20
# What the code gets at once: it fits a processor's cache, and the interpreter's lock is held for
# milliseconds only (the library does not release it).
_STEP_BYTES = 4 << 20

_Coder = Callable[[list[bytes]], list[bytes]]


class ShardReader(Protocol):
    """The tar image of one part, zero-padded to any length; or a repair blob."""

    def read(self, offset: int, into: memoryview) -> None:
        """Fill `into` with the bytes from `offset` on; zeros past the shard's own end.

        Raises:
            MediaError: missing, shorter than it should be, or the device failed.
        """
        ...


class BlockSink(Protocol):
    """Takes a rebuilt tar image, in order, padded with zeros to the length of all shards."""

    def write(self, offset: int, data: memoryview) -> None:
        """Take the next bytes; they are overwritten after the call."""
        ...


def repair_count(part_count: int, percent: float) -> int:
    """Return how many repair parts let `percent` of all parts, repair parts included, be lost.

    >>> repair_count(640, 10)
    72

    Raises:
        ParityCountError: no such share, or more repair parts than a bundle may have.
    """
    share = Fraction(str(percent))
    if not 0 < share < 100:
        raise ParityCountError(f"repair parts: expected more than 0 and under 100 %, got {percent}")
    count = -int(-(share * part_count) // (100 - share))
    if count > LIMITS.parts:
        raise ParityCountError(
            f"repair parts: {percent} % of {part_count} parts asks for {count}, "
            f"expected at most {LIMITS.parts}"
        )
    return count


def coded_count(shard_count: int) -> int:
    """Return of how many shards the code is: a bundle's only part is coded with a shard of zeros.

    Alone it would be a constant polynomial: each repair blob would equal the part, and a medium
    holds equal blobs once.
    """
    return max(shard_count, 2)


def window_bytes(shard_count: int, count: int, shard_bytes: int) -> int:
    """Return how much of every shard is in memory at once: whole code blocks."""
    window = _WINDOW_BYTES // (coded_count(shard_count) + count)
    return min(shard_bytes, max(CODE_BLOCK_BYTES, window // CODE_BLOCK_BYTES * CODE_BLOCK_BYTES))


def write_parity(
    shards: Sequence[ShardReader], *, shard_bytes: int, count: int, folder: Path, advance: Advance,
    only: frozenset[int] | None = None,
) -> tuple[Digest, ...]:  # fmt: skip
    """Compute all repair blobs and write them, each under its digest and durable.

    Until all are complete they have partial names; on failure none is left.

    Args:
        shard_bytes: length of the longest shard.
        count: how many repair blobs there are.
        only: which of them to write; the digests of all are returned.
        advance: counts bytes of the shards, padding included.

    Raises:
        MediaError: a shard could not be read.
        OSError: a blob could not be written.
    """
    coder = _encoder(len(shards), count)
    plan = _Plan(inputs=list(shards), outputs=count, shard_bytes=shard_bytes)
    hashes = [hashlib.sha256() for _ in range(count)]
    partials = {
        index: folder / f".repair-{os.getpid()}-{index}.partial"
        for index in (range(count) if only is None else sorted(only))
    }
    with ExitStack() as stack:
        for path in partials.values():
            stack.callback(path.unlink, missing_ok=True)
            path.unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        for _, blocks in _windows(plan, coder, advance):
            for index, block in enumerate(blocks):
                hashes[index].update(block)
                if index in partials:
                    _append(partials[index], block)
        digests = tuple(Digest("sha256", each.hexdigest()) for each in hashes)
        for path in partials.values():
            _sync(path)
        for index, path in partials.items():
            path.rename(folder / digests[index].hex)
        sync_folder(folder)
    return digests


def rebuild(
    data: Mapping[int, ShardReader], repair: Mapping[int, ShardReader], *, shard_count: int,
    parity: Parity, lost: Sequence[int], targets: Sequence[BlockSink], advance: Advance,
) -> None:  # fmt: skip
    """Compute lost shards from any `shard_count` of the others; the caller checks their digests.

    Args:
        data, repair: what is left, by index. No more repair blobs are read than are needed.
        lost: indices of the shards to compute.
        targets: takes each of them, in the order of `lost`.
        advance: counts bytes that were read, padding included.

    Raises:
        ValueError: too few shards; `plan_repair` says so with names, and comes first.
        MediaError: a shard could not be read.
        OSError: a target could not be written.
    """
    kept = sorted(set(data) - set(lost))
    needed = sorted(repair)[: shard_count - len(kept)]
    if len(kept) + len(needed) < shard_count:
        raise ValueError(f"{len(kept)} + {len(needed)} shards, expected {shard_count}")
    plan = _Plan(
        inputs=[data[index] for index in kept] + [repair[index] for index in needed],
        outputs=len(lost),
        shard_bytes=parity.shard_bytes,
    )
    coder = _decoder(shard_count, len(parity.blobs), kept, needed, lost)
    for offset, blocks in _windows(plan, coder, advance):
        for sink, block in zip(targets, blocks, strict=True):
            sink.write(offset, block)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    inputs: Sequence[ShardReader]
    outputs: int
    shard_bytes: int

    def __post_init__(self) -> None:
        # The library takes other lengths, but then the result would depend on the window.
        if self.shard_bytes <= 0 or self.shard_bytes % CODE_BLOCK_BYTES:
            raise ValueError(f"shards of {self.shard_bytes} bytes: expected a multiple of 64")


def _windows(
    plan: _Plan, coder: _Coder, advance: Advance
) -> Iterator[tuple[int, list[memoryview]]]:
    """Read all inputs a window at a time and yield the window of every output."""
    width = window_bytes(len(plan.inputs), plan.outputs, plan.shard_bytes)
    buffers = [memoryview(bytearray(width)) for _ in range(len(plan.inputs) + plan.outputs)]
    inputs, outputs = buffers[: len(plan.inputs)], buffers[len(plan.inputs) :]
    step = _STEP_BYTES // len(buffers) // CODE_BLOCK_BYTES * CODE_BLOCK_BYTES or CODE_BLOCK_BYTES
    for offset in range(0, plan.shard_bytes, width):
        length = min(width, plan.shard_bytes - offset)
        for shard, into in zip(plan.inputs, inputs, strict=True):
            shard.read(offset, into[:length])
            advance(length)
        for start in range(0, length, step):
            end = min(start + step, length)
            coded = coder([bytes(view[start:end]) for view in inputs])
            for view, block in zip(outputs, coded, strict=True):
                view[start:end] = block
        yield offset, [view[:length] for view in outputs]


def _encoder(shard_count: int, count: int) -> _Coder:
    if not 0 < shard_count <= LIMITS.parts or not 0 < count <= LIMITS.parts:
        raise ValueError(f"{shard_count} shards and {count} repair blobs: more than the code takes")

    def encode(blocks: list[bytes]) -> list[bytes]:
        coded: list[bytes] = reed_solomon_leopard.encode(_with_zeros(blocks, shard_count), count)
        return coded

    return encode


def _decoder(
    shard_count: int, count: int, kept: Sequence[int], needed: Sequence[int], lost: Sequence[int]
) -> _Coder:
    def decode(blocks: list[bytes]) -> list[bytes]:
        data = dict(zip(kept, blocks[: len(kept)], strict=True))
        if shard_count < coded_count(shard_count):
            data[shard_count] = bytes(len(blocks[0]))
        repair = dict(zip(needed, blocks[len(kept) :], strict=True))
        found = reed_solomon_leopard.decode(coded_count(shard_count), count, data, repair)
        return [found[index] for index in lost]

    return decode


def _with_zeros(blocks: list[bytes], shard_count: int) -> list[bytes]:
    return blocks + [bytes(len(blocks[0]))] * (coded_count(shard_count) - shard_count)


def _append(path: Path, block: memoryview) -> None:
    """Open for each block: thousands of blobs must not need as many descriptors."""
    with path.open("ab", buffering=0) as file:
        while block:
            block = block[file.write(block) :]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
