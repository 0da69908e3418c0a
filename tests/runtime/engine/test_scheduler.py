"""The scheduler, driven by a model that only counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.errors import QueueFullError
from sealift.runtime.engine.generator import Generator
from sealift.runtime.engine.request import SamplingParams
from sealift.runtime.engine.sampler import Logits
from sealift.runtime.engine.scheduler import Decode, Idle, Move, Prefill, Scheduler
from sealift.runtime.engine.sequence import Sequence

VOCABULARY = 101
EOS = 0


def sequence(id: int, prompt: int = 3, limit: int = 5) -> Sequence:
    return Sequence.start(
        id=id,
        prompt=tuple((id * 7 + place) % 90 + 1 for place in range(prompt)),
        sampling=SamplingParams(temperature=0.0),
        token_limit=limit,
        eos_token_ids=frozenset({EOS}),
        stops=(),
        decode=lambda ids: "".join(chr(0x100 + id) for id in ids),
    )


class HashDecoder:
    """A model whose next token depends on every token in the slot's cache, and on nothing else."""

    def __init__(self, slots: int) -> None:
        self.cache: list[list[int]] = [[] for _ in range(slots)]

    def prefill(self, slot: int, tokens: tuple[int, ...], total: int) -> Logits:
        self.cache[slot] = self.cache[slot][: total - len(tokens)] + list(tokens)
        assert len(self.cache[slot]) == total
        return self._logits(slot)

    def decode(self, tokens: list[int], totals: list[int]) -> Logits:
        for slot, (token, total) in enumerate(zip(tokens, totals, strict=True)):
            self.prefill(slot, (token,), total)
        return np.stack([self._logits(slot) for slot in range(len(tokens))])

    def move(self, move: Move) -> None:
        self.cache[move.target] = self.cache[move.source][: move.tokens]

    def _logits(self, slot: int) -> Logits:
        value = 7
        for token in self.cache[slot]:
            value = (value * 31 + token) % 1009
        logits = np.zeros(VOCABULARY, np.float32)
        logits[value % VOCABULARY] = 1
        return logits


def generator(slots: int, *, queue: int = 100, chunk: int = 2, alone: int = 4) -> Generator:
    scheduler = Scheduler(slots=slots, queue_limit=queue, chunk=chunk, chunk_alone=alone)
    return Generator(decoder=HashDecoder(slots), scheduler=scheduler)


def test_a_full_queue_refuses() -> None:
    scheduler = Scheduler(slots=1, queue_limit=2, chunk=2, chunk_alone=2)
    for id in range(3):  # one for the slot that is free, two that wait
        scheduler.submit(sequence(id))
    with pytest.raises(QueueFullError, match="1 requests at a time, 3 are here"):
        scheduler.submit(sequence(3))


def test_nothing_to_do_is_idle() -> None:
    assert generator(2).scheduler.next() == Idle()
    assert generator(2).step() == []


def test_removing_an_unknown_request_does_nothing() -> None:
    scheduler = generator(1).scheduler
    scheduler.submit(sequence(1))
    assert scheduler.remove(9) == ()
    assert scheduler.waiting_count == 1


def test_prefill_chunks_and_decode_steps_alternate() -> None:
    scheduler = Scheduler(slots=4, queue_limit=9, chunk=2, chunk_alone=10)
    scheduler.submit(sequence(1, prompt=3))
    seen = []
    for step in range(8):
        work = scheduler.next()
        if isinstance(work, Prefill):
            seen.append(f"prefill {work.sequence.id} slot {work.slot} {work.start}-{work.stop}")
        elif isinstance(work, Decode):
            seen.append(f"decode {[item.id for item in work.sequences]}")
        scheduler.ran(work)
        if isinstance(work, Prefill) and work.sequence.is_prefilled:
            work.sequence.output.append(5)
        if step == 1:
            scheduler.submit(sequence(2, prompt=5))
            scheduler.submit(sequence(3, prompt=1))
    assert seen == [
        "prefill 1 slot 0 0-3",
        "decode [1]",
        "prefill 2 slot 1 0-2",
        "decode [1]",
        "prefill 2 slot 1 2-4",
        "decode [1]",
        "prefill 2 slot 1 4-5",
        "decode [1, 2]",
    ]


def test_leaving_fills_the_hole_and_keeps_the_prefilling_slot_next() -> None:
    made = generator(4, chunk=2, alone=50)
    for id, prompt in ((1, 3), (2, 4), (3, 9)):
        made.submit(sequence(id, prompt=prompt))
    while not any(0 < item.prefilled < 9 for item in made.scheduler.sequences if item.id == 3):
        made.step()
    first, second, third = made.scheduler.sequences
    assert made.scheduler.remove(1) == (
        Move(source=1, target=0, tokens=second.cached_tokens),
        Move(source=2, target=1, tokens=third.prefilled),
    )
    assert made.scheduler.sequences == (second, third)
    assert first not in made.scheduler.sequences


@given(
    shapes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=9),
    slots=st.integers(1, 4),
    chunk=st.integers(1, 5),
    cancels=st.dictionaries(st.integers(0, 40), st.integers(0, 8), max_size=4),
    arrivals=st.lists(st.integers(0, 30), min_size=9, max_size=9),
)
def test_no_schedule_changes_an_answer(
    shapes: list[tuple[int, int]],
    slots: int,
    chunk: int,
    cancels: dict[int, int],
    arrivals: list[int],
) -> None:
    alone = {}
    for id, (prompt, limit) in enumerate(shapes):
        single = generator(1)
        single.submit(sequence(id, prompt, limit))
        while single.has_work:
            alone[id] = alone.get(id, "") + "".join(delta.text for delta in single.step())
    made = generator(slots, chunk=chunk, alone=chunk + 2)
    answers = dict.fromkeys(alone, "")
    cancelled = set()
    step = 0
    waiting = dict(enumerate(shapes))
    while made.has_work or waiting:
        for id in [id for id in waiting if arrivals[id] <= step]:
            made.submit(sequence(id, *waiting.pop(id)))
        if step in cancels:
            cancelled.add(cancels[step])
            waiting.pop(cancels[step], None)
            made.cancel(cancels[step])
        for delta in made.step():
            answers[delta.id] += delta.text
        assert made.scheduler.held_slots <= slots
        step += 1
    for id, answer in answers.items():
        assert answer == alone[id] if id not in cancelled else alone[id].startswith(answer)
    assert made.scheduler.held_slots == 0
