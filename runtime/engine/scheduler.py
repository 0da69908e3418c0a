"""Decide what the model runs next. Pure: no model, no clock, no I/O.

Requests that decode occupy slots `0..n-1`; at most one more is being prefilled, in slot `n`. While
both exist, a chunk of the prompt and a decode step alternate, so that a long prompt never stalls
the others for more than one chunk. First come, first served.

>>> scheduler = Scheduler(slots=2, queue_limit=8, chunk=64, chunk_alone=512)
>>> scheduler.submit(sequence)  # doctest: +SKIP
>>> scheduler.next()            # doctest: +SKIP
Prefill(sequence=..., slot=0, start=0, stop=5)
"""

from collections import deque
from dataclasses import dataclass

from sealift.runtime.engine.errors import QueueFullError
from sealift.runtime.engine.sequence import Sequence

__all__ = ["Decode", "Idle", "Move", "Prefill", "Scheduler", "Work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefill:
    """Run tokens `start..stop-1` of one prompt in `slot`."""

    sequence: Sequence
    slot: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """Run one token of each of these; the row is the slot."""

    sequences: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to run."""


Work = Prefill | Decode | Idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Copy what slot `source` holds (its first `tokens`) to slot `target`."""

    source: int
    target: int
    tokens: int


class Scheduler:
    """The queue and the slots. After `next`, run the work, then call `ran` once."""

    def __init__(self, *, slots: int, queue_limit: int, chunk: int, chunk_alone: int) -> None:
        self._slots = slots
        self._queue_limit = queue_limit
        self._chunk = chunk
        self._chunk_alone = chunk_alone
        self._waiting: deque[Sequence] = deque()
        self._prefilling: Sequence | None = None
        self._running: list[Sequence] = []
        self._decode_is_due = False

    @property
    def running_count(self) -> int:
        """Requests that decode."""
        return len(self._running)

    @property
    def held_slots(self) -> int:
        """Slots in use."""
        return len(self._running) + (self._prefilling is not None)

    @property
    def waiting_count(self) -> int:
        """Requests without a slot."""
        return len(self._waiting)

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """All requests, those with slots first."""
        prefilling = () if self._prefilling is None else (self._prefilling,)
        return (*self._running, *prefilling, *self._waiting)

    def submit(self, sequence: Sequence) -> None:
        """Queue a request.

        Raises:
            QueueFullError: as many wait as may, beyond those that free slots are about to take.
        """
        unanswered = len(self.sequences)
        if unanswered >= self._slots + self._queue_limit:
            raise QueueFullError(
                f"the model answers {self._slots} requests at a time, {unanswered} are here already"
            )
        self._waiting.append(sequence)

    def next(self) -> Work:
        """Return what to run now."""
        if self._running and self._decode_is_due:
            return Decode(sequences=tuple(self._running))
        if self._prefilling is None and self._waiting and len(self._running) < self._slots:
            self._prefilling = self._waiting.popleft()
        if self._prefilling is not None:
            return self._prefill(self._prefilling)
        if self._running:
            return Decode(sequences=tuple(self._running))
        return Idle()

    def ran(self, work: Work) -> None:
        """Take note that the work was run."""
        match work:
            case Prefill(sequence=sequence, stop=stop):
                sequence.prefilled = stop
                self._decode_is_due = True
                if sequence.is_prefilled:
                    self._prefilling = None
                    self._running.append(sequence)
            case Decode():
                self._decode_is_due = False
            case Idle():
                pass

    def remove(self, sequence_id: int) -> tuple[Move, ...]:
        """Forget a request, finished or cancelled; unknown ids are finished ones.

        Returns:
            What the cache must copy, in this order, so that slots stay without holes.
        """
        if self._prefilling is not None and self._prefilling.id == sequence_id:
            self._prefilling = None
            return ()
        for slot, sequence in enumerate(self._running):
            if sequence.id == sequence_id:
                return self._leave(slot)
        self._waiting = deque(item for item in self._waiting if item.id != sequence_id)
        return ()

    def _prefill(self, sequence: Sequence) -> Prefill:
        chunk = self._chunk if self._running else self._chunk_alone
        start = sequence.prefilled
        return Prefill(
            sequence=sequence,
            slot=len(self._running),
            start=start,
            stop=min(start + chunk, len(sequence.prompt)),
        )

    def _leave(self, slot: int) -> tuple[Move, ...]:
        last = self._running.pop()
        moves = []
        hole = len(self._running)
        if slot != hole:
            self._running[slot] = last
            moves.append(Move(source=hole, target=slot, tokens=last.cached_tokens))
        if self._prefilling is not None and self._prefilling.prefilled:
            moves.append(Move(source=hole + 1, target=hole, tokens=self._prefilling.prefilled))
        return tuple(moves)
