"""No schedule changes an answer: batched or alone, chunked or whole, reused or cold, guessed ahead.

The model of these tests has no weights: its next token depends on all that its cache should hold,
so that a wrong copy, a wrong length or a wrong slot shows at once.
"""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.runtime.engine.decode.sequence import Sequence
from sealift.runtime.engine.request import Failed, SamplingParams
from tests.runtime.engine.decode.fake_model import HashDecoder, answers_of, make_generator, request

# Few different tokens and prompts made of each other's beginnings: most prompts share a prefix.
PROMPTS = st.tuples(st.integers(0, 2), st.integers(0, 30), st.lists(st.integers(1, 3), max_size=4))
SAMPLINGS = st.sampled_from(
    [
        SamplingParams(temperature=0.0),
        SamplingParams(temperature=0.9, seed=5),
        SamplingParams(temperature=1.2, top_p=0.8, presence_penalty=0.7, seed=9),
        SamplingParams(temperature=0.0, repetition_penalty=1.3),
    ]
)
REQUESTS = st.lists(
    st.tuples(PROMPTS, st.integers(1, 24), st.integers(1, 3), SAMPLINGS), min_size=1, max_size=9
)


def tokens_of(prompt: tuple[int, int, list[int]]) -> tuple[int, ...]:
    family, length, tail = prompt
    return (family + 1, *((family + place * place) % 50 + 1 for place in range(length)), *tail)


@settings(deadline=None)  # how long an example takes says nothing about it
@given(
    requests=REQUESTS,
    slots=st.integers(1, 4),
    chunk=st.integers(1, 6),
    drafts=st.sampled_from([0, 1, 5, 31]),
    memory=st.sampled_from([None, 1, 2, 4]),
    reuses=st.booleans(),
    cancels=st.dictionaries(st.integers(0, 60), st.integers(0, 8), max_size=4),
    arrivals=st.lists(st.integers(0, 40), min_size=9, max_size=9),
)
def test_no_schedule_changes_an_answer(
    requests: list[tuple[tuple[int, int, list[int]], int, int, SamplingParams]],
    slots: int,
    chunk: int,
    drafts: int,
    memory: int | None,
    reuses: bool,
    cancels: dict[int, int],
    arrivals: list[int],
) -> None:
    alone = _one_at_a_time(requests, memory)
    made = make_generator(
        slots, chunk=chunk, alone=chunk + 2, drafts=drafts, memory=memory, reuses_prefixes=reuses
    )
    texts = dict.fromkeys(alone, "")
    waiting = dict(enumerate(requests))
    cancelled, ended, step = set(), set(), 0
    while made.has_work or waiting:
        for id in [id for id in waiting if arrivals[id] <= step]:
            made.submit(*_answers(id, waiting.pop(id)))
        if step in cancels:
            cancelled.add(cancels[step])
            waiting.pop(cancels[step], None)
            made.cancel(cancels[step])
        for reply in made.step():
            assert not isinstance(reply, Failed)
            assert reply.id not in ended, "a reply after the last one"
            texts[reply.id, reply.choice] += reply.text
            if reply.is_last:
                ended.add(reply.id)
        assert made.scheduler.held_slots <= slots
        step += 1
        assert step < 5000, "a request is stuck"
    for (id, choice), text in texts.items():
        whole = alone[id, choice]
        assert text == whole if id not in cancelled else whole.startswith(text)
    assert ended == set(range(len(requests))) - (cancelled - ended)
    assert made.scheduler.held_slots == 0


def test_guesses_are_made_and_come_true() -> None:
    made = make_generator(1, drafts=31, memory=2)
    made.submit(request(1, (1, 2, 3), limit=400))
    steps = 0
    text = ""
    while made.has_work:
        for reply in made.step():
            assert not isinstance(reply, Failed)
            text += reply.text
        steps += 1
    assert isinstance(made.decoder, HashDecoder)
    assert made.decoder.checked > 0
    assert steps < len(text) / 3


def _answers(
    id: int, shape: tuple[tuple[int, int, list[int]], int, int, SamplingParams]
) -> list[Sequence]:
    prompt, limit, count, sampling = shape
    return [
        request(
            id,
            tokens_of(prompt),
            limit,
            choice=choice,
            sampling=msgspec.structs.replace(sampling, seed=sampling.seed + choice),
        )
        for choice in range(count)
    ]


def _one_at_a_time(
    requests: list[tuple[tuple[int, int, list[int]], int, int, SamplingParams]],
    memory: int | None,
) -> dict[tuple[int, int], str]:
    texts = {}
    for id, shape in enumerate(requests):
        for answer in _answers(id, shape):
            single = make_generator(1, chunk=100, alone=100, memory=memory, reuses_prefixes=False)
            single.submit(answer)
            key = id, answer.choice
            texts[key] = ""
            texts.update(answers_of(single))
    return texts
