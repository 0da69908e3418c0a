"""Split a folder of files into parts and write them as blobs of an OCI layout.

    packed = pack(Path("export/files"), meta, Path("bundle"), progress)
    packed.manifest, packed.files          # what `seal` signs

Guaranteed: the same files and meta give the same bytes, whatever the number of threads; every blob
is on the disk when `pack` returns; memory is one part a thread. It signs nothing.
"""

import hashlib
import os
import queue
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sealift.bundler.output import PackError
from sealift.bundler.part_writer import PartWriter, Slice
from sealift.manifests.bundle import Manifest
from sealift.manifests.names import check_paths
from sealift.manifests.part import Part
from sealift.manifests.progress import Advance, Progress, QuietProgress
from sealift.manifests.recipe import Task
from sealift.manifests.statement import FileDigest

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["PART_BYTES", "BundleMeta", "Packed", "pack"]

PART_BYTES = 32 << 20
"""Of a part, unless told otherwise: small enough that a reader has several in hand at a time."""

_WORKERS_MAX = 6  # one part of memory each
# What a reader wants to look at before the weights: graphs, tokenizers, configs.
_SMALL_FILE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMeta:
    """What a bundle says of itself, apart from its files.

    Attributes:
        architecture: as ModelPack's config names it, e.g. `llama`.
        created: RFC 3339 UTC, from the export record: never this moment's clock.
        sequence: rises with each release of a name.
        audience: sites it is meant for; empty means any.
    """

    name: str
    version: str
    license: str
    architecture: str
    task: Task
    created: str
    sequence: int = 1
    audience: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The manifest of what was written, and the digest of each whole file."""

    manifest: Manifest
    files: tuple[FileDigest, ...]


def pack(
    files: Path,
    meta: BundleMeta,
    out: Path,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
) -> Packed:
    """Write every file below `files` as parts to `out/blobs/sha256/`.

    Args:
        part_bytes: largest part; whole pages let a reader write past the page cache.

    Raises:
        PackError: a link or special file, no file at all, or a file that changed meanwhile.
        ManifestError: a name that is not allowed, or too many files or parts.
        OSError: reading or writing failed.
    """
    blobs = out / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    slices = _slices(files, part_bytes)
    total = sum(piece.length for piece in slices)
    with (progress or QuietProgress()).step("pack", total) as advance:
        parts, digests = _write_all(
            slices, blobs, workers or _default_workers(), part_bytes, advance
        )
    manifest = Manifest(
        name=meta.name,
        version=meta.version,
        created=meta.created,
        license=meta.license,
        architecture=meta.architecture,
        parts=parts,
    )
    return Packed(manifest=manifest, files=digests)


def _default_workers() -> int:
    return min(_WORKERS_MAX, 2 * (os.cpu_count() or 1))  # half of them wait for the disk


def _slices(root: Path, part_bytes: int) -> list[Slice]:
    sizes = dict(_regular_files(root))
    if not sizes:
        raise PackError(f"{root}: expected files to pack, found none")
    check_paths(sizes)
    # Names that sort alike everywhere; small files first.
    order = sorted(sizes, key=lambda file: (sizes[file] > _SMALL_FILE_BYTES, PurePosixPath(file)))
    return [piece for file in order for piece in _split(root / file, file, sizes[file], part_bytes)]


def _regular_files(root: Path) -> Iterator[tuple[str, int]]:
    for folder, subfolders, names in os.walk(root, onerror=_raise):
        for name in (*subfolders, *names):
            path = Path(folder, name)
            info = path.lstat()
            if stat.S_ISREG(info.st_mode):
                yield path.relative_to(root).as_posix(), info.st_size
            elif not stat.S_ISDIR(info.st_mode):
                raise PackError(f"{path}: expected a plain file, got a link or special file")


def _raise(error: OSError) -> None:
    raise error


def _split(path: Path, file: str, size: int, part_bytes: int) -> Iterator[Slice]:
    count = max(1, -(-size // part_bytes))
    for index in range(count):
        offset = index * part_bytes
        length = min(part_bytes, size - offset)
        yield Slice(path=path, file=file, offset=offset, length=length, index=index, count=count)


def _write_all(
    slices: Sequence[Slice], blobs: Path, workers: int, part_bytes: int, advance: Advance
) -> tuple[tuple[Part, ...], tuple[FileDigest, ...]]:
    writers: queue.SimpleQueue[PartWriter] = queue.SimpleQueue()
    for _ in range(min(workers, len(slices))):
        writers.put(PartWriter(blobs, part_bytes))
    parts: list[Part] = []
    digests: list[FileDigest] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="pack") as pool:
        turns = list(_turns(slices))
        tasks = [pool.submit(_write_one, turn, writers) for turn in turns]
        try:
            for turn, task in zip(turns, tasks, strict=True):
                parts.append(task.result())
                advance(turn.piece.length)
                if turn.piece.index == turn.piece.count - 1:
                    digest = turn.after.result().hexdigest()
                    digests.append(FileDigest(path=turn.piece.file, digest=digest))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return tuple(parts), tuple(digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A slice, and the file's running hash before and after it.

    Tasks start in order, so the one before is running or done: waiting for it cannot dead-lock.
    """

    piece: Slice
    before: "Future[_Hash] | None"
    after: "Future[_Hash]"

    def hash_file(self, content: memoryview) -> None:
        state = hashlib.sha256() if self.before is None else self.before.result()
        state.update(content)
        self.after.set_result(state)


def _turns(slices: Sequence[Slice]) -> Iterator[_Turn]:
    before: Future[_Hash] | None = None
    for piece in slices:
        after: Future[_Hash] = Future()
        yield _Turn(piece=piece, before=before if piece.index else None, after=after)
        before = after


def _write_one(turn: _Turn, writers: "queue.SimpleQueue[PartWriter]") -> Part:
    writer = writers.get()
    try:
        return writer.write(turn.piece, turn.hash_file)
    finally:
        writers.put(writer)
        turn.after.cancel()  # wakes whoever waits, if this part failed before its turn
