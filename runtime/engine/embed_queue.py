"""Decide which texts share the encoder's next run. Pure.

Requests are served in the order they came; inputs of one request are sorted by length, so that
little is padded, and requests that wait together share runs.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.errors import QueueFullError
from sealift.runtime.engine.request import Vectors

__all__ = ["EmbedItem", "EmbedJob", "EmbedQueue"]


@dataclass(slots=True, kw_only=True, eq=False)
class EmbedJob:
    """One request: token ids of each input, and the vectors it has so far."""

    id: int
    inputs: tuple[tuple[int, ...], ...]
    vectors: dict[int, bytes] = field(default_factory=dict)

    def reply(self) -> Vectors | None:
        """Return the answer once every input has its vector."""
        if len(self.vectors) < len(self.inputs):
            return None
        return Vectors(
            id=self.id,
            rows=tuple(self.vectors[index] for index in range(len(self.inputs))),
            prompt_tokens=sum(map(len, self.inputs)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedItem:
    """One input of one job."""

    job: EmbedJob
    index: int

    @property
    def tokens(self) -> tuple[int, ...]:
        """Its token ids."""
        return self.job.inputs[self.index]

    def accept(self, vector: NDArray[np.float32]) -> Vectors | None:
        """Take the vector; return the job's answer if it was the last one missing."""
        self.job.vectors[self.index] = vector.astype("<f4").tobytes()
        return self.job.reply()


class EmbedQueue:
    """Inputs that wait, in order."""

    def __init__(self, *, batch_tokens: int, queue_limit: int) -> None:
        self._batch_tokens = batch_tokens
        self._queue_limit = queue_limit
        self._items: deque[EmbedItem] = deque()
        self._jobs: set[int] = set()

    def __len__(self) -> int:
        return len(self._items)

    def submit(self, job: EmbedJob) -> None:
        """Queue a request.

        Raises:
            QueueFullError: as many requests wait as may.
        """
        if len(self._jobs) >= self._queue_limit:
            raise QueueFullError(f"{len(self._jobs)} requests are waiting already")
        self._jobs.add(job.id)
        order = sorted(range(len(job.inputs)), key=lambda index: len(job.inputs[index]))
        self._items.extend(EmbedItem(job=job, index=index) for index in order)

    def cancel(self, job_id: int) -> None:
        """Forget a request."""
        self._jobs.discard(job_id)
        self._items = deque(item for item in self._items if item.job.id != job_id)

    def take(self) -> list[EmbedItem]:
        """Return the inputs of the next run: at least one where any wait."""
        batch: list[EmbedItem] = []
        longest = 0
        while self._items:
            longest = max(longest, len(self._items[0].tokens))
            if batch and longest * (len(batch) + 1) > self._batch_tokens:
                break
            batch.append(self._items.popleft())
        left = {item.job.id for item in self._items}
        self._jobs -= {item.job.id for item in batch} - left
        return batch
