"""The cache of prepacked weights as the server owns it: who may use it, and when it is filled.

A model that was loaded without it gets an entry: a process of lowest priority writes it while the
model serves, one at a time. The entry is used from the next load on. Workers only read entries;
removing is done here. Nothing that goes wrong here fails a load or a request; it is logged.

>>> cache = PrepackCache(PrepackSettings(folder="/var/cache/sealift", key=key))  # doctest: +SKIP
>>> await cache.start()                                                         # doctest: +SKIP
>>> worker = ...  # loaded with cache.spec(source.digest)
>>> await cache.loaded(source, settings, worker.loaded)                         # doctest: +SKIP
"""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

import msgspec

from sealift.runtime.engine.prepack.disk import PrepackDisk
from sealift.runtime.engine.prepack.key import spec_for
from sealift.runtime.engine.prepack.policy import expected_bytes
from sealift.runtime.engine.prepack_spec import (
    PrepackCacheSpec,
    PrepackJob,
    PrepackOutcome,
    PrepackSettings,
    entry_name,
)
from sealift.runtime.engine.request import Loaded
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.variant import choose_variant
from sealift.runtime.engine.worker_environment import worker_environment

__all__ = ["PrepackCache"]

_WRITE_TIMEOUT_S: Final = 3600.0
_logger = logging.getLogger(__name__)


class PrepackCache:
    """The cache of one server; with a size of 0 it does nothing."""

    def __init__(self, settings: PrepackSettings) -> None:
        self._settings = settings
        self._disk = PrepackDisk(Path(settings.folder))
        self._is_on = False
        self._jobs: asyncio.Queue[PrepackJob] = asyncio.Queue()
        self._asked: set[str] = set()
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Prepare the folder and begin to write what is asked for."""
        if self._settings.size_bytes == 0:
            return
        try:
            await asyncio.to_thread(self._disk.prepare)
        except OSError as error:
            _logger.warning("no cache of prepacked weights: %s", error)
            return
        self._is_on = True
        self._writing = asyncio.create_task(self._write_all(), name="prepack")

    async def stop(self) -> None:
        """End; an entry that is being written is given up."""
        self._is_on = False
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])

    def spec(self, model_digest: str) -> PrepackCacheSpec | None:
        """Return what a worker that loads the model is given."""
        return spec_for(self._settings, model_digest) if self._is_on else None

    async def loaded(self, source: ModelSource, settings: EngineSettings, loaded: Loaded) -> None:
        """Note how a load went: the entry was used, is bad, or is yet to be written."""
        cache = self.spec(source.digest)
        if cache is None:
            return
        name = entry_name(source.digest, loaded.variant)
        if loaded.prepacked:
            await asyncio.to_thread(self._disk.mark_used, name)
            return
        if loaded.prepack_problem is not None:
            _logger.warning(
                "%s:%s: prepacked weights not used: %s",
                source.name, source.version, loaded.prepack_problem,
            )  # fmt: skip
            await asyncio.to_thread(self._disk.remove, name)
            self._asked.discard(name)
        if name not in self._asked:
            self._asked.add(name)
            self._jobs.put_nowait(PrepackJob(source=source, settings=settings, cache=cache))

    async def drain(self) -> None:
        """Wait until everything that was asked for is written or given up."""
        await self._jobs.join()

    async def _write_all(self) -> None:
        while True:
            job = await self._jobs.get()
            label = f"{job.source.name}:{job.source.version}"
            try:
                await self._write(job, label)
            except (OSError, TimeoutError, msgspec.MsgspecError) as error:
                _logger.warning("%s: weights not prepacked: %s", label, error or "took too long")
            finally:
                self._jobs.task_done()

    async def _write(self, job: PrepackJob, label: str) -> None:
        variant = choose_variant(job.source)
        if not await asyncio.to_thread(self._make_room, _bytes_of(job.source, variant)):
            _logger.info("%s: weights not prepacked: no room in the cache", label)
            return
        try:
            outcome = await _run(job)
        finally:
            self._disk.remove_partial(entry_name(job.source.digest, variant))
        if outcome.problem is not None:
            _logger.warning("%s: weights not prepacked: %s", label, outcome.problem)
            return
        _logger.info("%s: weights prepacked, %d bytes", label, outcome.size_bytes)
        await asyncio.to_thread(self._make_room, 0)  # it may be larger than was expected

    def _make_room(self, variant_bytes: int) -> bool:
        return self._disk.make_room(
            expected_bytes(variant_bytes),
            budget_bytes=self._settings.size_bytes,
            spare_bytes=self._settings.free_bytes,
        )


async def _run(job: PrepackJob) -> PrepackOutcome:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing in the current directory may shadow a module
        "-m",
        "sealift.runtime.engine.worker.prepack_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=worker_environment(),
    )
    try:
        async with asyncio.timeout(_WRITE_TIMEOUT_S):
            output, _ = await process.communicate(msgspec.msgpack.encode(job))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        return PrepackOutcome(problem=f"its process ended with exit code {process.returncode}")
    return msgspec.msgpack.decode(output, type=PrepackOutcome)


def _bytes_of(source: ModelSource, variant: str) -> int:
    return sum(file.size_bytes for file in source.files if file.path.startswith(f"{variant}/"))
