"""Decide how many guessed tokens to have checked in one run: as many as pay. Pure.

A run over 1 + n tokens of one answer costs more than a run over one; by how much depends on host
and model, and is measured while serving. Some work repeats itself and other work does not: how
often guesses are right is seen at every token, guessed ahead or not, so nothing needs to be tried
to find out. Where no length promises a gain, nothing is guessed.

>>> policy = DraftPolicy(most=31)
>>> policy.length(follows=False)
2
"""

from collections.abc import Iterator

__all__ = ["DraftPolicy"]

#: Guessed tokens of one run; few lengths, so that each is measured often.
_LENGTHS = (1, 2, 3, 5, 7, 11, 15, 23, 31)
# Before anything was measured: what each further token costs of a run over one.
_PRIOR_SLOPE = 0.3
_COST_WEIGHT = 0.2
# How likely a guess is right: the first token of a new one, and each after a right one.
_PRIOR_FIRST, _PRIOR_NEXT = 0.5, 0.85
_CHANCE_WEIGHT = 0.08
# A smaller promise is within what was measured wrong.
_LEAST_GAIN = 1.05


class DraftPolicy:
    """What one model's runs cost, and how good guesses for the current answer have been.

    Args:
        most: tokens of the longest guess.
    """

    def __init__(self, *, most: int) -> None:
        self._lengths = tuple(length for length in _LENGTHS if length <= most)
        self._seconds: dict[int, float] = {}
        self._first = _PRIOR_FIRST
        self._next = _PRIOR_NEXT

    def start_answer(self) -> None:
        """Forget how good guesses were: another request does other work. Costs stay."""
        self._first, self._next = _PRIOR_FIRST, _PRIOR_NEXT

    def length(self, *, follows: bool) -> int:
        """Return how many tokens to guess now; 0: none.

        Args:
            follows: the guess goes on where a right one ended.
        """
        first = self._next if follows else self._first
        gain, length = max(self._gains(first, self._next), default=(0.0, 0))
        return length if gain >= _LEAST_GAIN else 0

    def forced_length(self, count: int) -> int:
        """Return how many of so many tokens that can hardly be wrong to run ahead; 0: none."""
        lengths = {min(length, count) for length in self._lengths}
        gain, length = max(((1 + length) / self._cost(1 + length), length) for length in lengths)
        return length if gain >= _LEAST_GAIN else 0

    def saw_run(self, tokens: int, seconds: float) -> None:
        """Take note of what a run over so many tokens of one answer took."""
        before = self._seconds.get(tokens, seconds)
        # Rare slow runs (another process, a page fault) say nothing about the size.
        self._seconds[tokens] = before + _COST_WEIGHT * (min(seconds, 2 * before) - before)

    def saw_token(self, *, was_right: bool, follows: bool) -> None:
        """Take note of whether a token was the one that a guess had, or would have had."""
        if follows:
            self._next += _CHANCE_WEIGHT * (was_right - self._next)
        else:
            self._first += _CHANCE_WEIGHT * (was_right - self._first)

    def _gains(self, first: float, after: float) -> Iterator[tuple[float, int]]:
        """Yield (tokens that a run gives over what it costs, length) for each length."""
        given, reach, done = 1.0, first, 0
        for length in self._lengths:
            for _ in range(length - done):
                given += reach
                reach *= after
            done = length
            yield given / self._cost(1 + length), length

    def _cost(self, tokens: int) -> float:
        """Return the price of a run over so many tokens, in runs over one."""
        one = self._seconds.get(1)
        measured = [size for size in self._seconds if size > 1]
        if not one or not measured:
            return 1 + _PRIOR_SLOPE * (tokens - 1)
        nearest = min(measured, key=lambda size: abs(size - tokens))
        price = max(1.0, self._seconds[nearest] / one)
        return 1 + (price - 1) / (nearest - 1) * (tokens - 1)
