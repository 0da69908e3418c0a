"""Read parts in parallel and assemble files, each byte of the medium read once.

One task a part, started in the order of the manifest: load and verify the part, write its content
to its place, then, in the file's order, add it to the file's SHA-256. The last part of a file
compares that with the signed digest and finishes the file. Memory is the pool of buffers.

Tasks start in order, so the part that one waits for is running or done; and a part holds two
buffers only while it is decoded, so one buffer more than there are workers is always enough.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sealift.manifests.part import Part
from sealift.manifests.progress import Advance
from sealift.media.errors import MediumError
from sealift.media.folder import MediumFolder
from sealift.media.part_reader import CONTENT_START, BufferPool, load_part
from sealift.runtime.importer.plan import FilePlan
from sealift.runtime.importer.staged_file import StagedFile

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["assemble", "default_workers"]

_WORKERS_MAX = 3


def default_workers() -> int:
    """One more than the processors, so that one can wait for a disk; few enough for the memory."""
    return min(_WORKERS_MAX, (os.cpu_count() or 1) + 1)


def assemble(
    folder: MediumFolder,
    files: Sequence[FilePlan],
    staging: Path,
    advance: Advance,
    *,
    workers: int | None = None,
) -> None:
    """Write every file of a plan to the staging folder, verified and durable.

    Raises:
        MediumError: a part, or a whole file, is not what was signed.
        MediumReadError, SpaceError, ImporterError: a device failed.
    """
    count = workers or default_workers()
    pool = BufferPool(count + 1)
    staged = [StagedFile(staging, file) for file in files]
    pairs = zip(files, staged, strict=True)
    turns = [turn for file, target in pairs for turn in _turns(file, target)]
    try:
        with ThreadPoolExecutor(count, thread_name_prefix="import") as executor:
            tasks = [executor.submit(_take, turn, folder, pool) for turn in turns]
            try:
                for turn, task in zip(turns, tasks, strict=True):
                    task.result()
                    advance(turn.part.blob_bytes)
            finally:
                executor.shutdown(wait=True, cancel_futures=True)
    finally:
        for target in staged:
            target.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A part, its file, and the file's running hash before and after it."""

    part: Part
    plan: FilePlan
    target: StagedFile
    before: "Future[_Hash] | None"
    after: "Future[_Hash]"

    @property
    def is_last(self) -> bool:
        return self.part.index == self.part.count - 1


def _turns(plan: FilePlan, target: StagedFile) -> Iterator[_Turn]:
    before: Future[_Hash] | None = None
    for part in plan.parts:
        after: Future[_Hash] = Future()
        yield _Turn(part=part, plan=plan, target=target, before=before, after=after)
        before = after


def _take(turn: _Turn, folder: MediumFolder, pool: BufferPool) -> None:
    part = turn.part
    try:
        with load_part(folder, part, pool) as image:
            turn.target.write(image, part)
            state = hashlib.sha256() if turn.before is None else turn.before.result()
            state.update(image[CONTENT_START : CONTENT_START + part.length])
            turn.after.set_result(state)
    finally:
        turn.after.cancel()  # wakes whoever waits, if this part failed before its turn
    if turn.is_last:
        got = state.hexdigest()
        if got != turn.plan.sha256:
            raise MediumError(turn.plan.path, f"expected sha256:{turn.plan.sha256}, got {got}")
        turn.target.finish()
