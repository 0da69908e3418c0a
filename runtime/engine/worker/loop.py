"""One thread owns the model: drain the inbox, run one step, send what it gave, again.

The inbox holds prepared requests. `None` ends the loop.
"""

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sealift.manifests.errors import SealiftError
from sealift.runtime.engine.decode.generator import Generator
from sealift.runtime.engine.decode.sequence import Sequence
from sealift.runtime.engine.errors import WireError, to_wire
from sealift.runtime.engine.request import Cancel, Failed, Reply
from sealift.runtime.engine.vectors.embed_queue import EmbedJob, EmbedQueue
from sealift.runtime.engine.vectors.encoder import OnnxEncoder

__all__ = ["ChatTurn", "EmbedTurn", "Inbox", "ModelLoop"]

#: What one request became: the answers to be given, or inputs to be turned into vectors.
Prepared = tuple[Sequence, ...] | EmbedJob
Inbox = queue.SimpleQueue[Prepared | Cancel | None]
Send = Callable[..., None]


class Turn(Protocol):
    """One model's way to take requests and to run a step."""

    @property
    def has_work(self) -> bool:
        """True while a request is unanswered."""
        ...

    def submit(self, request: Prepared) -> None:
        """Queue a request; raises `QueueFullError`."""
        ...

    def cancel(self, request_id: int) -> None:
        """Forget a request."""
        ...

    def step(self) -> list[Reply]:
        """Run the model once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTurn:
    """A generator as the loop drives it."""

    generator: Generator

    @property
    def has_work(self) -> bool:
        """See `Turn`."""
        return self.generator.has_work

    def submit(self, request: Prepared) -> None:
        """See `Turn`."""
        if isinstance(request, tuple):
            self.generator.submit(*request)

    def cancel(self, request_id: int) -> None:
        """See `Turn`."""
        self.generator.cancel(request_id)

    def step(self) -> list[Reply]:
        """See `Turn`."""
        return list(self.generator.step())


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedTurn:
    """An encoder and its queue as the loop drives them."""

    encoder: OnnxEncoder
    waiting: EmbedQueue

    @property
    def has_work(self) -> bool:
        """See `Turn`."""
        return len(self.waiting) > 0

    def submit(self, request: Prepared) -> None:
        """See `Turn`."""
        if isinstance(request, EmbedJob):
            self.waiting.submit(request)

    def cancel(self, request_id: int) -> None:
        """See `Turn`."""
        self.waiting.cancel(request_id)

    def step(self) -> list[Reply]:
        """See `Turn`."""
        batch = self.waiting.take()
        try:
            outputs = self.encoder.run([item.row for item in batch])
        except SealiftError as error:
            return self._fail({item.job.id for item in batch}, to_wire(error))
        replies = [item.accept(output) for item, output in zip(batch, outputs, strict=True)]
        return [reply for reply in replies if reply is not None]

    def _fail(self, job_ids: set[int], error: WireError) -> list[Reply]:
        for job_id in job_ids:
            self.waiting.cancel(job_id)
        return [Failed(id=job_id, error=error) for job_id in sorted(job_ids)]


@dataclass(slots=True, kw_only=True)
class ModelLoop:
    """The loop of the thread that owns the model.

    Attributes:
        steps: run so far; another thread reads it to tell whether the model moves.
    """

    turn: Turn
    inbox: Inbox
    send: Send
    steps: int = 0
    _is_stepping: bool = False

    @property
    def is_busy(self) -> bool:
        """True while the model runs, or has what to run for; asked by another thread."""
        return self._is_stepping or self.turn.has_work

    def run(self) -> None:
        """Serve until the inbox says stop."""
        while self._drain():
            self._is_stepping = True
            replies = self.turn.step()
            self._is_stepping = False
            self.steps += 1
            if replies:
                self.send(*replies)

    def _drain(self) -> bool:
        """Take what waits, and wait where there is nothing to do; False: stop."""
        while True:
            try:
                item = self.inbox.get(block=not self.turn.has_work)
            except queue.Empty:
                return True
            if item is None:
                return False
            self._take(item)

    def _take(self, item: Prepared | Cancel) -> None:
        if isinstance(item, Cancel):
            self.turn.cancel(item.id)
            return
        try:
            self.turn.submit(item)
        except SealiftError as error:
            request_id = item[0].id if isinstance(item, tuple) else item.id
            self.send(Failed(id=request_id, error=to_wire(error)))
