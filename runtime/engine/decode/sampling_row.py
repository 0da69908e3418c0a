"""What choosing one answer's tokens must remember: parameters, position, and what was said. Pure.

Nothing is counted for a request that asks for no penalty.

>>> row = SamplingRow.start(SamplingParams(presence_penalty=1.0), vocab_size=4)
>>> row.accept(2)
>>> values = np.zeros(4, dtype=np.float32)
>>> row.adjust(values)
>>> values.tolist()
[0.0, 0.0, -1.0, 0.0]
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.errors import PromptError
from sealift.runtime.engine.request import SamplingParams

__all__ = ["Logits", "SamplingRow"]

Logits = NDArray[np.float32]

_FIRST_CAPACITY = 256


class _Seen:
    """The different tokens of prompt and answer, and how often the answer has each.

    Arrays that grow, not a dict: all of them are read at every step.
    """

    def __init__(self, prompt: NDArray[np.int64]) -> None:
        self._size = len(prompt)
        self._ids = np.resize(prompt, self._size + _FIRST_CAPACITY).astype(np.int64)
        self._counts = np.zeros(len(self._ids), np.float32)
        self._places = {token: place for place, token in enumerate(prompt.tolist())}

    @property
    def ids(self) -> NDArray[np.int64]:
        return self._ids[: self._size]

    @property
    def counts(self) -> Logits:
        return self._counts[: self._size]

    def add(self, token: int) -> None:
        place = self._places.setdefault(token, self._size)
        if place == self._size:
            self._reserve()
            self._ids[place] = token
            self._size += 1
        self._counts[place] += 1

    def _reserve(self) -> None:
        if self._size == len(self._ids):
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])


@dataclass(slots=True, kw_only=True, eq=False)
class SamplingRow:
    """One answer as the sampler sees it.

    Attributes:
        position: tokens accepted so far; with the seed, all that a draw depends on.
    """

    params: SamplingParams
    position: int
    _bias: tuple[NDArray[np.int64], Logits] | None
    _seen: _Seen | None

    @classmethod
    def start(
        cls,
        params: SamplingParams,
        *,
        vocab_size: int,
        prompt: Iterable[int] = (),
        answer: tuple[int, ...] = (),
    ) -> "SamplingRow":
        """Make the row of an answer that has the tokens of `answer` already.

        Args:
            params: of the request.
            vocab_size: logits of a row.
            prompt: what the repetition penalty counts beside the answer.
            answer: tokens that were accepted before.

        Raises:
            PromptError: a logit bias names a token that the model does not have.
        """
        seen = None
        if _has_penalties(params):
            repeats = params.repetition_penalty != 1.0
            ids = np.unique(np.fromiter(prompt if repeats else (), np.int64))
            seen = _Seen(ids[(ids >= 0) & (ids < vocab_size)])
            for token in answer:
                seen.add(token)
        bias = _bias_arrays(params.logit_bias, vocab_size)
        return cls(params=params, position=len(answer), _bias=bias, _seen=seen)

    @property
    def is_adjusted(self) -> bool:
        """True where `adjust` can change anything."""
        return self._bias is not None or self._seen is not None

    def accept(self, token: int) -> None:
        """Take the token that was chosen."""
        self.position += 1
        if self._seen is not None:
            self._seen.add(token)

    def adjust(self, values: Logits) -> None:
        """Apply bias and penalties to a row of logits, in place.

        In vLLM's order: logit bias; the repetition penalty (CTRL, arXiv:1909.05858, section 4.1) on
        prompt and answer; frequency and presence penalty (OpenAI's formula) on the answer.
        """
        if self._bias is not None:
            ids, amounts = self._bias
            values[ids] += amounts
        if self._seen is None:
            return
        ids, counts = self._seen.ids, self._seen.counts
        params, found = self.params, values[self._seen.ids]
        penalty = np.float32(params.repetition_penalty)
        if penalty != 1.0:
            found = np.where(found > 0, found / penalty, found * penalty)
        found -= np.float32(params.frequency_penalty) * counts
        found -= np.float32(params.presence_penalty) * (counts > 0)
        values[ids] = found


def _has_penalties(params: SamplingParams) -> bool:
    return (
        params.presence_penalty != 0.0
        or params.frequency_penalty != 0.0
        or params.repetition_penalty != 1.0
    )


def _bias_arrays(
    bias: tuple[tuple[int, float], ...], vocab_size: int
) -> tuple[NDArray[np.int64], Logits] | None:
    amounts: dict[int, float] = {}
    for token, amount in bias:
        if not 0 <= token < vocab_size:
            raise PromptError(
                f"logit_bias: expected token ids of 0 to {vocab_size - 1}, got {token}",
                param="logit_bias",
            )
        amounts[token] = amounts.get(token, 0.0) + amount
    if not amounts:
        return None
    return (
        np.fromiter(amounts.keys(), np.int64, len(amounts)),
        np.fromiter(amounts.values(), np.float32, len(amounts)),
    )
