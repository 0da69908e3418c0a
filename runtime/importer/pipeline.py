"""Take parts in parallel, each byte of the medium read once, and put them in their files.

One task a part, started in the order of the manifest: load and verify the part, write its content
to its place, note it in the journal, then, in the file's order, add it to the file's SHA-256. The
last part of a file compares that with the signed digest and finishes the file. Memory is the pool
of buffers.

Tasks start in order, so the part that one waits for is running or done; and a part holds two
buffers only while it is decoded, so one buffer more than there are workers is always enough.

A part that is damaged or missing stops nothing but its own file: the others are taken, so that the
next run, or a repair, needs this one only.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sealift.manifests.part import Part
from sealift.manifests.progress import Advance
from sealift.media.errors import MediumError, MediumReadError
from sealift.media.part_reader import CONTENT_START, BufferPool, load_local, load_part
from sealift.media.source import MediumSource
from sealift.runtime.importer.journal import Journal
from sealift.runtime.importer.plan import Origin, Take
from sealift.runtime.importer.staged_file import StagedFile

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Lost", "default_workers", "take_parts"]

_WORKERS_MAX = 8
_BUFFERS_BYTES_MAX = 256 << 20

Lost = dict[Part, MediumError | MediumReadError]


def default_workers(part_bytes: int) -> int:
    """Return how many parts to take at a time, with one buffer more than that.

    More than there are processors, for most of a part's time is waiting for one of two disks; and
    no more than the memory allows, which parts of 64 MiB fill with three.
    """
    by_memory = _BUFFERS_BYTES_MAX // part_bytes - 1 if part_bytes else _WORKERS_MAX
    return max(2, min(_WORKERS_MAX, 2 * (os.cpu_count() or 1) + 2, by_memory))


def take_parts(
    source: MediumSource,
    takes: Sequence[Take],
    targets: Mapping[str, StagedFile],
    journal: Journal,
    advance: Advance,
    *,
    finished: Callable[[str], None],
    workers: int | None = None,
) -> Lost:
    """Take every part that can be had, and finish every file whose parts all came in order.

    Args:
        targets: by SHA-256 of the file.
        finished: told the SHA-256 of each file that is complete and durable, from any thread.

    Returns:
        What is wrong with each part that could not be had.

    Raises:
        SpaceError, ImporterError: this host's disk failed.
        MediumError: all parts of a file are right, and the file is not: who signed it erred.
    """
    largest = max((max(t.part.tar_bytes, t.part.blob_bytes) for t in takes), default=0)
    count = workers or default_workers(largest)
    pool = BufferPool(count + 1, largest)
    run = _Run(source=source, journal=journal, pool=pool, finished=finished)
    turns = list(_turns(takes, targets))
    lost: Lost = {}
    source.plan_reads([take.part.blob for take in takes if take.origin is Origin.MEDIUM])
    with ThreadPoolExecutor(count, thread_name_prefix="import") as executor:
        tasks = [executor.submit(run.take, turn) for turn in turns]
        try:
            for turn, task in zip(turns, tasks, strict=True):
                error = task.result()
                if error is not None:
                    lost[turn.part] = error
                advance(turn.part.blob_bytes)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    return lost


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """A part, its file, and the file's running hash before and after it.

    Attributes:
        after: holds nothing, instead of a hash, once a part of the file is lost.
    """

    item: Take
    target: StagedFile
    before: "Future[_Hash | None]"
    after: "Future[_Hash | None]"

    @property
    def part(self) -> Part:
        return self.item.part

    @property
    def is_last(self) -> bool:
        return self.part.index == self.part.count - 1


def _turns(takes: Sequence[Take], targets: Mapping[str, StagedFile]) -> Iterator[_Turn]:
    previous: _Turn | None = None
    for take in takes:
        before: Future[_Hash | None] = Future()
        follows = previous is not None and previous.item.file is take.file
        if previous is not None and follows and previous.part.index == take.part.index - 1:
            before = previous.after
        else:
            # Where a part is left out in this run, the file's hash cannot go on.
            before.set_result(hashlib.sha256() if take.part.index == 0 else None)
        target = targets[take.file.sha256]
        previous = _Turn(item=take, target=target, before=before, after=Future())
        yield previous


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    source: MediumSource
    journal: Journal
    pool: BufferPool
    finished: Callable[[str], None]

    def take(self, turn: _Turn) -> MediumError | MediumReadError | None:
        """Take one part; what is wrong with it is the result, so that others go on."""
        try:
            with self._image(turn) as image:
                state = turn.before.result()
                if state is not None:
                    state.update(image[CONTENT_START : CONTENT_START + turn.part.length])
                turn.after.set_result(state)
        except (MediumError, MediumReadError) as error:
            turn.after.set_result(None)
            return error
        finally:
            turn.after.cancel()  # wakes whoever waits, if this host failed
        if turn.is_last and state is not None:
            _finish(turn, state.hexdigest())
            self.finished(turn.target.plan.sha256)
        return None

    @contextmanager
    def _image(self, turn: _Turn) -> Iterator[memoryview]:
        """Load the part and see to it that it is in its file and in the journal."""
        part, item = turn.part, turn.item
        if item.origin is Origin.STAGED:
            # Only its hash is needed; it is where it belongs.
            with self._staged(turn) as image:
                yield image
            return
        local = item.local
        loaded = (
            load_part(self.source, part, self.pool)
            if local is None
            else load_local(local.path, local.offset, part, self.pool)
        )
        with loaded as image:
            turn.target.write(image, part)
            self.journal.add(part.tar.hex)
            yield image

    @contextmanager
    def _staged(self, turn: _Turn) -> Iterator[memoryview]:
        part = turn.part
        try:
            with load_local(turn.target.path, part.offset, part, self.pool) as image:
                yield image
        except (MediumError, OSError) as error:
            self.journal.forget(part.tar.hex)
            raise MediumError(
                part.member, "was taken in an earlier run and is damaged on this host's disk",
                hint="import the medium that holds it again",
            ) from error  # fmt: skip


def _finish(turn: _Turn, sha256: str) -> None:
    plan = turn.target.plan
    if sha256 != plan.sha256:
        raise MediumError(plan.path, f"expected sha256:{plan.sha256}, got sha256:{sha256}")
    turn.target.finish()
