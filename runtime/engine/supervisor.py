"""Keep one model's worker: started by the first request, started again after it died.

A load belongs to the supervisor, not to the request that asked for it first: that client may go
away and the others still get their answers. Requests of a worker that dies fail with a clear error;
the next one starts a new worker.
"""

import asyncio
import time
from collections.abc import Callable

from sealift.manifests.errors import SealiftError
from sealift.runtime.audit.entry import Kind
from sealift.runtime.engine.audit_queue import AuditQueue
from sealift.runtime.engine.client import WorkerClient
from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

__all__ = ["Supervisor"]

# A model that was refused is hashed, and its refusal logged, at most this often.
_REFUSAL_HOLDS_S = 1.0
# An entry of the log has a size; a worker may say anything.
_REASON_CHARS_MAX = 1000


class Supervisor:
    """One version of one model.

    Args:
        label: `name:version`, for messages and the audit log.
        resolve: checks the signature against the keys trusted now and returns the source; blocking.
    """

    def __init__(
        self,
        *,
        label: str,
        digest: str,
        resolve: Callable[[], ModelSource],
        settings: EngineSettings,
        audit: AuditQueue,
    ) -> None:
        self._label = label
        self._digest = digest
        self._resolve = resolve
        self._settings = settings
        self._audit = audit
        self._worker: WorkerClient | None = None
        self._loading: asyncio.Task[WorkerClient] | None = None
        self._refused_at_s = 0.0

    @property
    def state(self) -> str:
        """`idle`, `loading` or `ready`."""
        if self._worker is not None and self._worker.is_alive:
            return "ready"
        return "idle" if self._loading is None or self._loading.done() else "loading"

    async def worker(self) -> WorkerClient:
        """Return a live worker with the model loaded.

        Raises:
            ModelIntegrityError: a file is not the signed one.
            SealiftError: the signature is not trusted, or the model cannot be run here.
        """
        if self._worker is not None and self._worker.is_alive:
            return self._worker
        if self._loading is None or (self._loading.done() and not self._refused_just_now()):
            self._loading = asyncio.create_task(self._load(), name=f"load {self._label}")
        self._worker = await asyncio.shield(self._loading)
        return self._worker

    async def stop(self) -> None:
        """End the worker, or the load of one."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
        if self._worker is not None:
            await self._worker.stop()

    def _refused_just_now(self) -> bool:
        return time.monotonic() - self._refused_at_s < _REFUSAL_HOLDS_S

    async def _load(self) -> WorkerClient:
        if self._worker is not None:
            await self._worker.stop()
            self._worker = None
        try:
            source = await asyncio.to_thread(self._resolve)
            if source.digest != self._digest:
                raise EngineError(
                    f"{self._label}: expected {self._digest}, the store has {source.digest}"
                )
            worker = await WorkerClient.start(source, self._settings)
        except SealiftError as error:
            self._refused_at_s = time.monotonic()
            await self._audit.record(
                Kind.MODEL_LOAD_REFUSED,
                model=self._label,
                digest=self._digest,
                code=error.code,
                reason=error.message[:_REASON_CHARS_MAX],
            )
            raise
        try:
            await self._record_load(worker)
        except BaseException:
            await worker.stop()
            raise
        return worker

    async def _record_load(self, worker: WorkerClient) -> None:
        loaded = worker.loaded
        if loaded is not None:
            await self._audit.record(
                Kind.MODEL_LOAD,
                model=self._label,
                digest=self._digest,
                variant=loaded.variant,
                verified_bytes=loaded.verified_bytes,
                isolation=loaded.isolation,
            )
