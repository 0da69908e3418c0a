"""The audit entries about one model's worker: loaded, refused, unloaded, died, started again.

A load waits until its entry is on the disk; the others are about what happened already and are
queued. Where the log cannot take them, the server refuses requests anyway (`AuditQueue.ready`).
"""

import logging

from sealift.manifests.errors import SealiftError
from sealift.runtime.audit.entry import Field, Kind
from sealift.runtime.engine.errors import AuditUnavailableError
from sealift.runtime.engine.fleet.audit_queue import AuditQueue
from sealift.runtime.engine.request import Loaded

__all__ = ["ModelLog"]

# An entry of the log has a size; a worker may say anything.
_REASON_CHARS_MAX = 1000
_logger = logging.getLogger(__name__)


class ModelLog:
    """What is written about one version of one model."""

    def __init__(self, queue: AuditQueue, *, label: str, digest: str) -> None:
        self._queue = queue
        self._model: dict[str, Field] = {"model": label, "digest": digest}

    async def loaded(self, loaded: Loaded) -> None:
        """Record a load.

        Raises:
            AuditUnavailableError: no evidence could be left.
        """
        await self._queue.record(
            Kind.MODEL_LOAD,
            **self._model,
            variant=loaded.variant,
            verified_bytes=loaded.verified_bytes,
            prepacked=loaded.prepacked,
            isolation=loaded.isolation,
        )

    async def refused(self, error: SealiftError) -> None:
        """Record a refusal.

        Raises:
            AuditUnavailableError: no evidence could be left.
        """
        reason = error.message[:_REASON_CHARS_MAX]
        await self._queue.record(
            Kind.MODEL_LOAD_REFUSED, **self._model, code=error.code, reason=reason
        )

    def unloaded(self, why: str, *, cut_requests: int) -> None:
        """Queue the entry of an unload; `cut_requests` had no complete answer yet."""
        self._put(Kind.MODEL_UNLOAD, reason=why, cut_requests=cut_requests)

    def died(self, last_words: str, *, was_killed: bool, served_s: float) -> None:
        """Queue the entry of a death; `was_killed`: by us, because it hung."""
        self._put(
            Kind.WORKER_KILL if was_killed else Kind.WORKER_CRASH,
            reason=last_words[:_REASON_CHARS_MAX],
            served_ms=int(served_s * 1000),
        )

    def restarted(self, deaths: int) -> None:
        """Queue the entry of a restart after as many deaths in a row."""
        self._put(Kind.WORKER_RESTART, deaths=deaths)

    def _put(self, kind: Kind, **fields: Field) -> None:
        try:
            self._queue.put(kind, **self._model, **fields)
        except AuditUnavailableError as error:
            _logger.error("%s: %s", kind.value, error)
