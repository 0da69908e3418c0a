"""How many tokens of a prompt to run between two steps of the others. Pure.

A stream pauses for as long as a chunk takes. Times are measured where the model runs and handed in,
so that the pause stays a multiple of the step itself on any host, for any model.

>>> pace = Pace(stall=1.5, least=8, most=128)
>>> pace.saw_decode(0.030); pace.saw_prefill(64, 0.128)
>>> pace.chunk
20
"""

__all__ = ["Pace"]

_WEIGHT = 0.2
_GRAIN = 4


class Pace:
    """Running averages of what steps and prompt tokens cost.

    Args:
        stall: longest pause, in decode steps.
        least: tokens that a chunk has in any case: below, a run's fixed cost outweighs it.
        most: tokens that it has at most; also before anything was measured.
    """

    def __init__(self, *, stall: float, least: int, most: int) -> None:
        self._stall = stall
        self._least = min(least, most)
        self._most = most
        self._decode_s: float | None = None
        self._token_s: float | None = None

    @property
    def chunk(self) -> int:
        """Tokens of the next chunk."""
        if self._decode_s is None or not self._token_s:
            return self._most
        tokens = int(self._stall * self._decode_s / self._token_s) // _GRAIN * _GRAIN
        return min(self._most, max(self._least, tokens))

    def saw_decode(self, seconds: float) -> None:
        """Take note of a step that gave each running request a token."""
        self._decode_s = _blend(self._decode_s, seconds)

    def saw_prefill(self, tokens: int, seconds: float) -> None:
        """Take note of a chunk; very short ones say more about fixed costs than about tokens."""
        if tokens >= self._least:
            self._token_s = _blend(self._token_s, seconds / tokens)


def _blend(average: float | None, value: float) -> float:
    return value if average is None else average + _WEIGHT * (value - average)
