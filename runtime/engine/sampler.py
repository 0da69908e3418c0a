"""Choose the next token of each row.

Every draw is a function of the request's seed and the position alone (a Philox counter, no state):
the same seed gives the same answer whatever else runs in the batch.

>>> logits = np.array([[0.0, 3.0, 1.0]], dtype=np.float32)
>>> choose(logits, [SamplingParams(temperature=0.0)], [0])
[1]
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.request import SamplingParams

__all__ = ["Logits", "choose", "uniform"]

Logits = NDArray[np.float32]

# The likeliest tokens tried first as the nucleus; a full sort of 150,000 costs ten milliseconds.
_NUCLEUS_FIRST = 512
_MASK_64 = (1 << 64) - 1


def choose(logits: Logits, params: Sequence[SamplingParams], positions: Sequence[int]) -> list[int]:
    """Return one token a row.

    Args:
        logits: `[rows, vocabulary]`.
        params: of each row.
        positions: how many tokens each row's answer has already.
    """
    tokens: list[int] = np.argmax(logits, axis=-1).tolist()
    for row, (param, position) in enumerate(zip(params, positions, strict=True)):
        if not param.is_greedy:
            tokens[row] = _draw(logits[row], param, uniform(param.seed, position))
    return tokens


def uniform(seed: int, position: int) -> float:
    """Return the number in [0, 1) that this seed has at this position."""
    bits = np.random.Philox(key=seed & _MASK_64, counter=position).random_raw()
    return int(bits >> 11) * 2.0**-53


def _draw(logits: Logits, param: SamplingParams, point: float) -> int:
    weights = np.exp((logits - logits.max()) / np.float32(param.temperature))
    if param.top_p >= 1.0:
        return _invert(weights, point)
    tokens = _nucleus(weights, param.top_p)
    return int(tokens[_invert(weights[tokens], point)])


def _invert(weights: Logits, point: float) -> int:
    total = np.cumsum(weights, dtype=np.float64)
    index = int(np.searchsorted(total, point * total[-1], side="right"))
    return min(index, len(weights) - 1)


def _nucleus(weights: Logits, top_p: float) -> NDArray[np.intp]:
    """Return the fewest likeliest tokens that hold `top_p` of the probability, likeliest first.

    Equal weights are taken in order of token id, so that the set does not depend on the sort.
    """
    goal = top_p * float(weights.sum(dtype=np.float64))
    size = min(_NUCLEUS_FIRST, len(weights))
    while True:
        floor = np.partition(weights, len(weights) - size)[len(weights) - size]
        candidates = np.flatnonzero(weights >= floor)
        order = candidates[np.argsort(-weights[candidates], kind="stable")]
        total = np.cumsum(weights[order], dtype=np.float64)
        if total[-1] >= goal or size == len(weights):
            count = int(np.searchsorted(total, goal, side="left")) + 1
            return order[:count]
        size = min(size * 8, len(weights))
