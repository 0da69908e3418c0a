"""What runs next, and in which slot."""

import pytest

from sealift.runtime.engine.decode.scheduler import (
    Decode,
    Idle,
    Prefill,
    Scheduler,
    SchedulerLimits,
)
from sealift.runtime.engine.errors import PromptError, QueueFullError
from tests.runtime.engine.decode.fake_model import answers_of, make_generator, request


def scheduler_of(**limits: int) -> Scheduler:
    return Scheduler(SchedulerLimits(**{"slots": 4, "chunk": 2, "chunk_alone": 10, **limits}))


def run(scheduler: Scheduler, steps: int) -> list[str]:
    """Run some steps as a generator would; say what they were."""
    seen = []
    for _ in range(steps):
        work = scheduler.next()
        scheduler.take_moves()
        if isinstance(work, Prefill):
            seen.append(f"prefill {work.sequence.id} slot {work.slot} {work.start}-{work.stop}")
        elif isinstance(work, Decode):
            seen.append(f"decode {[item.id for item in work.sequences]}")
        scheduler.ran(work)
        if isinstance(work, Prefill) and work.sequence.is_prefilled:
            work.sequence.output.append(5)
    return seen


def prompt(id: int, tokens: int) -> tuple[int, ...]:
    """Return a prompt that begins like no other one."""
    return tuple((id * 7 + place) % 90 + 1 for place in range(tokens))


def test_a_full_queue_refuses_all_answers_of_a_request() -> None:
    scheduler = scheduler_of(slots=1, queue_limit=2)
    for id in range(2):
        scheduler.submit(request(id))
    with pytest.raises(QueueFullError, match="1 answers at a time, 2 are asked for"):
        scheduler.submit(request(3), request(3, choice=1))
    scheduler.submit(request(4))
    assert scheduler.waiting_count == 3


def test_more_answers_than_the_queue_holds_are_refused_for_good() -> None:
    scheduler = scheduler_of(slots=1, queue_limit=2)
    with pytest.raises(PromptError, match="at most 3 answers, got 4") as refused:
        scheduler.submit(*(request(1, choice=choice) for choice in range(4)))
    assert refused.value.param == "n"


def test_nothing_to_do_is_idle() -> None:
    assert make_generator(2).scheduler.next() == Idle()
    assert make_generator(2).step() == []


def test_prefill_chunks_and_decode_steps_alternate() -> None:
    scheduler = scheduler_of(chunk_least=2)
    scheduler.submit(request(1, prompt(1, 3)))
    seen = run(scheduler, 2)
    scheduler.submit(request(2, prompt(2, 5)))
    seen += run(scheduler, 6)
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


def test_a_short_prompt_goes_before_a_long_one_that_came_earlier() -> None:
    scheduler = scheduler_of(chunk_least=2)
    scheduler.submit(request(1, prompt(1, 2)))
    run(scheduler, 1)
    scheduler.submit(request(2, prompt(2, 40)))
    run(scheduler, 2)
    scheduler.submit(request(3, prompt(3, 3)))
    assert run(scheduler, 4) == [
        "decode [1]",
        "prefill 3 slot 2 0-2",
        "decode [1]",
        "prefill 3 slot 2 2-3",
    ]
    assert [item.id for item in scheduler.sequences] == [1, 3, 2], "who runs comes first"


def test_a_long_prompt_is_passed_over_only_so_often() -> None:
    scheduler = scheduler_of(slots=3, chunk_alone=1, patience=4)
    scheduler.submit(request(0, prompt(0, 30)))
    seen = []
    for id in range(1, 20):
        scheduler.submit(request(id, prompt(id, 1)))
        (step,) = run(scheduler, 1)
        seen.append(step)
        for sequence in scheduler.find(id):
            scheduler.remove(sequence)
    assert sum(step.startswith("prefill 0") for step in seen) >= 3
    assert sum(not step.startswith("prefill 0") for step in seen) >= 10


def test_a_prompt_waits_for_the_one_that_computes_its_beginning() -> None:
    scheduler = scheduler_of(chunk_alone=20, chunk_least=4)
    shared = prompt(1, 30)
    scheduler.submit(request(1, (*shared, 91)))
    scheduler.submit(request(2, (*shared, 92)))
    assert run(scheduler, 2) == ["prefill 1 slot 0 0-20", "prefill 1 slot 0 20-31"]
    run(scheduler, 1)
    assert run(scheduler, 1) == ["prefill 2 slot 1 30-31"]


def test_a_follow_up_computes_only_what_is_new() -> None:
    made = make_generator(2)
    made.submit(request(1, prompt(1, 20), limit=6))
    answers_of(made)
    made.submit(request(2, prompt(1, 25), limit=1))
    replies = []
    while made.has_work:
        replies += made.step()
    assert replies[-1].cached_tokens == 20
    assert replies[-1].prompt_tokens == 25


def test_a_whole_prompt_in_the_cache_still_computes_its_last_token() -> None:
    made = make_generator(2)
    for id in (1, 2):
        made.submit(request(id, prompt(1, 20), limit=1))
        replies = []
        while made.has_work:
            replies += made.step()
        assert replies[-1].cached_tokens == (0 if id == 1 else 19)


def test_without_reuse_every_prompt_is_computed() -> None:
    made = make_generator(2, reuses_prefixes=False)
    for id in (1, 2):
        made.submit(request(id, prompt(1, 20), limit=3))
        replies = []
        while made.has_work:
            replies += made.step()
        assert replies[-1].cached_tokens == 0


def test_several_answers_share_the_computation_of_their_prompt() -> None:
    made = make_generator(4, chunk=50, alone=50)
    answers = [request(1, prompt(1, 30), limit=2, choice=choice) for choice in range(3)]
    made.submit(*answers)
    replies = []
    while made.has_work:
        replies += made.step()
    assert [answer.reused for answer in answers] == [0, 29, 29]
    assert [reply.is_last for reply in replies].count(True) == 1
    assert replies[-1].is_last


def test_a_cancelled_request_gives_back_its_slots() -> None:
    made = make_generator(2)
    made.submit(*(request(1, prompt(1, 9), limit=50, choice=choice) for choice in range(4)))
    made.submit(request(2, prompt(2, 9), limit=3))
    for _ in range(12):
        made.step()
    made.cancel(1)
    assert all(sequence.id == 2 for sequence in made.scheduler.sequences)
    assert set(answers_of(made)) == {(2, 0)}
    made.cancel(1)
    made.cancel(99)
    assert not made.has_work
