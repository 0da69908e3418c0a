"""All models of a server and the memory they share: carries out what `residency` decides.

>>> fleet.add(supervisor); fleet.review()       # doctest: +SKIP

Whenever something happens (a request comes or ends, a model is loaded, dies or leaves, a time
passes) the fleet looks at all models at once and acts. Everything runs on one event loop.
"""

import asyncio
from collections.abc import Iterable

from sealift.runtime.engine.errors import ModelTooLargeError
from sealift.runtime.engine.fleet.residency import ResidencyPolicy, Resident, Waiting, plan
from sealift.runtime.engine.fleet.settings import FleetSettings
from sealift.runtime.engine.fleet.supervisor import Supervisor

__all__ = ["Fleet"]

_TIMER_SLACK_S = 0.01


class Fleet:
    """The supervisors of one server.

    Args:
        memory_bytes: of all models together.
    """

    def __init__(self, settings: FleetSettings, *, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._policy = ResidencyPolicy(keep_alive_s=settings.keep_alive_s, hold_s=settings.hold_s)
        self._members: dict[str, Supervisor] = {}
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        self._is_stopping = False

    def add(self, supervisor: Supervisor) -> None:
        """Take one more model into account."""
        self._members[supervisor.id] = supervisor

    def get(self, supervisor_id: str) -> Supervisor | None:
        """Return a model's supervisor."""
        return self._members.get(supervisor_id)

    def members(self) -> tuple[Supervisor, ...]:
        """Return all of them."""
        return tuple(self._members.values())

    def review(self) -> None:
        """Decide anew, once everything that happens now has happened."""
        if self._soon is None and not self._is_stopping:
            self._soon = asyncio.get_running_loop().call_soon(self._review)

    async def stop(self) -> None:
        """End all workers."""
        self._is_stopping = True
        for handle in (self._soon, self._later):
            if handle is not None:
                handle.cancel()
        await asyncio.gather(*(member.stop() for member in self._members.values()))
        self._members.clear()

    def _review(self) -> None:
        loop = asyncio.get_running_loop()
        self._soon = None
        for member in self.members():
            if member.is_gone:
                del self._members[member.id]
        members = self.members()
        residents = [item for item in map(Supervisor.resident, members) if item is not None]
        waiting = [item for item in map(Supervisor.waiting, members) if item is not None]
        todo = plan(self.memory_bytes, residents, waiting, now_s=loop.time(), policy=self._policy)
        for name in todo.refuse:
            self._members[name].begin_refusal(self._too_large(name, residents, waiting))
        for unload in todo.unload:
            self._members[unload.name].begin_unload(unload.reason.value)
        for name in todo.load:
            self._members[name].begin_load()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if todo.wake_at_s is not None:
            self._later = loop.call_at(todo.wake_at_s + _TIMER_SLACK_S, self._review)

    def _too_large(
        self, name: str, residents: Iterable[Resident], waiting: Iterable[Waiting]
    ) -> ModelTooLargeError:
        needed = next(item.size_bytes for item in waiting if item.name == name)
        held = [
            f"{self._members[item.name].label} {_size(item.size_bytes)}"
            + (" (pinned)" if item.is_pinned else "")
            for item in residents
        ]
        free = self.memory_bytes - sum(item.size_bytes for item in residents)
        return ModelTooLargeError(
            f"{self._members[name].label} needs {_size(needed)} of memory, all models together "
            f"may take {_size(self.memory_bytes)}, {_size(max(0, free))} of it are free; "
            f"held: {', '.join(held) or 'nothing'}",
            hint="serve with more --memory, a smaller --context or fewer --slots, or pin less",
        )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 10**9 else f"{size_bytes / 1e6:.0f} MB"
