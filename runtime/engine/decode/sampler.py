"""Choose the next token of each row. Pure.

Guarantees: a draw is a function of the request's seed and the position alone (a Philox counter, no
state), and a row's choice of nothing but that row, so the same seed gives the same answer whatever
else runs in the batch. A token that the mask does not allow is never chosen, whatever the logits
are: NaN counts as impossible, and tokens at +inf share all of the probability.

Logarithms of probabilities are those of the model itself: before bias, penalties, temperature,
mask. Then come, in vLLM's order, bias and penalties (`sampling_row.py`), the mask, and the
likeliest token or a draw (`nucleus.py`).

>>> logits = np.array([[0.0, 3.0, 1.0]], dtype=np.float32)
>>> row = SamplingRow.start(SamplingParams(temperature=0.0), vocab_size=3)
>>> choose(logits, [row], [None])
[TokenChoice(token=1, logprob=None)]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.decode.constraint import MaskWords
from sealift.runtime.engine.decode.nucleus import block_sums, draw, floor_of_top
from sealift.runtime.engine.decode.sampling_row import Logits, SamplingRow
from sealift.runtime.engine.errors import EngineError

__all__ = ["ChosenLogprob", "Logits", "TokenChoice", "choice_seed", "choose", "uniform"]

_MASK_64 = (1 << 64) - 1
_MASK_63 = (1 << 63) - 1
# What OpenAI's API says of a token that is as good as impossible; JSON has no infinity.
_LEAST_LOGPROB = -9999.0
# Of a mask that allows fewer than one in so many, only those are looked at.
_SPARSE = 4


@dataclass(frozen=True, slots=True)
class ChosenLogprob:
    """The natural logarithm of a token's probability, and the likeliest tokens with theirs."""

    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """A row's next token."""

    token: int
    logprob: ChosenLogprob | None = None


def choose(
    logits: Logits, rows: Sequence[SamplingRow], masks: Sequence[MaskWords | None]
) -> list[TokenChoice]:
    """Return one token a row.

    Args:
        logits: `[rows, vocabulary]`; may be overwritten.
        rows: of each; not changed.
        masks: which tokens each row may have; None: all.

    Raises:
        EngineError: a mask allows nothing.
    """
    with np.errstate(all="ignore"):
        return [
            _choose(np.ascontiguousarray(values), row, mask)
            for values, row, mask in zip(logits, rows, masks, strict=True)
        ]


def uniform(seed: int, position: int) -> float:
    """Return the number in [0, 1) that this seed has at this position."""
    bits = np.random.Philox(key=seed & _MASK_64, counter=position).random_raw()
    return int(bits >> 11) * 2.0**-53


def choice_seed(seed: int, index: int) -> int:
    """Return the seed of a request's answer number `index`; the first one has the request's."""
    if index == 0:
        return seed
    # The upper half of the key: no counter of `uniform` gives these bits.
    key = (seed & _MASK_64) | (index << 64)
    return int(np.random.Philox(key=key, counter=0).random_raw()) & _MASK_63


def _choose(values: Logits, row: SamplingRow, mask: MaskWords | None) -> TokenChoice:
    told = row.params.top_logprobs
    distribution = None if told is None else _Distribution.of(values)
    if row.is_adjusted:
        row.adjust(values)
    token = _pick(values, row) if mask is None else _pick_allowed(values, row, mask)
    if distribution is None or told is None:
        return TokenChoice(token)
    return TokenChoice(token, distribution.tell(token, told))


def _pick(values: Logits, row: SamplingRow) -> int:
    """Return the index of the row's token; where nothing has any probability, the first."""
    best = int(values.argmax())  # of the first NaN, where there is any
    if not np.isfinite(values[best]):
        values = _repaired(values)
        best = int(values.argmax())
    if row.params.is_greedy or values[best] == -np.inf:
        return best
    return draw(values, row.params, uniform(row.params.seed, row.position))


def _pick_allowed(values: Logits, row: SamplingRow, mask: MaskWords) -> int:
    octets = np.ascontiguousarray(mask, dtype="<i4").view(np.uint8)
    allowed = np.unpackbits(octets, bitorder="little", count=len(values)).view(np.bool_)
    count = int(np.count_nonzero(allowed))
    if count == 0:
        raise EngineError("the answer's form allows no token here")
    if row.params.is_greedy:
        best = int(values.argmax())
        if allowed[best] and np.isfinite(values[best]):
            return best
    if count * _SPARSE >= len(values):
        np.copyto(values, -np.inf, where=~allowed)
        token = _pick(values, row)
        if allowed[token]:
            return token
    # Few, or all of them at -inf: among themselves, so that none outside can be picked.
    ids = np.flatnonzero(allowed)
    return int(ids[_pick(values[ids], row)])


def _repaired(values: Logits) -> Logits:
    """Return logits that are numbers: NaN impossible; beside +inf everything else impossible."""
    values = np.where(np.isnan(values), np.float32(-np.inf), values)
    if values.max() == np.inf:
        values = np.where(values == np.inf, np.float32(0.0), np.float32(-np.inf))
    return values


@dataclass(frozen=True, slots=True)
class _Distribution:
    """What the model itself said: a copy of its logits, and the logarithm of their sum."""

    values: Logits
    log_total: float

    @classmethod
    def of(cls, values: Logits) -> "_Distribution":
        peak = values.max()
        values = values.copy() if np.isfinite(peak) else _repaired(values)
        peak = values.max()
        if peak == -np.inf:
            return cls(values, 0.0)
        weights = values - peak
        total = float(block_sums(np.exp(weights, out=weights)).sum())
        return cls(values, float(peak) + math.log(total))

    def tell(self, token: int, count: int) -> ChosenLogprob:
        top: tuple[tuple[int, float], ...] = ()
        count = min(count, len(self.values))
        if count:
            near = np.flatnonzero(self.values >= floor_of_top(self.values, count))
            order: NDArray[np.intp] = near[np.argsort(-self.values[near], kind="stable")][:count]
            top = tuple((other, self._logprob(other)) for other in order.tolist())
        return ChosenLogprob(self._logprob(token), top)

    def _logprob(self, token: int) -> float:
        return max(float(self.values[token]) - self.log_total, _LEAST_LOGPROB)
