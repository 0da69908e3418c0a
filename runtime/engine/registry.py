"""Which installed models there are, and the worker of each that is in use.

>>> entry = await registry.find("purser")           # doctest: +SKIP
>>> worker = await registry.worker(entry)           # doctest: +SKIP
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol

from sealift.manifests.recipe import Task
from sealift.runtime.engine.audit_queue import AuditQueue
from sealift.runtime.engine.client import WorkerClient
from sealift.runtime.engine.errors import ModelNotFoundError
from sealift.runtime.engine.lease import Lease
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.supervisor import Supervisor

__all__ = ["CatalogueEntry", "ModelCatalogue", "Registry"]

# An import or removal beside the running server shows after at most this long.
_LISTING_HOLDS_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One installed version; `is_current`: it is what the bare name means."""

    name: str
    version: str
    digest: str
    task: Task
    created_s: int
    is_current: bool

    @property
    def label(self) -> str:
        """`name:version`."""
        return f"{self.name}:{self.version}"

    @property
    def key(self) -> tuple[str, str]:
        """What a worker is kept by: whether the version is current does not matter to it."""
        return self.label, self.digest


class ModelCatalogue(Protocol):
    """The store as the engine sees it; both methods block."""

    def entries(self) -> tuple[CatalogueEntry, ...]:
        """List what is installed, without checking it."""
        ...

    def resolve(self, name: str, version: str) -> ModelSource:
        """Check the version's signature against the keys trusted now and return its source.

        Raises:
            SealiftError: not installed, not signed, or not by a trusted key.
        """
        ...


class Registry:
    """The models of one server."""

    def __init__(
        self, catalogue: ModelCatalogue, settings: EngineSettings, audit: AuditQueue
    ) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._audit = audit
        self._entries: tuple[CatalogueEntry, ...] = ()
        self._listed_at_s = float("-inf")
        self._listing_lock = asyncio.Lock()
        self._supervisors: dict[tuple[str, str], Supervisor] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    async def entries(self) -> tuple[CatalogueEntry, ...]:
        """List what is installed now, give or take a second."""
        async with self._listing_lock:
            if time.monotonic() - self._listed_at_s > _LISTING_HOLDS_S:
                self._entries = await asyncio.to_thread(self._catalogue.entries)
                self._listed_at_s = time.monotonic()
                self._retire()
        return self._entries

    async def find(self, model_id: str) -> CatalogueEntry:
        """Return the entry of `name` (its current version) or `name:version`.

        Raises:
            ModelNotFoundError: there is none.
        """
        name, _, version = model_id.partition(":")
        for entry in await self.entries():
            if entry.name == name and (entry.version == version if version else entry.is_current):
                return entry
        raise ModelNotFoundError(
            f"the model {model_id!r} is not installed",
            hint="`sealift models list` shows what is",
        )

    async def worker(self, entry: CatalogueEntry) -> WorkerClient:
        """Return the entry's worker, loading the model first where needed; see `Supervisor`."""
        return await self._supervisor(entry).worker()

    async def lease(self, entry: CatalogueEntry) -> Lease:
        """Return the entry's worker, kept until the lease is released."""
        return Lease(await self.worker(entry), lambda: None)

    def states(self) -> dict[str, str]:
        """Return the state of every model that was asked for, by label."""
        return {key[0]: supervisor.state for key, supervisor in self._supervisors.items()}

    async def stop(self) -> None:
        """End all workers."""
        await asyncio.gather(*(item.stop() for item in self._supervisors.values()))
        self._supervisors.clear()
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _supervisor(self, entry: CatalogueEntry) -> Supervisor:
        supervisor = self._supervisors.get(entry.key)
        if supervisor is None:
            supervisor = self._supervisors[entry.key] = Supervisor(
                label=entry.label,
                digest=entry.digest,
                resolve=lambda: self._catalogue.resolve(entry.name, entry.version),
                settings=self._settings,
                audit=self._audit,
            )
        return supervisor

    def _retire(self) -> None:
        """Let go of workers whose model was removed or replaced."""
        installed = {entry.key for entry in self._entries}
        for key in list(self._supervisors):
            if key not in installed:
                task = asyncio.create_task(self._supervisors.pop(key).stop())
                self._stopping.add(task)
                task.add_done_callback(self._stopping.discard)
