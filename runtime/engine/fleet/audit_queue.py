"""Write audit events without holding up the event loop, and without losing one in silence.

Events are appended in order by one thread at a time; those that arrive while it writes go to the
disk together, so that a busy server does not pay for one flush a request. While the log cannot be
written, `ready` raises: a server that cannot leave evidence gives no answers. What could not be
written is kept and tried again.
"""

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import Protocol

from sealift.manifests.errors import SealiftError
from sealift.runtime.audit.entry import Event, Field, Kind
from sealift.runtime.engine.errors import AuditUnavailableError

__all__ = ["AuditQueue", "AuditSink"]

_BATCH_MAX = 1000
_PENDING_MAX = 10_000
_logger = logging.getLogger(__name__)


class AuditSink(Protocol):
    """Where events go; blocking."""

    def append(self, *events: Event) -> object:
        """Append events durably, all or none.

        Raises:
            SealiftError, OSError: they are not in the log.
        """
        ...


class AuditQueue:
    """The events that are not in the log yet."""

    def __init__(self, sink: AuditSink) -> None:
        self._sink = sink
        self._pending: deque[Event] = deque()
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._is_failing = False
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write in the background."""
        self._writing = asyncio.create_task(self._write_forever(), name="audit")

    async def stop(self) -> None:
        """Write what is left and end."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._write_all()

    def put(self, kind: Kind, **fields: Field) -> None:
        """Queue an event.

        Raises:
            AuditUnavailableError: too many wait already.
        """
        if len(self._pending) >= _PENDING_MAX:
            raise AuditUnavailableError("audit log: too many events wait to be written")
        self._pending.append(Event(kind=kind, fields=fields))
        self._wake.set()

    async def record(self, kind: Kind, **fields: Field) -> None:
        """Queue an event and wait until it is in the log.

        Raises:
            AuditUnavailableError: it is not.
        """
        self.put(kind, **fields)
        await self._write_all()

    async def ready(self) -> None:
        """Return at once while the log works; else try once more.

        Raises:
            AuditUnavailableError: it still cannot be written.
        """
        if self._is_failing:
            await self._write_all()

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write_all()
            except AuditUnavailableError as error:
                _logger.error("%s", error)

    async def _write_all(self) -> None:
        async with self._lock:
            if self._pending:
                await asyncio.shield(asyncio.to_thread(self._write))

    def _write(self) -> None:
        try:
            while self._pending:
                batch = list(islice(self._pending, _BATCH_MAX))
                self._sink.append(*batch)
                for _ in batch:
                    self._pending.popleft()
        except (OSError, SealiftError) as error:
            self._is_failing = True
            raise AuditUnavailableError(f"audit log: {error}") from error
        self._is_failing = False
