"""The use of a loaded model by one request: while it is held, the model is not unloaded.

lease = await registry.lease(entry)
try:
    async for reply in lease.worker.ask(...): ...
finally:
    lease.release()
"""

import asyncio
from collections.abc import Callable

from sealift.runtime.engine.fleet.client import WorkerClient

__all__ = ["Lease", "LeasedWorker"]


class Lease:
    """A worker that is kept."""

    def __init__(self, worker: WorkerClient, on_release: Callable[[], None]) -> None:
        self.worker = worker
        self._on_release: Callable[[], None] | None = on_release

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        on_release, self._on_release = self._on_release, None
        if on_release is not None:
            on_release()


class LeasedWorker:
    """A ready worker and who uses it.

    Attributes:
        requests: leases that were not given back.
        ready_at_s: when it was loaded; `last_used_s`: when a lease was last given or given back.
    """

    def __init__(self, worker: WorkerClient, on_idle: Callable[[], None]) -> None:
        self.worker = worker
        self.requests = 0
        self.ready_at_s = self.last_used_s = _now_s()
        self._on_idle = on_idle
        self._idle = asyncio.Event()
        self._idle.set()

    def lease(self) -> Lease:
        """Give it to one more request."""
        self.requests += 1
        self.last_used_s = _now_s()
        self._idle.clear()
        return Lease(self.worker, self._release)

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nobody uses it; False: somebody still does."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _release(self) -> None:
        self.requests -= 1
        self.last_used_s = _now_s()
        if self.requests == 0:
            self._idle.set()
            self._on_idle()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
