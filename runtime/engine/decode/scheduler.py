"""Decide what the model runs next. Pure: no model, no clock, no I/O.

Requests that decode occupy slots `0..r-1`, those whose prompts are being computed the next ones;
what finished requests computed stays in the slots after them (`slot_table`). While both kinds
exist, a chunk of one prompt and a decode step alternate, so that a long prompt never stalls the
others for more than one chunk (`pace`). Of several prompts the one with the least left goes first,
so that a short question does not wait for a long document; who was passed over too often goes
before all.

>>> scheduler = Scheduler(SchedulerLimits(slots=2))
>>> scheduler.submit(sequence)  # doctest: +SKIP
>>> scheduler.next()            # doctest: +SKIP
Prefill(sequence=..., slot=0, start=0, stop=5)
"""

from collections import deque
from dataclasses import dataclass

from sealift.runtime.engine.decode.pace import Pace
from sealift.runtime.engine.decode.sequence import Sequence
from sealift.runtime.engine.decode.slot_table import Move, SlotTable, common_prefix
from sealift.runtime.engine.errors import PromptError, QueueFullError

__all__ = ["Decode", "Idle", "Prefill", "Scheduler", "SchedulerLimits", "Work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefill:
    """Run tokens `start..stop-1` of one prompt in `slot`."""

    sequence: Sequence
    slot: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """Run the newest token of each of these; the row is the slot."""

    sequences: tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to run."""


Work = Prefill | Decode | Idle


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerLimits:
    """How much at a time; see `EngineSettings`.

    Args:
        patience: prompts that may go before another one that came earlier.
        reuses_prefixes: False computes every prompt anew.
    """

    slots: int = 8
    queue_limit: int = 64
    chunk: int = 128
    chunk_least: int = 8
    chunk_alone: int = 512
    stall: float = 1.25
    patience: int = 8
    reuses_prefixes: bool = True


class Scheduler:
    """The queue and the slots. After `next`, make its moves, run the work, call `ran` once."""

    def __init__(self, limits: SchedulerLimits) -> None:
        self._limits = limits
        self._table = SlotTable(slots=limits.slots)
        self._pace = Pace(stall=limits.stall, least=limits.chunk_least, most=limits.chunk)
        self._waiting: deque[Sequence] = deque()
        self._prefilling: list[Sequence] = []
        self._running: list[Sequence] = []
        self._moves: list[Move] = []
        self._decode_is_due = False

    @property
    def running_count(self) -> int:
        """Requests that decode."""
        return len(self._running)

    @property
    def held_slots(self) -> int:
        """Slots in use."""
        return len(self._running) + len(self._prefilling)

    @property
    def waiting_count(self) -> int:
        """Requests without a slot."""
        return len(self._waiting)

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """All requests, those with slots first."""
        return (*self._running, *self._prefilling, *self._waiting)

    def submit(self, *sequences: Sequence) -> None:
        """Queue the answers of one request, all or none.

        Raises:
            PromptError: more answers than the queue can ever hold.
            QueueFullError: as many wait as may, beyond those that free slots are about to take.
        """
        room = self._limits.slots + self._limits.queue_limit
        if len(sequences) > room:
            count = len(sequences)
            raise PromptError(f"n: expected at most {room} answers, got {count}", param="n")
        unanswered = len(self._running) + len(self._prefilling) + len(self._waiting)
        if unanswered + len(sequences) > room:
            raise QueueFullError(
                f"the model gives {self._limits.slots} answers at a time, "
                f"{unanswered} are asked for already"
            )
        self._waiting.extend(sequences)

    def next(self) -> Work:
        """Return what to run now, after `take_moves`."""
        if self._running and self._decode_is_due:
            return Decode(sequences=tuple(self._running))
        self._admit()
        if self._prefilling:
            return self._prefill()
        if self._running:
            return Decode(sequences=tuple(self._running))
        return Idle()

    def take_moves(self) -> tuple[Move, ...]:
        """Return what the cache must move before it runs anything, in order; once."""
        moves = tuple(self._moves)
        self._moves.clear()
        return moves

    def ran(self, work: Work, seconds: float = 0.0) -> None:
        """Take note that the work was run, and how long it took."""
        match work:
            case Prefill(sequence=sequence, start=start, stop=stop):
                self._pace.saw_prefill(stop - start, seconds)
                sequence.prefilled = stop
                self._decode_is_due = True
                if sequence.is_prefilled:
                    self._start_running(sequence)
            case Decode():
                self._pace.saw_decode(seconds)
                self._decode_is_due = False
            case Idle():
                pass

    def remove(self, sequence: Sequence) -> None:
        """Forget an answer, finished or cancelled; its slot is free before the next step."""
        if sequence in self._running:
            self._leave(self._running.index(sequence), sequence)
        elif sequence in self._prefilling:
            self._leave(len(self._running) + self._prefilling.index(sequence), sequence)
        elif sequence in self._waiting:
            self._waiting.remove(sequence)

    def find(self, request_id: int) -> tuple[Sequence, ...]:
        """Return the unfinished answers of a request."""
        return tuple(item for item in self.sequences if item.id == request_id)

    def _admit(self) -> None:
        for sequence in list(self._waiting):
            if self.held_slots == self._limits.slots:
                return
            if not self._is_worth_waiting(sequence):
                self._waiting.remove(sequence)
                self._enter(sequence)

    def _is_worth_waiting(self, sequence: Sequence) -> bool:
        """True while another prompt computes what this one could take over."""
        if not self._limits.reuses_prefixes:
            return False
        wanted = sequence.prompt_tokens
        here = self._table.longest_prefix(wanted)
        coming = [
            common_prefix(other.prompt_tokens, wanted) - max(here, other.prefilled)
            for other in self._prefilling
        ]
        return max(coming, default=0) > self._limits.chunk_least

    def _enter(self, sequence: Sequence) -> None:
        slot = self.held_slots
        self._note_held()
        if self._limits.reuses_prefixes:
            reused, moves = self._table.enter(sequence.prompt_tokens, at=slot)
            sequence.prefilled = sequence.reused = reused
            self._moves += moves
        self._prefilling.append(sequence)

    def _prefill(self) -> Prefill:
        sequence = self._next_prompt()
        chunk = self._pace.chunk if self._running else self._limits.chunk_alone
        start = sequence.prefilled
        return Prefill(
            sequence=sequence,
            slot=len(self._running) + self._prefilling.index(sequence),
            start=start,
            stop=min(start + chunk, len(sequence.prompt)),
        )

    def _next_prompt(self) -> Sequence:
        patient = [s for s in self._prefilling if s.passed_over >= self._limits.patience]
        chosen = (
            max(patient, key=lambda item: item.passed_over)
            if patient
            else min(self._prefilling, key=lambda item: len(item.prompt) - item.prefilled)
        )
        for sequence in self._prefilling:
            sequence.passed_over = 0 if sequence is chosen else sequence.passed_over + 1
        return chosen

    def _start_running(self, sequence: Sequence) -> None:
        first = len(self._running)
        place = self._prefilling.index(sequence)
        if place:
            self._note_held()
            self._moves += self._table.swap(first, first + place)
        self._prefilling[0], self._prefilling[place] = sequence, self._prefilling[0]
        self._running.append(self._prefilling.pop(0))

    def _leave(self, slot: int, sequence: Sequence) -> None:
        """Close the gap: the last of each kind takes the place that became free."""
        self._note_held()
        kept = sequence.held_tokens if self._limits.reuses_prefixes else ()
        self._table.leave_behind(slot, kept)
        if slot < len(self._running):
            slot = self._sink(slot, self._running, first=0)
            # The prompts being computed close up, too: their last one takes the first's place.
            self._moves += self._table.swap(slot, slot + len(self._prefilling))
            if self._prefilling:
                self._prefilling.insert(0, self._prefilling.pop())
        else:
            self._sink(slot, self._prefilling, first=len(self._running))

    def _sink(self, slot: int, members: list[Sequence], *, first: int) -> int:
        """Exchange a slot with the last of its kind, and take it off; return where it is now."""
        last = first + len(members) - 1
        self._moves += self._table.swap(slot, last)
        members[slot - first] = members[-1]
        members.pop()
        return last

    def _note_held(self) -> None:
        for slot, sequence in enumerate((*self._running, *self._prefilling)):
            self._table.hold(slot, sequence.held_tokens)
