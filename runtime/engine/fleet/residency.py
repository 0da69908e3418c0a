"""Which models are in memory: what to load, unload and refuse now. Pure.

Guaranteed, whatever is asked for: the sizes of what is in memory never exceed the budget by a load;
a pinned model is never unloaded; among idle models the one used longest ago goes first; who waits
longest is served first, and everyone who can ever fit is served. A busy model keeps its place for
`hold_s` after it was loaded; then, if somebody waits for its room, it takes no more requests and is
unloaded when the running ones are done. So two models that do not fit together take turns.

>>> small = Resident(name="a", size_bytes=6, state=Stay.READY, last_used_s=1.0)
>>> plan(10, (small,), (Waiting(name="b", size_bytes=6, since_s=2.0),), now_s=2.0).unload
(Unload(name='a', reason=<Reason.ROOM: 'room'>),)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Plan", "Reason", "ResidencyPolicy", "Resident", "Stay", "Unload", "Waiting", "plan"]


class Stay(Enum):
    """How far a model in memory is; every one of them takes its size."""

    LOADING = "loading"
    READY = "ready"
    LEAVING = "leaving"


class Reason(Enum):
    """Why a model is unloaded."""

    IDLE = "idle"
    ROOM = "room"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidencyPolicy:
    """How long models stay.

    Args:
        keep_alive_s: an idle model is unloaded this long after its last use; None: never.
        hold_s: a busy model stays at least so long although another one waits for its room.
    """

    keep_alive_s: float | None = None
    hold_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A model in memory, or on its way in or out.

    Args:
        requests: that it is answering.
        ready_at_s: when it was loaded.
        last_used_s: when its last request began or ended; while it is idle, its age counts.
    """

    name: str
    size_bytes: int
    state: Stay
    is_pinned: bool = False
    requests: int = 0
    ready_at_s: float = 0.0
    last_used_s: float = 0.0

    @property
    def is_idle(self) -> bool:
        """True where nothing is lost by unloading it."""
        return self.state is Stay.READY and self.requests == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A model that somebody asked for and that is not in memory."""

    name: str
    size_bytes: int
    since_s: float


@dataclass(frozen=True, slots=True)
class Unload:
    """A model that takes no more requests; its memory is free when the running ones are done."""

    name: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now.

    Args:
        refuse: models that cannot ever fit beside what is pinned.
        wake_at_s: when to ask again although nothing happens meanwhile; None: no need.
    """

    load: tuple[str, ...] = ()
    unload: tuple[Unload, ...] = ()
    refuse: tuple[str, ...] = ()
    wake_at_s: float | None = None


_DEFAULT = ResidencyPolicy()


def plan(
    budget_bytes: int,
    residents: Sequence[Resident],
    waiting: Sequence[Waiting],
    *,
    now_s: float,
    policy: ResidencyPolicy = _DEFAULT,
) -> Plan:
    """Decide; the caller acts, and asks again after every change."""
    house = _House(budget_bytes=budget_bytes, residents=residents, now_s=now_s, policy=policy)
    house.unload_idle()
    house.unload_surplus()
    pinned = sum(item.size_bytes for item in residents if item.is_pinned)
    for item in sorted(waiting, key=lambda item: (item.since_s, item.name)):
        if item.size_bytes > budget_bytes - pinned:
            house.refuse.append(item.name)
        else:
            house.make_room(item)
    return Plan(
        load=tuple(house.load),
        unload=tuple(house.unload),
        refuse=tuple(house.refuse),
        wake_at_s=min(house.wakes, default=None),
    )


@dataclass(slots=True, kw_only=True)
class _House:
    """A plan while it is made.

    `promised_bytes`: what earlier waiters will take of what is free or becomes free. A later waiter
    gets only what is left beside that, or a stream of small models would starve a large one.
    """

    budget_bytes: int
    residents: Sequence[Resident]
    now_s: float
    policy: ResidencyPolicy
    load: list[str] = field(default_factory=list)
    unload: list[Unload] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    promised_bytes: int = 0

    def unload_idle(self) -> None:
        """Let go of what nobody used for long."""
        if self.policy.keep_alive_s is None:
            return
        for item in self._stayers():
            if item.is_idle and not item.is_pinned:
                end_s = item.last_used_s + self.policy.keep_alive_s
                if end_s <= self.now_s:
                    self._let_go(item, Reason.IDLE)
                else:
                    self.wakes.append(end_s)

    def unload_surplus(self) -> None:
        """Come back under the budget where models turned out larger than they were estimated."""
        for item in self._idle():
            if self._free_later() >= 0:
                return
            self._let_go(item, Reason.ROOM)

    def make_room(self, item: Waiting) -> None:
        """Load a model now, or begin what lets it be loaded later."""
        is_leaving = any(resident.name == item.name for resident in self.residents)
        if item.size_bytes <= self._free_now() - self.promised_bytes and not is_leaving:
            self.load.append(item.name)
        else:
            self._evict_for(item)
        # Loaded or not, those bytes are no longer there for anybody after it.
        self.promised_bytes += item.size_bytes

    def _evict_for(self, item: Waiting) -> None:
        for victim in self._idle():
            if self._missing(item) <= 0:
                return
            self._let_go(victim, Reason.ROOM)
        missing = self._missing(item)
        if missing <= 0:
            return
        turns = sorted(self._busy(), key=lambda busy: (busy.ready_at_s, busy.name))
        victims = []
        for victim in turns:
            if missing > 0:
                victims.append(victim)
                missing -= victim.size_bytes
        if missing > 0:
            return  # a load must end first, and then has its turn
        ends_s = max(victim.ready_at_s for victim in victims) + self.policy.hold_s
        if ends_s > self.now_s:
            self.wakes.append(ends_s)
            return
        for victim in victims:
            self._let_go(victim, Reason.ROOM)

    def _missing(self, item: Waiting) -> int:
        return item.size_bytes - (self._free_later() - self.promised_bytes)

    def _free_now(self) -> int:
        return self.budget_bytes - sum(item.size_bytes for item in self.residents)

    def _free_later(self) -> int:
        """Return what is free once everything that leaves has left."""
        return self.budget_bytes - sum(item.size_bytes for item in self._stayers())

    def _stayers(self) -> list[Resident]:
        leaving = {item.name for item in self.unload}
        return [
            item
            for item in self.residents
            if item.state is not Stay.LEAVING and item.name not in leaving
        ]

    def _idle(self) -> list[Resident]:
        """Return what can go at once, longest unused first."""
        found = [item for item in self._stayers() if item.is_idle and not item.is_pinned]
        return sorted(found, key=lambda item: (item.last_used_s, item.name))

    def _busy(self) -> list[Resident]:
        return [
            item
            for item in self._stayers()
            if item.state is Stay.READY and item.requests and not item.is_pinned
        ]

    def _let_go(self, item: Resident, reason: Reason) -> None:
        self.unload.append(Unload(item.name, reason))
