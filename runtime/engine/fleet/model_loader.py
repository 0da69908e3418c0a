"""Bring one version of one model into a worker: signature, settings, process, evidence.

>>> worker = await loader.load(uncached_bytes=1 << 30)      # doctest: +SKIP
"""

import asyncio
from collections.abc import Callable

import msgspec

from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.fleet.memory_estimate import MemoryEstimate, cache_budget
from sealift.runtime.engine.fleet.model_log import ModelLog
from sealift.runtime.engine.fleet.model_size import read_estimate
from sealift.runtime.engine.fleet.watchdog import WatchLimits
from sealift.runtime.engine.prepack.cache import PrepackCache
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

__all__ = ["ModelLoader"]


class ModelLoader:
    """The way from the store to a worker.

    Args:
        label: `name:version`, for messages.
        resolve: checks the signature against the keys trusted now and returns the source; blocking.
        memory_bytes: the budget of all models.
        prepack: the cache of prepacked weights; None: there is none.
    """

    def __init__(
        self,
        *,
        label: str,
        resolve: Callable[[], ModelSource],
        settings: EngineSettings,
        watch: WatchLimits,
        memory_bytes: int,
        log: ModelLog,
        prepack: PrepackCache | None,
    ) -> None:
        self._label = label
        self._resolve = resolve
        self._settings = settings
        self._watch = watch
        self._memory_bytes = memory_bytes
        self._log = log
        self._prepack = prepack

    async def estimate(self) -> MemoryEstimate:
        """Return how large it will be.

        Raises:
            SealiftError: the signature is not trusted, or the model cannot be run here.
        """
        source = await asyncio.to_thread(self._resolve)
        return await asyncio.to_thread(
            read_estimate, source, self._settings, memory_bytes=self._memory_bytes
        )

    async def load(self, *, uncached_bytes: int) -> WorkerClient:
        """Return a worker with the model loaded, once the log says so.

        Args:
            uncached_bytes: what the model takes without its attention cache.

        Raises:
            WorkerCrashedError: the process ended, or took too long.
            SealiftError: the signature is not trusted, a file is not the signed one, the model
                cannot be run here, or no evidence could be left.
        """
        source = await asyncio.to_thread(self._resolve)
        settings, prepack = self._worker_settings(uncached_bytes), self._prepack
        cache = None if prepack is None else prepack.spec(source.digest)
        try:
            worker = await WorkerClient.start(source, settings, watch=self._watch, cache=cache)
        except OSError as error:
            raise LoadError(f"{self._label}: no process can be started: {error}") from error
        try:
            if worker.loaded is not None:
                await self._log.loaded(worker.loaded)
                if prepack is not None:
                    await prepack.loaded(source, settings, worker.loaded)
        except BaseException:
            await worker.stop()
            raise
        return worker

    def _worker_settings(self, uncached_bytes: int) -> EngineSettings:
        budget = cache_budget(
            self._settings, memory_bytes=self._memory_bytes, other_bytes=uncached_bytes
        )
        return msgspec.structs.replace(self._settings, cache_bytes=budget)
