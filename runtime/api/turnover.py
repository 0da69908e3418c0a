"""Estimate when a full queue has room again. Pure.

>>> turnover = Turnover()
>>> turnover.ended(10.0); turnover.ended(14.0); turnover.ended(18.0)
>>> turnover.wait_s(18.0)
4
"""

import math
from collections import deque

__all__ = ["Turnover"]

_KEPT = 16
_WAIT_S_MAX = 60


class Turnover:
    """When the latest requests for a model ended: each made room for another one."""

    def __init__(self) -> None:
        self._ended_s: deque[float] = deque(maxlen=_KEPT)

    def ended(self, now_s: float) -> None:
        """Note that an answer was completed."""
        self._ended_s.append(now_s)

    def wait_s(self, now_s: float) -> int:
        """Return whole seconds until one more is likely to have ended, at least one."""
        if len(self._ended_s) < 2:
            return 1
        mean_s = (self._ended_s[-1] - self._ended_s[0]) / (len(self._ended_s) - 1)
        left_s = self._ended_s[-1] + mean_s - now_s
        return min(_WAIT_S_MAX, max(1, math.ceil(left_s)))
