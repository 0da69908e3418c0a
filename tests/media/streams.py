"""Streams in memory, and a receiver that takes parts as an import does: in threads, over rounds."""

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.media.errors import MediumError
from sealift.media.folder import MediumFolder
from sealift.media.stream_source import StreamSource
from sealift.media.stream_tape import Readable
from sealift.media.stream_writer import StreamPlan, plan_stream, write_stream

ROUNDS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A stream and what it was made from."""

    plan: StreamPlan
    data: bytes
    repeat: int

    @property
    def blobs(self) -> dict[Digest, int]:
        """Size of every part, in the order of the stream."""
        return {blob.digest: blob.size_bytes for blob in self.plan.blobs}

    @property
    def members(self) -> list[tuple[str, int, int]]:
        """Path, and where header and content start, of every member of the first round."""
        places, at = [], 0
        sizes = [(path, len(data)) for path, data in self.plan.metadata]
        sizes += [(f"blobs/sha256/{b.digest.hex}", b.size_bytes) for b in self.plan.blobs]
        for path, size in sizes:
            places.append((path, at, at + ustar.BLOCK_BYTES))
            at += ustar.BLOCK_BYTES + size + len(ustar.padding(size))
        return places


@dataclass(slots=True)
class Got:
    """What a receiver got: digests of right parts, and the last error of each that is missing."""

    right: set[Digest] = field(default_factory=set)
    wrong: dict[Digest, MediumError] = field(default_factory=dict)
    rounds: int = 0


def send(bundle: Path, *, repeat: int = 1) -> Sent:
    """Write a bundle as a stream."""
    out = io.BytesIO()
    with MediumFolder.open(bundle) as source:
        plan = plan_stream(source)
        write_stream(source, plan, out, repeat=repeat, advance=lambda _: None)
    return Sent(plan=plan, data=out.getvalue(), repeat=repeat)


def receive(
    source: StreamSource, blobs: dict[Digest, int], *, workers: int = 3, scratch: bool = False
) -> Got:
    """Open every part, round after round, until all are right or the stream ends.

    Args:
        scratch: read through a small buffer that is used again and again.
    """
    got, missing = Got(), list(blobs)

    def take(blob: Digest) -> None:
        sha256, size = hashlib.sha256(), blobs[blob]
        buffer = memoryview(bytearray(1000 if scratch else size + 4096))
        done = 0
        try:
            with source.open_part(blob, size) as part:
                while done < size:
                    room = buffer if scratch else buffer[done : done + 20_000]
                    count = part.readinto(room)
                    if count == 0:
                        break
                    sha256.update(room[:count])
                    done += count
                if done == size:
                    assert part.readinto(buffer[:10]) == 0
        except MediumError as error:
            got.wrong[blob] = error
            return
        if sha256.hexdigest() == blob.hex:
            got.right.add(blob)

    while missing and got.rounds < ROUNDS_MAX:
        got.rounds += 1
        source.plan_reads(missing)
        with ThreadPoolExecutor(workers) as executor:
            list(executor.map(take, missing))
        missing = [blob for blob in missing if blob not in got.right]
        if missing and not source.next_round():
            break
    return got


@contextmanager
def piped(data: bytes) -> Iterator[Readable]:
    """Feed bytes through a pipe, from a thread, in pieces that fit no block."""
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb", buffering=0) as out:
            view = memoryview(data)
            try:
                while view:
                    view = view[out.write(view[:7001]) :]
            except BrokenPipeError:
                pass  # the reader had enough

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        with os.fdopen(reading, "rb") as readable:
            yield readable
    finally:
        thread.join()
