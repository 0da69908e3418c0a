"""Send no faster than a link can take: one-way links lose what is pushed into them.

out = Paced(sink, bytes_per_s=100_000_000)
"""

import time
from collections.abc import Callable

from sealift.media.stream_writer import ByteSink

__all__ = ["Paced"]

_STEPS_PER_S = 50
_DEBT_S = 0.5


class Paced:
    """A sink in front of another: small steps, each when its time has come.

    Time in which nothing was written is not made up for, beyond half a second: a burst is what the
    rate is there to prevent.
    """

    def __init__(
        self,
        sink: ByteSink,
        bytes_per_s: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sink = sink
        self._rate = bytes_per_s
        self._step = max(1, bytes_per_s // _STEPS_PER_S)
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def write(self, data: memoryview, /) -> int:
        """Wait until the next step is due and pass it on; returns how many bytes that were."""
        now = self._clock()
        if now < self._due:
            self._sleep(self._due - now)
        self._due = max(self._due, now - _DEBT_S)
        count = self._sink.write(data[: self._step]) or 0
        self._due += count / self._rate
        return count
