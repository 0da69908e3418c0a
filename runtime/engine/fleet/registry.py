"""Which installed models there are, under which names, and how to get the worker of one.

>>> entry = await registry.find("purser")           # doctest: +SKIP
>>> lease = await registry.lease(entry)             # doctest: +SKIP
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Protocol

from sealift.manifests.recipe import Task
from sealift.runtime.engine import host
from sealift.runtime.engine.errors import EngineError, ModelNotFoundError, ModelTooLargeError
from sealift.runtime.engine.fleet.audit_queue import AuditQueue
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.fleet.fleet import Fleet
from sealift.runtime.engine.fleet.lease import Lease
from sealift.runtime.engine.fleet.model_loader import ModelLoader
from sealift.runtime.engine.fleet.model_log import ModelLog
from sealift.runtime.engine.fleet.model_status import ModelStatus
from sealift.runtime.engine.fleet.settings import FleetSettings, FleetSettingsError
from sealift.runtime.engine.fleet.supervisor import Supervisor
from sealift.runtime.engine.prepack.cache import PrepackCache
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

__all__ = ["CatalogueEntry", "ModelCatalogue", "Registry"]

# An import or removal beside the running server shows after at most this long.
_LISTING_HOLDS_S = 1.0
_logger = logging.getLogger(__name__)


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
    def id(self) -> str:
        """What a worker is kept by: whether the version is current does not matter to it."""
        return f"{self.label}@{self.digest}"


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
        self,
        catalogue: ModelCatalogue,
        settings: EngineSettings,
        audit: AuditQueue,
        fleet: FleetSettings | None = None,
        prepack: PrepackCache | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._audit = audit
        self._prepack = prepack
        self._fleet_settings = fleet or FleetSettings()
        budget = self._fleet_settings.memory_bytes
        if budget is None:
            budget = int(host.memory_bytes() * self._fleet_settings.memory_share)
        self._fleet = Fleet(self._fleet_settings, memory_bytes=budget)
        self._aliases = dict(self._fleet_settings.aliases)
        self._entries: tuple[CatalogueEntry, ...] = ()
        self._listed_at_s = float("-inf")
        self._listing_lock = asyncio.Lock()

    @property
    def memory_bytes(self) -> int:
        """What all models together may take."""
        return self._fleet.memory_bytes

    async def start(self) -> None:
        """Check the names that the settings use, and begin to load what is to be loaded.

        Raises:
            ModelNotFoundError: an alias, a pin or a preload is of no installed model.
            FleetSettingsError: an alias is the name of an installed model.
            ModelTooLargeError: what is pinned does not fit together.
        """
        entries = await self.entries()
        names = {entry.name for entry in entries}
        for alias, target in self._aliases.items():
            if alias in names:
                raise FleetSettingsError(f"alias {alias}: a model of this name is installed")
            self._entry(target)
        settings = self._fleet_settings
        pinned = [self._supervisor(self._entry(name)) for name in settings.pinned]
        await self._check_pins(pinned)
        for supervisor in pinned:
            supervisor.want()
        for name in settings.preloaded:
            self._supervisor(self._entry(name)).want()

    async def entries(self) -> tuple[CatalogueEntry, ...]:
        """List what is installed now, give or take a second."""
        async with self._listing_lock:
            if time.monotonic() - self._listed_at_s > _LISTING_HOLDS_S:
                self._entries = await asyncio.to_thread(self._catalogue.entries)
                self._listed_at_s = time.monotonic()
                self._retire()
                self._pin()
        return self._entries

    async def aliases(self) -> tuple[tuple[str, CatalogueEntry], ...]:
        """List the other names that mean a model now."""
        await self.entries()
        found = []
        for alias, target in self._aliases.items():
            try:
                found.append((alias, self._entry(target)))
            except ModelNotFoundError:
                continue  # removed since the start
        return tuple(item for item in found if item[0] not in {e.name for e in self._entries})

    async def find(self, model_id: str) -> CatalogueEntry:
        """Return the entry of `name` (its current version), `name:version` or an alias.

        Raises:
            ModelNotFoundError: there is none.
        """
        await self.entries()
        return self._entry(model_id)

    async def lease(self, entry: CatalogueEntry) -> Lease:
        """Return the entry's worker, loading the model first where needed; see `Supervisor`."""
        return await self._supervisor(entry).lease()

    async def worker(self, entry: CatalogueEntry) -> WorkerClient:
        """Return the entry's worker without keeping it: it may be unloaded at any time."""
        lease = await self.lease(entry)
        lease.release()
        return lease.worker

    def status(self, entry: CatalogueEntry) -> ModelStatus:
        """Return how a model does."""
        supervisor = self._fleet.get(entry.id)
        return ModelStatus() if supervisor is None else supervisor.status

    async def stop(self) -> None:
        """End all workers."""
        await self._fleet.stop()

    def _entry(self, model_id: str) -> CatalogueEntry:
        found = self._installed(model_id)
        # An installed name wins, also one that was imported after the start.
        if found is None and model_id in self._aliases:
            found = self._installed(self._aliases[model_id])
        if found is None:
            raise ModelNotFoundError(
                f"the model {model_id!r} is not installed",
                hint="`sealift models list` shows what is",
            )
        return found

    def _installed(self, model_id: str) -> CatalogueEntry | None:
        name, _, version = model_id.partition(":")
        for entry in self._entries:
            if entry.name == name and (entry.version == version if version else entry.is_current):
                return entry
        return None

    def _supervisor(self, entry: CatalogueEntry) -> Supervisor:
        supervisor = self._fleet.get(entry.id)
        if supervisor is None:
            log = ModelLog(self._audit, label=entry.label, digest=entry.digest)
            supervisor = Supervisor(
                id=entry.id,
                label=entry.label,
                loader=self._loader(entry, log),
                fleet=self._fleet_settings,
                log=log,
                on_change=self._fleet.review,
            )
            supervisor.is_pinned = entry.id in self._pinned_ids()
            self._fleet.add(supervisor)
        return supervisor

    def _loader(self, entry: CatalogueEntry, log: ModelLog) -> ModelLoader:
        return ModelLoader(
            label=entry.label,
            resolve=lambda: self._resolve(entry),
            settings=self._settings,
            watch=self._fleet_settings.watch,
            memory_bytes=self._fleet.memory_bytes,
            log=log,
            prepack=self._prepack,
        )

    def _resolve(self, entry: CatalogueEntry) -> ModelSource:
        source = self._catalogue.resolve(entry.name, entry.version)
        if source.digest != entry.digest:
            raise EngineError(
                f"{entry.label}: expected {entry.digest}, the store has {source.digest}"
            )
        return source

    def _pinned_ids(self) -> set[str]:
        found = (self._installed(name) for name in self._fleet_settings.pinned)
        return {entry.id for entry in found if entry is not None}

    def _pin(self) -> None:
        """Let pins follow what is current: a new version stays, the one before it may go."""
        pinned = self._pinned_ids()
        for supervisor in self._fleet.members():
            supervisor.is_pinned = supervisor.id in pinned

    async def _check_pins(self, pinned: list[Supervisor]) -> None:
        sizes = {item.label: await item.find_size() or 0 for item in pinned}
        if sum(sizes.values()) > self._fleet.memory_bytes:
            parts = ", ".join(f"{label} {size >> 20} MiB" for label, size in sizes.items())
            raise ModelTooLargeError(
                f"pinned models: expected to fit into {self._fleet.memory_bytes >> 20} MiB, "
                f"got {parts}",
                hint="pin fewer, or serve with more --memory, a smaller --context or fewer --slots",
            )

    def _retire(self) -> None:
        """Let go of workers whose model was removed or replaced."""
        installed = {entry.id for entry in self._entries}
        for supervisor in self._fleet.members():
            if supervisor.id not in installed:
                supervisor.retire()
