"""Draw a token from the likely part of a distribution: min_p, top_k, top_p. Pure.

The result is that of a full sort of the vocabulary, without sorting it: what cannot be kept is cut
off below a provable bound first. Of equal tokens the lowest id is the likelier one.

>>> draw(np.array([0.0, 9.0, 1.0], dtype=np.float32), SamplingParams(top_p=0.5), point=0.7)
1
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.decode.sampling_row import Logits
from sealift.runtime.engine.request import SamplingParams

__all__ = ["block_sums", "draw", "floor_of_top"]

Indices = NDArray[np.intp]

# Float32 sums of so many numbers are exact to 1e-7, and a running sum over the blocks' sums in
# float64 costs 1 % of one over the whole vocabulary.
_BLOCK = 1024
# Groups of so many values each give one maximum: k maxima bound the k-th largest value from below.
_GROUP = 64
# Rounding must not cut off what the exact comparison after it would keep.
_SLACK = 0.999
_SORTED_AT_ONCE = 4096
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Weights that may be drawn, in the order of their ids; `ids` None: all of them."""

    ids: Indices | None
    weights: Logits

    def at(self, places: Indices) -> "_Kept":
        ids = places if self.ids is None else self.ids[places]
        return _Kept(ids, self.weights[places])


def draw(values: Logits, params: SamplingParams, point: float) -> int:
    """Return the index that `point` falls on, by inversion of the cumulative distribution.

    In vLLM's order: temperature, then min_p (arXiv:2407.01082), top_k, top_p; each of the last
    three sees the tokens that the one before it kept, renormalized.

    Args:
        values: logits; not NaN, not +inf, not all -inf.
        params: with a temperature above 0 and a top_p above 0.
        point: in [0, 1).
    """
    kept = _shortlist(values, params)
    if params.top_p < 1.0:
        kept = _Kept(kept.ids, _nucleus(kept.weights, params.top_p))
    sums = block_sums(kept.weights)
    index = _crossing(kept.weights, sums, point * float(sums.sum()))
    return index if kept.ids is None else int(kept.ids[index])


def block_sums(weights: Logits) -> NDArray[np.float64]:
    """Return the sum of each 1024 weights."""
    whole = len(weights) // _BLOCK * _BLOCK
    sums = np.empty(-(-len(weights) // _BLOCK), np.float64)
    sums[: whole // _BLOCK] = weights[:whole].reshape(-1, _BLOCK).sum(axis=1)
    if whole < len(weights):
        sums[-1] = weights[whole:].sum()
    return sums


def floor_of_top(values: Logits, count: int) -> np.float32:
    """Return a value that at least `count` of them reach, and often few more."""
    groups = len(values) // _GROUP
    if count <= groups:
        values = values[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
    found: np.float32 = np.partition(values, len(values) - count)[len(values) - count]
    return found


def _shortlist(values: Logits, params: SamplingParams) -> _Kept:
    """Apply temperature, min_p and top_k."""
    peak, top_k = values.max(), min(params.top_k, len(values))
    floor = -math.inf
    if params.min_p > 0.0:
        spread = params.temperature * (1.0 - math.log(min(params.min_p, 1.0)))
        floor = float(np.nextafter(np.float32(float(peak) - spread), np.float32(-np.inf)))
    if top_k:
        floor = max(floor, float(floor_of_top(values, top_k)))
    ids = None
    if floor > -math.inf:
        ids = np.flatnonzero(values >= np.float32(floor))
        values = values[ids]
    kept = _Kept(ids, _weights(values, peak, params.temperature))
    if params.min_p > 0.0:
        places = np.flatnonzero(kept.weights >= min(params.min_p, 1.0))
        kept, values = kept.at(places), values[places]
    if 0 < top_k < len(values):
        lowest = np.partition(values, len(values) - top_k)[len(values) - top_k]
        kept = kept.at(np.flatnonzero(_largest(values, lowest, top_k)))
    return kept


def _weights(values: Logits, peak: np.float32, temperature: float) -> Logits:
    """Return `exp((values - peak) / temperature)`: 1 for the likeliest."""
    weights = values - peak
    # A product, and a bounded one: 0 / 0 is no number, 0 * large is 0.
    weights *= np.float32(min(1.0 / temperature, _LARGEST))
    np.exp(weights, out=weights)
    return weights


def _nucleus(weights: Logits, top_p: float) -> Logits:
    """Return the weights with 0 for all but the fewest likeliest that hold `top_p` of the sum."""
    total = float(block_sums(weights).sum())
    # All that lie below this floor hold less than 1 - top_p together: none of them is needed.
    near = weights >= (1.0 - top_p) * total / len(weights) * _SLACK
    few = np.count_nonzero(near) * 2 < len(weights)
    lowest, count = _lowest_kept(weights[near] if few else weights, top_p * total)
    result: Logits = weights * _largest(weights, lowest, count)
    return result


def _lowest_kept(weights: Logits, goal: float) -> tuple[np.float32, int]:
    """Return the last weight, from the largest on, that the sum needs to reach `goal`, and how
    many were needed: a quickselect by mass."""
    part, mass, count = weights, 0.0, 0
    while len(part) > _SORTED_AT_ONCE:
        middle = len(part) // 2
        part = np.partition(part, middle)
        upper = part[middle:]
        upper_mass = float(block_sums(upper).sum())
        if mass + upper_mass >= goal:
            part = upper
        else:
            mass, count, part = mass + upper_mass, count + len(upper), part[:middle]
    ordered = np.sort(part)[::-1]
    sums = mass + np.cumsum(ordered, dtype=np.float64)
    place = min(int(np.searchsorted(sums, goal, side="left")), len(ordered) - 1)
    return ordered[place], count + place + 1


def _largest(values: Logits, lowest: np.float32, count: int) -> NDArray[np.bool_]:
    """Tell which are the `count` largest values, of which `lowest` is the last."""
    chosen = values >= lowest
    excess = int(np.count_nonzero(chosen)) - count
    if excess > 0:
        chosen[np.flatnonzero(values == lowest)[-excess:]] = False
    return chosen


def _crossing(weights: Logits, sums: NDArray[np.float64], goal: float) -> int:
    """Return the first index at which the running sum exceeds `goal`: a weight above 0."""
    running = np.cumsum(sums)
    block = _first_above(running, goal)
    before = float(running[block - 1]) if block else 0.0
    start = block * _BLOCK
    inside = np.cumsum(weights[start : start + _BLOCK], dtype=np.float64)
    return start + _first_above(inside, goal - before)


def _first_above(running: NDArray[np.float64], goal: float) -> int:
    """Return the first place above `goal`, or, where rounding left none, the last that grew."""
    place = int(np.searchsorted(running, goal, side="right"))
    if place == len(running):
        place = int(np.searchsorted(running, running[-1], side="left"))
    return place
