"""Compare blobs with their digests, in parallel, through small buffers; nothing is decoded."""

import hashlib
import mmap
import os
import queue
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sealift.manifests.digest import Digest
from sealift.manifests.oci import blob_path
from sealift.manifests.part import Part
from sealift.manifests.progress import Advance
from sealift.media.errors import MediumError
from sealift.media.source import MediumSource

__all__ = ["BlobRef", "check_blobs", "damaged_blobs", "expect_blob", "part_refs"]

_STEP_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """A blob that must be on a medium, and what it is for, to name it in a message."""

    digest: Digest
    size_bytes: int
    label: str


def part_refs(parts: Iterable[Part]) -> tuple[BlobRef, ...]:
    """Return the blobs of parts, each once."""
    refs = {
        part.blob: BlobRef(digest=part.blob, size_bytes=part.blob_bytes, label=part.member)
        for part in parts
    }
    return tuple(refs.values())


def check_blobs(
    source: MediumSource, blobs: Sequence[BlobRef], advance: Advance, *, workers: int | None = None
) -> None:
    """Compare every blob with its digest.

    Raises:
        MediumError: the first that is wrong; the hint names more.
        MediumReadError: the device failed.
    """
    wrong = damaged_blobs(source, blobs, advance, workers=workers)
    if wrong:
        raise _first(list(wrong.values()))


def damaged_blobs(
    source: MediumSource, blobs: Sequence[BlobRef], advance: Advance, *, workers: int | None = None
) -> dict[Digest, MediumError]:
    """Read every blob and return what is wrong with those that are not what they must be.

    Raises:
        MediumReadError: the device failed.
    """
    count = workers or os.cpu_count() or 1
    wrong: dict[Digest, MediumError] = {}
    scratch: queue.SimpleQueue[mmap.mmap] = queue.SimpleQueue()
    for _ in range(count):
        scratch.put(mmap.mmap(-1, _STEP_BYTES))

    def check(blob: BlobRef) -> None:
        buffer = scratch.get()
        try:
            _hash(source, blob, memoryview(buffer))
        except MediumError as error:
            wrong[blob.digest] = error
        finally:
            scratch.put(buffer)
        advance(blob.size_bytes)

    source.plan_reads([blob.digest for blob in blobs])
    with ThreadPoolExecutor(count, thread_name_prefix="verify") as executor:
        tasks = [executor.submit(check, blob) for blob in blobs]
        try:
            for task in tasks:
                task.result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    return wrong


def expect_blob(blob: BlobRef, size_bytes: int, sha256: str) -> None:
    """Compare what was read of a blob with what it must be.

    Raises:
        MediumError: another length, or other bytes.
    """
    path = blob_path(blob.digest)
    if size_bytes != blob.size_bytes:
        raise MediumError(
            path, f"expected {blob.size_bytes} bytes, got {size_bytes} (for {blob.label})"
        )
    if sha256 != blob.digest.hex:
        raise MediumError(path, f"expected {blob.digest}, got sha256:{sha256} (for {blob.label})")


def _hash(source: MediumSource, blob: BlobRef, scratch: memoryview) -> None:
    digest, done = hashlib.sha256(), 0
    with source.open_part(blob.digest, blob.size_bytes) as stream:
        while done < blob.size_bytes:
            count = stream.readinto(scratch)
            if count == 0:
                break
            digest.update(scratch[: min(count, blob.size_bytes - done)])
            done += count
    expect_blob(blob, done, digest.hexdigest())


def _first(wrong: list[MediumError]) -> MediumError:
    first, *others = sorted(wrong, key=lambda error: error.path)
    if not others:
        return first
    return MediumError(
        first.path,
        first.message.removeprefix(f"{first.path}: "),
        hint=f"{len(wrong)} files are wrong, also {', '.join(error.path for error in others[:3])}",
    )
