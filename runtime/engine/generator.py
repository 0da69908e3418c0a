"""Answer many conversations with one decoder: `step()` = schedule, run, sample, postprocess.

Knows nothing of onnxruntime, sockets or threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sealift.runtime.engine.request import Delta
from sealift.runtime.engine.sampler import Logits, choose
from sealift.runtime.engine.scheduler import Decode, Idle, Move, Prefill, Scheduler
from sealift.runtime.engine.sequence import Sequence as Request

__all__ = ["Decoder", "Generator"]


class Decoder(Protocol):
    """What a generator needs of a model; tests have one without weights."""

    def prefill(self, slot: int, tokens: Sequence[int], total: int) -> Logits:
        """Append tokens to a slot that holds `total` after it; return the last one's logits."""
        ...

    def decode(self, tokens: Sequence[int], totals: Sequence[int]) -> Logits:
        """Append one token to each of the slots `0..n-1`; return `[n, vocabulary]`."""
        ...

    def move(self, move: Move) -> None:
        """Copy one slot to another."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A decoder and the schedule of its slots."""

    decoder: Decoder
    scheduler: Scheduler

    @property
    def has_work(self) -> bool:
        """True while a request is unanswered."""
        return bool(self.scheduler.sequences)

    def submit(self, sequence: Request) -> None:
        """Queue a request; raises `QueueFullError`."""
        self.scheduler.submit(sequence)

    def cancel(self, sequence_id: int) -> None:
        """Forget a request; its slot is free before the next step."""
        for move in self.scheduler.remove(sequence_id):
            self.decoder.move(move)

    def step(self) -> list[Delta]:
        """Run one piece of work; return what it added to answers."""
        work = self.scheduler.next()
        match work:
            case Prefill(sequence=sequence, slot=slot, start=start, stop=stop):
                logits = self.decoder.prefill(slot, sequence.prompt[start:stop], stop)
                self.scheduler.ran(work)
                if not sequence.is_prefilled:
                    return []
                return self._accept((sequence,), logits[None])
            case Decode(sequences=sequences):
                logits = self.decoder.decode(
                    [sequence.output[-1] for sequence in sequences],
                    [sequence.cached_tokens + 1 for sequence in sequences],
                )
                self.scheduler.ran(work)
                return self._accept(sequences, logits)
            case Idle():
                return []

    def _accept(self, sequences: tuple[Request, ...], logits: Logits) -> list[Delta]:
        tokens = choose(
            logits,
            [sequence.sampling for sequence in sequences],
            [len(sequence.output) for sequence in sequences],
        )
        deltas = []
        for sequence, token in zip(sequences, tokens, strict=True):
            deltas.append(sequence.accept(token))
        for sequence in sequences:
            if sequence.finish_reason is not None:
                self.cancel(sequence.id)
        return deltas
