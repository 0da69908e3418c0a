"""Which texts share a run."""

import numpy as np
import pytest

from sealift.runtime.engine.embed_queue import EmbedJob, EmbedQueue
from sealift.runtime.engine.errors import QueueFullError


def job(id: int, *lengths: int) -> EmbedJob:
    return EmbedJob(id=id, inputs=tuple((id,) * length for length in lengths))


def queue(tokens: int = 10, limit: int = 9) -> EmbedQueue:
    return EmbedQueue(batch_tokens=tokens, queue_limit=limit)


def test_a_full_queue_refuses() -> None:
    waiting = queue(limit=1)
    waiting.submit(job(1, 3))
    with pytest.raises(QueueFullError):
        waiting.submit(job(2, 3))


def test_jobs_share_runs_within_the_padded_size() -> None:
    waiting = queue()
    waiting.submit(job(1, 5, 2))
    waiting.submit(job(2, 4))
    waiting.submit(job(3, 50))
    sizes = []
    while waiting:
        sizes.append([(item.job.id, len(item.tokens)) for item in waiting.take()])
    assert sizes == [[(1, 2), (1, 5)], [(2, 4)], [(3, 50)]]


def test_a_reply_has_the_order_of_its_inputs() -> None:
    waiting = queue(tokens=3)
    waiting.submit(job(1, 3, 1, 2))
    replies = []
    while waiting:
        for item in waiting.take():
            replies.append(item.accept(np.array([len(item.tokens)], np.float32)))
    assert replies[:-1] == [None, None]
    assert [np.frombuffer(row, "<f4")[0] for row in replies[-1].rows] == [3, 1, 2]
    assert replies[-1].prompt_tokens == 6


def test_cancelled_jobs_are_not_run() -> None:
    waiting = queue(limit=1)
    waiting.submit(job(1, 3, 3, 3, 3))
    waiting.take()
    waiting.cancel(1)
    assert len(waiting) == 0
    waiting.submit(job(2, 1))
