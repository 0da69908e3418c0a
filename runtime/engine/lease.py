"""The use of a loaded model by one request: while it is held, the model is not unloaded.

lease = await registry.lease(entry)
try:
    async for reply in lease.worker.ask(...): ...
finally:
    lease.release()
"""

from collections.abc import Callable

from sealift.runtime.engine.client import WorkerClient

__all__ = ["Lease"]


class Lease:
    """A worker that is kept."""

    def __init__(self, worker: WorkerClient, on_release: Callable[[], None]) -> None:
        self.worker = worker
        self._on_release: Callable[[], None] | None = on_release

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        if self._on_release is not None:
            self._on_release()
            self._on_release = None
