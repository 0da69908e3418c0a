"""Keep one version of one model: size it, load it, start it again when it dies, let it go.

A load belongs to the supervisor, not to the request that asked for it first: that client may go
away and the others still get their answers. Requests of a worker that dies fail with a clear error;
the worker is started again, at once the first time and then after longer and longer waits. When to
load and to unload is decided for all models together, in `fleet`.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

from sealift.manifests.errors import SealiftError
from sealift.runtime.engine.errors import (
    AuditUnavailableError,
    EngineError,
    LoadError,
    ModelNotFoundError,
    ModelUnloadedError,
    WorkerCrashedError,
)
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.fleet.footprint import Footprint
from sealift.runtime.engine.fleet.lease import Lease, LeasedWorker
from sealift.runtime.engine.fleet.model_loader import ModelLoader
from sealift.runtime.engine.fleet.model_log import ModelLog
from sealift.runtime.engine.fleet.model_status import ModelState, ModelStatus
from sealift.runtime.engine.fleet.recovery import Recovery
from sealift.runtime.engine.fleet.refusal import Refusal
from sealift.runtime.engine.fleet.residency import Resident, Stay, Waiting
from sealift.runtime.engine.fleet.settings import FleetSettings
from sealift.runtime.engine.fleet.waiting_room import WaitingRoom

__all__ = ["Supervisor"]

_TIMER_SLACK_S = 0.01
_logger = logging.getLogger(__name__)


class _Phase(Enum):
    OUT = "out"
    LOADING = "loading"
    READY = "ready"
    LEAVING = "leaving"


_STAYS = {_Phase.LOADING: Stay.LOADING, _Phase.READY: Stay.READY, _Phase.LEAVING: Stay.LEAVING}


class Supervisor:
    """One version of one model.

    Args:
        id: unlike that of every other one, be it of an equal version with other bytes.
        label: `name:version`, for messages and the audit log.
        on_change: called when the fleet should decide anew.

    Attributes:
        is_pinned: never unloaded.
    """

    def __init__(
        self,
        *,
        id: str,
        label: str,
        loader: ModelLoader,
        fleet: FleetSettings,
        log: ModelLog,
        on_change: Callable[[], None],
    ) -> None:
        self.id = id
        self.label = label
        self.is_pinned = False
        self._loader = loader
        self._fleet = fleet
        self._log = log
        self._on_change = on_change
        self._phase = _Phase.OUT
        self._is_retired = False
        self._room = WaitingRoom()
        self._wanted_since_s: float | None = None
        self._last_used_s = float("-inf")
        self._footprint = Footprint(label)
        self._running: LeasedWorker | None = None
        self._recovery = Recovery(label, fleet.backoff)
        self._refusal = Refusal(hold_s=fleet.refusal_s)
        self._sizing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._restart_timer: asyncio.TimerHandle | None = None

    @property
    def status(self) -> ModelStatus:
        """How the model does now."""
        worker = None if self._running is None else self._running.worker
        loaded = None if worker is None else worker.loaded
        return ModelStatus(
            state=self._state(),
            is_pinned=self.is_pinned,
            estimated_bytes=self._footprint.size_bytes,
            resident_bytes=None if worker is None else worker.resident_bytes,
            isolation=None if loaded is None else loaded.isolation,
        )

    @property
    def is_gone(self) -> bool:
        """True where a retired model holds nothing any more."""
        return self._is_retired and self._phase is _Phase.OUT

    def resident(self) -> Resident | None:
        """Return what it takes of memory now; None: nothing."""
        running, size = self._running, self._footprint.size_bytes
        if self._phase is _Phase.OUT or size is None:
            return None
        return Resident(
            name=self.id,
            size_bytes=size,
            state=_STAYS[self._phase],
            is_pinned=self.is_pinned,
            requests=0 if running is None else running.requests,
            ready_at_s=0.0 if running is None else running.ready_at_s,
            last_used_s=0.0 if running is None else running.last_used_s,
        )

    def waiting(self) -> Waiting | None:
        """Return what it wants, where somebody wants it and it may be started."""
        size = self._footprint.size_bytes
        times = [time for time in (self._wanted_since_s, self._room.since_s) if time is not None]
        if size is None or not times or self._is_retired or self._refusal.is_held(now_s=_now_s()):
            return None
        if self._phase not in (_Phase.OUT, _Phase.LEAVING):
            return None
        if self._recovery.wait_s(now_s=_now_s()) > 0:
            return None
        return Waiting(name=self.id, size_bytes=size, since_s=min(times))

    async def lease(self) -> Lease:
        """Return a live worker with the model loaded, kept until the lease is released.

        Raises:
            ModelIntegrityError: a file is not the signed one.
            WorkerRestartingError: the worker died again and again.
            ModelTooLargeError: there can be no room for it.
            SealiftError: the signature is not trusted, or the model cannot be run here.
        """
        self._last_used_s = _now_s()
        running = self._running
        if self._phase is _Phase.READY and running is not None and running.worker.is_alive:
            return running.lease()
        if self._is_retired:
            raise self._not_installed()
        self._recovery.check(now_s=_now_s())
        self._refusal.check(now_s=_now_s())
        seat = self._room.enter()
        self._ask_for_load()
        try:
            return await self._room.wait(seat)
        finally:
            self._on_change()  # where nobody waits any more, others need not make room

    def want(self) -> None:
        """Load it as soon as there is room, although no request waits."""
        if self._phase is _Phase.OUT and self._wanted_since_s is None:
            self._wanted_since_s = self._last_used_s = _now_s()
            self._ask_for_load()

    async def find_size(self) -> int | None:
        """Return the size, reading it where it is not known; None: the model is refused."""
        if self._footprint.estimate is None:
            await asyncio.shield(self._start_sizing())
        return self._footprint.size_bytes

    def begin_load(self) -> None:
        """Load it: there is room."""
        if self._phase is _Phase.OUT and not self._is_retired:
            self._phase = _Phase.LOADING
            self._wanted_since_s = None
            self._start(self._load(), "load")

    def begin_unload(self, why: str) -> None:
        """Take no more requests, wait for the running ones, free the memory."""
        if self._phase is _Phase.READY and self._running is not None:
            self._phase = _Phase.LEAVING
            self._start(self._unload(self._running, why), "unload")

    def begin_refusal(self, error: SealiftError) -> None:
        """Tell those who wait that it is not loaded, and the log why."""
        self._start(self._refuse(error), "refuse")
        # Not only when that task runs: until then nobody may ask for it again.
        self._hold_refusal(error)

    def retire(self) -> None:
        """Let go of a model that was removed or replaced."""
        self._is_retired, self.is_pinned = True, False
        self._room.close(self._not_installed())
        self.begin_unload("removed")
        self._on_change()

    async def stop(self) -> None:
        """End the worker, or the load of one."""
        self._is_retired = True
        if self._restart_timer is not None:
            self._restart_timer.cancel()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._room.close(ModelUnloadedError(f"{self.label}: the server ends"))
        if self._running is not None:
            await self._running.worker.stop()

    def _state(self) -> ModelState:
        is_wanted = self._wanted_since_s is not None or self._room.since_s is not None
        match self._phase:
            case _Phase.READY:
                return ModelState.READY
            case _Phase.LEAVING:
                return ModelState.DRAINING
            case _Phase.LOADING:
                is_wanted = True
        if self._recovery.is_due and (is_wanted or self._recovery.wait_s(now_s=_now_s()) > 0):
            return ModelState.RESTARTING
        return ModelState.LOADING if is_wanted else ModelState.IDLE

    def _ask_for_load(self) -> None:
        if self._footprint.estimate is None:
            self._start_sizing()
        self._on_change()

    def _start_sizing(self) -> asyncio.Task[None]:
        if self._sizing is None or self._sizing.done():
            self._sizing = self._start(self._find_estimate(), "size")
        return self._sizing

    async def _find_estimate(self) -> None:
        try:
            self._footprint.estimate = await self._loader.estimate()
        except SealiftError as error:
            await self._refuse(error)
        self._on_change()

    async def _load(self) -> None:
        if self._recovery.is_due:
            self._log.restarted(self._recovery.deaths)
        try:
            worker = await self._loader.load(uncached_bytes=self._footprint.uncached_bytes)
        except WorkerCrashedError as error:
            self._died(error.message, was_killed=False, served_s=0.0)
            self._room.close(error)
        except SealiftError as error:
            await self._refuse(error)
        else:
            self._admit(worker)
        finally:
            if self._phase is _Phase.LOADING:
                self._phase = _Phase.OUT
                # Where a defect brought us here, they would wait for a load after load.
                self._room.close(LoadError(f"{self.label}: its load was given up"))
            self._on_change()

    def _admit(self, worker: WorkerClient) -> None:
        running = LeasedWorker(worker, self._on_change)
        self._running, self._phase = running, _Phase.READY
        self._recovery.is_due = False
        self._refusal.lift()
        worker.on_measured = self._measured
        self._measured(worker.resident_bytes, is_fresh=True)
        self._start(self._wait_end(running), "wait for")
        if self._is_retired:
            self.begin_unload("removed")
        self._room.admit(running.lease)

    async def _wait_end(self, running: LeasedWorker) -> None:
        await running.worker.wait_end()
        if self._running is not running or self._phase is not _Phase.READY:
            return  # it ended because it was told to
        if running.requests:
            self._last_used_s = _now_s()
        self._running, self._phase = None, _Phase.OUT
        self._died(
            running.worker.ending,
            was_killed=running.worker.was_killed,
            served_s=_now_s() - running.ready_at_s,
        )
        self._on_change()

    def _died(self, last_words: str, *, was_killed: bool, served_s: float) -> None:
        now_s = _now_s()
        self._recovery.died(last_words, now_s=now_s, served_s=served_s)
        self._log.died(last_words, was_killed=was_killed, served_s=served_s)
        _logger.warning("%s: its process ended: %s", self.label, last_words)
        keep_alive_s = self._fleet.keep_alive_s
        is_in_use = keep_alive_s is None or now_s - self._last_used_s < keep_alive_s
        if (is_in_use or self.is_pinned) and not self._is_retired:
            # A timer may fire a little early by its own clock.
            delay_s = self._recovery.wait_s(now_s=now_s) + _TIMER_SLACK_S
            loop = asyncio.get_running_loop()
            self._restart_timer = loop.call_later(delay_s, self._restart)

    def _restart(self) -> None:
        if self._phase is _Phase.OUT and self._wanted_since_s is None:
            self._wanted_since_s = _now_s()
            self._ask_for_load()

    async def _unload(self, running: LeasedWorker, why: str) -> None:
        await running.wait_idle(self._fleet.drain_s)
        cut_requests = running.requests
        await running.worker.stop(
            ModelUnloadedError(
                f"{self.label}: unloaded ({why}) before the answer was complete: it had "
                f"{self._fleet.drain_s:g} s more",
                hint="send the request again",
            )
        )
        self._log.unloaded(why, cut_requests=cut_requests)
        self._running, self._phase = None, _Phase.OUT
        self._on_change()

    async def _refuse(self, error: SealiftError) -> None:
        self._hold_refusal(error)
        try:
            await self._log.refused(error)
        except AuditUnavailableError as unavailable:
            error = unavailable
        self._room.close(error)

    def _hold_refusal(self, error: SealiftError) -> None:
        self._refusal.note(error, now_s=_now_s())
        self._wanted_since_s = None

    def _measured(self, own_bytes: int, *, is_fresh: bool = False) -> None:
        if self._footprint.measured(own_bytes, is_fresh=is_fresh):
            self._on_change()

    def _not_installed(self) -> EngineError:
        return ModelNotFoundError(
            f"the model {self.label} was removed", hint="`sealift models list` shows what is there"
        )

    def _start(self, work: Coroutine[Any, Any, None], verb: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"{verb} {self.label}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _now_s() -> float:
    return asyncio.get_running_loop().time()
