"""Write a medium as one stream: a plain tar, for a pipe or a one-way link.

    plan = plan_stream(source)
    write_stream(source, plan, out, repeat=3, advance=advance)

A round is, in this order, each as a ustar member with mode 0644 and mtime 0:

1. `oci-layout`, `index.json`; every small blob, by its digest; custody records, by their number;
   `README.txt`, `CONTENTS.txt`, `volume.json` if any; the custody records once more; `SHA256SUMS`,
   which says that the metadata are complete.
2. The parts, in the order of bundles and their manifests, each blob once; then the repair parts.

The end-of-archive mark comes once, after the last round: any tar reads the whole, and of repeated
members keeps the last. Every blob is compared with its digest before its first byte is sent.

No signature is judged: who sends needs no key.
"""

import mmap
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.layout import CONTENTS, INDEX, OCI_LAYOUT, README, SHA256SUMS
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import blob_path
from sealift.manifests.progress import Advance
from sealift.manifests.volume import VOLUME
from sealift.media.blob_check import BlobRef, expect_blob
from sealift.media.errors import MediumError, ReaderGoneError
from sealift.media.medium import ClaimedMedium, read_unverified
from sealift.media.source import MediumSource
from sealift.media.stream_member import is_custody

__all__ = ["ByteSink", "StreamPlan", "plan_stream", "write_stream"]

_STEP_BYTES = 1 << 20
_BUFFER_BYTES = (LIMITS.blob_bytes + mmap.PAGESIZE) & -mmap.PAGESIZE


class ByteSink(Protocol):
    """Where bytes go."""

    def write(self, data: memoryview, /) -> int | None:
        """Take bytes from the start of `data` and return how many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What one round sends, in order."""

    metadata: tuple[tuple[str, bytes], ...]
    blobs: tuple[BlobRef, ...]

    @property
    def round_bytes(self) -> int:
        """Length of a round."""
        sizes = (*(len(data) for _, data in self.metadata), *(b.size_bytes for b in self.blobs))
        return sum(ustar.BLOCK_BYTES + size + len(ustar.padding(size)) for size in sizes)


def plan_stream(source: MediumSource) -> StreamPlan:
    """Read a medium's metadata and see that all of its parts are there.

    Raises:
        MediumError: it is not in order, or parts are missing.
        SignatureError, ManifestError: as `read_unverified` says.
    """
    medium = read_unverified(source)
    sizes = source.listing()
    medium.check_files(sizes)
    blobs = _blobs(medium)
    for blob in blobs:
        path = blob_path(blob.digest)
        if sizes.get(path) != blob.size_bytes:
            got = f"got {sizes[path]}" if path in sizes else "it is missing"
            raise MediumError(path, f"expected {blob.size_bytes} bytes, {got} (for {blob.label})")
    names = _metadata_order(medium, sizes)
    files = {name: source.read(name, size_max=LIMITS.json_bytes) for name in set(names)}
    return StreamPlan(metadata=tuple((name, files[name]) for name in names), blobs=blobs)


def write_stream(
    source: MediumSource, plan: StreamPlan, out: ByteSink, *, repeat: int, advance: Advance
) -> None:
    """Send rounds, and the end mark.

    Args:
        repeat: how many rounds; 0: until the reader goes.

    Raises:
        MediumError: a blob is not what its digest says; nothing of it was sent.
        MediumReadError: the medium cannot be read.
        ReaderGoneError: the reader closed the pipe.
    """
    rounds = 0
    try:
        while not repeat or rounds < repeat:
            _write_round(source, plan, out, advance)
            rounds += 1
        _write(out, ustar.TRAILER)
    except BrokenPipeError as error:
        raise ReaderGoneError(rounds) from error


def _write_round(source: MediumSource, plan: StreamPlan, out: ByteSink, advance: Advance) -> None:
    for path, data in plan.metadata:
        advance(_write_member(out, path, data))
    for blob, content in _verified(source, plan.blobs):
        advance(_write_member(out, blob_path(blob.digest), content))


def _verified(
    source: MediumSource, blobs: Sequence[BlobRef]
) -> Iterator[tuple[BlobRef, memoryview]]:
    """Give each blob once it is what its digest says; one is read while the one before is sent."""
    buffers = [mmap.mmap(-1, _BUFFER_BYTES) for _ in range(2)]
    source.plan_reads([blob.digest for blob in blobs])
    with ThreadPoolExecutor(1, thread_name_prefix="stream") as executor:
        upcoming = [
            executor.submit(_load, source, blob, memoryview(buffers[0])) for blob in blobs[:1]
        ]
        for place, blob in enumerate(blobs):
            data = upcoming.pop().result()
            if place + 1 < len(blobs):
                spare = memoryview(buffers[(place + 1) % 2])
                upcoming.append(executor.submit(_load, source, blobs[place + 1], spare))
            yield blob, data


def _load(source: MediumSource, blob: BlobRef, into: memoryview) -> memoryview:
    done = 0
    with source.open_part(blob.digest, blob.size_bytes) as stream:
        while done < blob.size_bytes and (count := stream.readinto(into[done:])):
            done += count
    data = into[: min(done, blob.size_bytes)]
    expect_blob(blob, done, Digest.of(data).hex)
    return data


def _write_member(out: ByteSink, path: str, data: bytes | memoryview) -> int:
    padding = ustar.padding(len(data))
    _write(out, ustar.header(path, len(data)))
    _write(out, data)
    _write(out, padding)
    return ustar.BLOCK_BYTES + len(data) + len(padding)


def _write(out: ByteSink, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[out.write(view[:_STEP_BYTES]) or 0 :]


def _blobs(medium: ClaimedMedium) -> tuple[BlobRef, ...]:
    here = medium.payload
    blobs: dict[str, BlobRef] = {}
    for carried in medium.bundles:
        for part in carried.layout.parts:
            blobs[blob_path(part.blob)] = BlobRef(
                digest=part.blob, size_bytes=part.blob_bytes, label=part.member
            )
    for carried in medium.bundles:
        for item in carried.layout.repair:
            digest = item.checked_digest
            blobs[blob_path(digest)] = BlobRef(
                digest=digest, size_bytes=item.size, label=f"repair of {carried.reference}"
            )
    return tuple(blob for path, blob in blobs.items() if path in here)


def _metadata_order(medium: ClaimedMedium, sizes: Mapping[str, int]) -> list[str]:
    custody = sorted(path for path in sizes if is_custody(path))
    files = medium.metadata
    first, last = (OCI_LAYOUT, INDEX), (README, CONTENTS, VOLUME)
    blobs = sorted(set(files) - {*first, *last, SHA256SUMS})
    return [
        *first, *blobs, *custody, *(name for name in last if name in files), *custody, SHA256SUMS
    ]  # fmt: skip
