"""A model without weights: its next token is a function of what its cache holds."""

from collections.abc import Sequence as Several

import numpy as np

from sealift.runtime.engine.decode.constraint import Constraint
from sealift.runtime.engine.decode.detokenizer import Detokenizer
from sealift.runtime.engine.decode.drafter import Drafter
from sealift.runtime.engine.decode.generator import Generator, Mask
from sealift.runtime.engine.decode.sampler import Logits
from sealift.runtime.engine.decode.sampling_row import SamplingRow
from sealift.runtime.engine.decode.scheduler import Scheduler, SchedulerLimits
from sealift.runtime.engine.decode.sequence import Sequence
from sealift.runtime.engine.decode.slot_table import Copy, Move, Swap
from sealift.runtime.engine.decode.stop import StopMatcher
from sealift.runtime.engine.request import Failed, SamplingParams

__all__ = ["EOS", "VOCABULARY", "HashDecoder", "NoForms", "answers_of", "make_generator", "request"]

VOCABULARY = 101
EOS = 0


def request(
    id: int,
    prompt: Several[int] = (1, 2, 3),
    limit: int = 5,
    *,
    choice: int = 0,
    sampling: SamplingParams | None = None,
) -> Sequence:
    """Make an answer to be given; each token is one character."""
    sampling = sampling or SamplingParams(temperature=0.0)
    return Sequence(
        id=id,
        choice=choice,
        prompt=tuple(prompt),
        row=SamplingRow.start(sampling, vocab_size=VOCABULARY, prompt=prompt),
        token_limit=limit,
        eos_token_ids=frozenset({EOS}),
        detokenizer=Detokenizer(lambda ids: "".join(chr(0x100 + id) for id in ids)),
        stop=StopMatcher(()),
    )


class HashDecoder:
    """Logits that depend on the last `memory` tokens of a slot's cache (None: all), nothing else.

    With a short memory it soon repeats itself, so that guesses come true.
    """

    def __init__(self, slots: int, *, memory: int | None = None, longest_check: int = 0) -> None:
        self.cache: list[list[int]] = [[] for _ in range(slots)]
        self.longest_check = longest_check
        self.checked = 0
        self._memory = memory

    def prefill(self, slot: int, tokens: Several[int], total: int) -> Logits:
        """See `generator.Decoder`."""
        start = total - len(tokens)
        assert len(self.cache[slot]) >= start, "a slot holds less than was said"
        self.cache[slot] = self.cache[slot][:start] + list(tokens)
        return self._logits(self.cache[slot])

    def decode(self, tokens: Several[int], totals: Several[int]) -> Logits:
        """See `generator.Decoder`."""
        rows = [
            self.prefill(slot, (token,), total)
            for slot, (token, total) in enumerate(zip(tokens, totals, strict=True))
        ]
        return np.stack(rows)

    def check(self, tokens: Several[int], total: int) -> Logits:
        """See `generator.Decoder`."""
        assert len(tokens) <= self.longest_check
        self.prefill(0, tokens, total)
        self.checked += 1
        ends = range(total - len(tokens) + 1, total + 1)
        return np.stack([self._logits(self.cache[0][:end]) for end in ends])

    def move(self, move: Move) -> None:
        """See `generator.Decoder`."""
        cache = self.cache
        match move:
            case Copy(source=source, target=target, tokens=tokens):
                assert len(cache[source]) >= tokens
                cache[target] = cache[source][:tokens]
            case Swap(first=one, second=other, first_tokens=there, second_tokens=here):
                assert len(cache[one]) >= there
                assert len(cache[other]) >= here
                cache[one], cache[other] = cache[other][:here], cache[one][:there]

    def _logits(self, held: list[int]) -> Logits:
        value = 7
        for token in held if self._memory is None else held[-self._memory :]:
            value = (value * 31 + token) % 1009
        # Spread over many tokens, so that draws differ from the likeliest one.
        order = (np.arange(VOCABULARY) * 37 + value) % VOCABULARY
        logits: Logits = (order / 20).astype(np.float32)
        return logits


class NoForms:
    """Masks for requests without a form."""

    def __init__(self) -> None:
        self._count = 0

    def start(self, constraints: Several[Constraint | None]) -> None:
        """See `generator.Masks`."""
        assert not any(constraints)
        self._count = len(constraints)

    def finish(self) -> list[Mask]:
        """See `generator.Masks`."""
        return [None] * self._count


def make_generator(
    slots: int,
    *,
    chunk: int = 2,
    alone: int = 4,
    queue: int = 100,
    drafts: int = 0,
    memory: int | None = None,
    reuses_prefixes: bool = True,
) -> Generator:
    """Put a generator around the model; its clock stands still."""
    limits = SchedulerLimits(
        slots=slots,
        queue_limit=queue,
        chunk=chunk,
        chunk_least=1,
        chunk_alone=alone,
        reuses_prefixes=reuses_prefixes,
    )
    decoder = HashDecoder(slots, memory=memory, longest_check=drafts + 1 if drafts else 0)
    return Generator(
        decoder=decoder,
        scheduler=Scheduler(limits),
        masks=NoForms(),
        drafter=Drafter(most=drafts),
        token_bytes=lambda token: bytes([token]),
        clock=lambda: 0.0,
    )


def answers_of(generator: Generator) -> dict[tuple[int, int], str]:
    """Run until nothing is left; return the text of each request's answers."""
    texts: dict[tuple[int, int], str] = {}
    while generator.has_work:
        for reply in generator.step():
            assert not isinstance(reply, Failed)
            key = reply.id, reply.choice
            texts[key] = texts.get(key, "") + reply.text
    return texts
