"""Which texts share a run: nobody waits for ever, runs are bounded, little is padded."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sealift.runtime.engine.errors import QueueFullError
from sealift.runtime.engine.request import Scores
from sealift.runtime.engine.vectors.embed_queue import (
    PADDING,
    EmbedItem,
    EmbedJob,
    EmbedQueue,
    Padding,
)
from sealift.runtime.engine.vectors.encoder_row import EncoderRow


def job(id: int, *lengths: int) -> EmbedJob:
    def answer(outputs: Sequence[NDArray[np.float32]]) -> Scores:
        return Scores(id=id, rows=tuple(tuple(row.tolist()) for row in outputs), prompt_tokens=0)

    inputs = tuple(EncoderRow(ids=(id,) * length) for length in lengths)
    return EmbedJob(id=id, inputs=inputs, answer=answer)


def queue(tokens: int = 1000, limit: int = 99, padding: Padding = PADDING) -> EmbedQueue:
    return EmbedQueue(batch_tokens=tokens, queue_limit=limit, padding=padding)


def shape(batch: list[EmbedItem]) -> list[tuple[int, int]]:
    return [(item.job.id, len(item.row)) for item in batch]


def test_a_full_queue_refuses() -> None:
    waiting = queue(limit=1)
    waiting.submit(job(1, 3))
    with pytest.raises(QueueFullError):
        waiting.submit(job(2, 3))


def test_nothing_waits_in_an_empty_queue() -> None:
    assert queue().take() == []


def test_requests_share_runs_by_length() -> None:
    waiting = queue()
    waiting.submit(job(1, 100, 10))
    waiting.submit(job(2, 90))
    waiting.submit(job(3, 12, 50))
    assert shape(waiting.take()) == [(1, 10), (3, 12)]  # 1's turn: its shortest, and its like
    assert shape(waiting.take()) == [(2, 90), (1, 100)]
    assert shape(waiting.take()) == [(3, 50)]
    assert not waiting


def test_the_padded_size_is_bounded_but_a_single_text_always_runs() -> None:
    waiting = queue(tokens=10, padding=Padding(tokens=99))
    waiting.submit(job(1, 2, 5))
    waiting.submit(job(2, 4))
    waiting.submit(job(3, 50))
    assert shape(waiting.take()) == [(1, 2), (2, 4)]
    assert shape(waiting.take()) == [(3, 50)]
    assert shape(waiting.take()) == [(1, 5)]


def test_a_request_of_many_inputs_does_not_keep_a_small_one_waiting() -> None:
    waiting = queue(tokens=100)
    waiting.submit(job(1, *[100] * 50))
    waiting.submit(job(2, 1))
    assert shape(waiting.take()) == [(1, 100)]
    assert shape(waiting.take()) == [(2, 1)]


def test_a_reply_has_the_order_of_its_inputs() -> None:
    waiting = queue(tokens=3, padding=Padding(tokens=0, share=0.0))
    waiting.submit(job(1, 3, 1, 2))
    replies = []
    while waiting:
        for item in waiting.take():
            replies.append(item.accept(np.array([len(item.row)], np.float32)))
    assert replies[:-1] == [None, None]
    assert replies[-1] == Scores(id=1, rows=((3.0,), (1.0,), (2.0,)), prompt_tokens=0)


def test_cancelled_jobs_are_not_run() -> None:
    waiting = queue(tokens=6, limit=2)
    waiting.submit(job(1, 3, 3, 3, 3))
    waiting.submit(job(2, 3))
    waiting.take()
    waiting.cancel(1)
    waiting.cancel(1)
    waiting.cancel(7)
    assert shape(waiting.take()) == [(2, 3)]
    assert len(waiting) == 0
    waiting.submit(job(2, 1))


jobs = st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=12), min_size=1, max_size=12)


@given(lengths=jobs, tokens=st.integers(1, 600), arrivals=st.lists(st.integers(0, 9), max_size=12))
def test_every_input_runs_once_within_the_bounds(
    lengths: list[list[int]], tokens: int, arrivals: list[int]
) -> None:
    waiting = queue(tokens)
    unsent = {id: job(id, *each) for id, each in enumerate(lengths)}
    due = dict(zip(unsent, arrivals, strict=False))
    ran: list[tuple[int, int]] = []
    idle: dict[int, int] = {}
    run = 0
    while waiting or unsent:
        for id in [id for id in unsent if due.get(id, 0) <= run]:
            waiting.submit(unsent.pop(id))
            idle[id] = 0
        batch = waiting.take()
        run += 1
        longest = max((len(item.row) for item in batch), default=0)
        assert longest * len(batch) <= tokens or len(batch) == 1
        assert all(len(item.row) >= PADDING.shortest(longest) for item in batch)
        ran += [(item.job.id, item.index) for item in batch]
        served = {item.job.id for item in batch}
        done = {id for id in idle if sum(at == id for at, _ in ran) == len(lengths[id])}
        idle = {id: 0 if id in served else idle[id] + 1 for id in idle.keys() - done}
        assert all(runs < len(lengths) for runs in idle.values())
    assert sorted(ran) == [(id, at) for id, each in enumerate(lengths) for at in range(len(each))]
