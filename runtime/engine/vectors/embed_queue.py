"""Decide which texts share the encoder's next run. Pure.

Guarantees: with n requests waiting, each has a text in one of the next n runs, whatever arrives
after it; a run is not larger than `batch_tokens`, padding counted, unless it is a single text; and
no text is padded by more than `PADDING` allows. Texts of all requests share runs, by length.

>>> waiting = EmbedQueue(batch_tokens=64, queue_limit=8)
>>> waiting.submit(EmbedJob(id=1, inputs=(short, long), answer=answer))    # doctest: +SKIP
>>> waiting.submit(EmbedJob(id=2, inputs=(short,), answer=answer))         # doctest: +SKIP
>>> [item.job.id for item in waiting.take()]                               # doctest: +SKIP
[1, 2]
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.errors import QueueFullError
from sealift.runtime.engine.request import Scores, Vectors
from sealift.runtime.engine.vectors.encoder_row import EncoderRow

__all__ = ["PADDING", "EmbedItem", "EmbedJob", "EmbedQueue", "MakeAnswer", "Padding"]

MakeAnswer = Callable[[Sequence[NDArray[np.float32]]], Vectors | Scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """How much a text may be padded so that it can share a run.

    A run of its own costs about as much as `tokens` more of them. Beyond that padding pays by the
    better use of the processor alone, which is a few percent once a run has some hundred tokens
    (docs/vectors.md).
    """

    tokens: int = 8
    share: float = 0.125

    def shortest(self, longest: int) -> int:
        """Return the least length that a text may have to be padded to `longest`.

        >>> PADDING.shortest(100), PADDING.shortest(12)
        (88, 4)
        """
        return longest - max(self.tokens, int(longest * self.share))


PADDING = Padding()


@dataclass(slots=True, kw_only=True, eq=False)
class EmbedJob:
    """One request: its inputs, the outputs they have so far, and what makes an answer of them."""

    id: int
    inputs: tuple[EncoderRow, ...]
    answer: MakeAnswer
    outputs: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def reply(self) -> Vectors | Scores | None:
        """Return the answer once every input has its output."""
        if len(self.outputs) < len(self.inputs):
            return None
        return self.answer([self.outputs[index] for index in range(len(self.inputs))])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbedItem:
    """One input of one job."""

    job: EmbedJob
    index: int

    @property
    def row(self) -> EncoderRow:
        """What the encoder reads."""
        return self.job.inputs[self.index]

    def accept(self, output: NDArray[np.float32]) -> Vectors | Scores | None:
        """Take the output; return the job's answer if it was the last one missing."""
        self.job.outputs[self.index] = output
        return self.job.reply()


class _Place(NamedTuple):
    """Where an input waits: sorted by length, then by arrival."""

    length: int
    arrival: int


class EmbedQueue:
    """Inputs that wait."""

    def __init__(self, *, batch_tokens: int, queue_limit: int, padding: Padding = PADDING) -> None:
        self._batch_tokens = batch_tokens
        self._queue_limit = queue_limit
        self._padding = padding
        self._arrivals = 0
        self._places: list[_Place] = []
        self._items: dict[_Place, EmbedItem] = {}
        # Of each request what still waits, shortest last; requests in the order of their turns.
        self._turns: dict[int, list[_Place]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def submit(self, job: EmbedJob) -> None:
        """Queue a request.

        Raises:
            QueueFullError: as many requests wait as may.
        """
        if len(self._turns) >= self._queue_limit:
            raise QueueFullError(f"{len(self._turns)} requests are waiting already")
        places = []
        for index, row in enumerate(job.inputs):
            place = _Place(len(row), self._arrivals)
            self._arrivals += 1
            self._items[place] = EmbedItem(job=job, index=index)
            insort(self._places, place)
            places.append(place)
        self._turns[job.id] = sorted(places, reverse=True)

    def cancel(self, job_id: int) -> None:
        """Forget a request."""
        for place in self._turns.pop(job_id, ()):
            del self._places[bisect_left(self._places, place)]
            del self._items[place]

    def take(self) -> list[EmbedItem]:
        """Return the inputs of the next run: at least one where any wait.

        One of the request whose turn it is, and those of all requests nearest to it in length.
        """
        if not self._turns:
            return []
        job_id, waiting = next(iter(self._turns.items()))
        start, stop = self._window(bisect_left(self._places, waiting[-1]))
        places = self._places[start:stop]
        del self._places[start:stop]
        batch = [self._items.pop(place) for place in places]
        self._turns[job_id] = self._turns.pop(job_id)  # its next turn comes after everybody's
        taken = set(places)
        for other in {item.job.id for item in batch}:
            left = [place for place in self._turns[other] if place not in taken]
            if left:
                self._turns[other] = left
            else:
                del self._turns[other]
        return batch

    def _window(self, first: int) -> tuple[int, int]:
        """Return the range of places that shares a run with one: longer ones, then shorter ones."""
        places, start, stop = self._places, first, first + 1
        least = places[first].length
        while stop < len(places) and self._fits(least, places[stop].length, stop + 1 - start):
            stop += 1
        longest = places[stop - 1].length
        while start > 0 and self._fits(places[start - 1].length, longest, stop - start + 1):
            start -= 1
        return start, stop

    def _fits(self, shortest: int, longest: int, count: int) -> bool:
        return shortest >= self._padding.shortest(longest) and longest * count <= self._batch_tokens
