"""Tell a worker that hangs from one that works. Pure: times and signs of life come as arguments.

Two ways to hang: the process says nothing at all (stopped, or its interpreter is stuck), or it
answers pings while the model's thread stands still. A long prompt on a large model is neither: one
step of it takes tens of seconds, so that limit is far longer.

>>> dog = Watchdog(WatchLimits(ping_every_s=5, silence_s=60, stall_s=120), now_s=0)
>>> [dog.verdict(now_s=now) for now in (5, 10)]
[None, None]
"""

from dataclasses import dataclass

__all__ = ["WatchLimits", "Watchdog"]

# A tick this many intervals late: it was us who did not run (a stopped server, a paused machine).
_LATE_TICKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLimits:
    """What a worker is allowed.

    Args:
        ping_every_s: how often it is asked.
        silence_s: without any message from it; its receiving thread also renders and tokenizes.
        stall_s: busy without one step of the model.
        load_s: from the start of the process until the model is ready.
        end_s: from the request to end until it is killed.
    """

    ping_every_s: float = 5.0
    silence_s: float = 60.0
    stall_s: float = 120.0
    load_s: float = 1800.0
    end_s: float = 5.0


class Watchdog:
    """The watch over one ready worker."""

    def __init__(self, limits: WatchLimits, *, now_s: float) -> None:
        self._limits = limits
        self._ticked_at_s = now_s
        self._heard_at_s = now_s
        self._moved_at_s = now_s
        self._steps: int | None = None

    def heard(self, *, now_s: float) -> None:
        """Take note of any message."""
        self._heard_at_s = now_s

    def pong(self, *, now_s: float, steps: int, is_busy: bool) -> None:
        """Take note of the answer to a ping."""
        self._heard_at_s = now_s
        if steps != self._steps or not is_busy:
            self._steps = steps
            self._moved_at_s = now_s

    def verdict(self, *, now_s: float) -> str | None:
        """Return why the worker must be killed, or None; to be asked before each ping."""
        if now_s - self._ticked_at_s > _LATE_TICKS * self._limits.ping_every_s:
            # Answers may lie unread: nothing can be said of the time in which nobody looked.
            self._heard_at_s = self._moved_at_s = now_s
        self._ticked_at_s = now_s
        silent_s = now_s - self._heard_at_s
        if silent_s > self._limits.silence_s:
            return f"no sign of life for {self._limits.silence_s:g} s"
        if now_s - self._moved_at_s > self._limits.stall_s:
            return f"the model stood still for {self._limits.stall_s:g} s"
        return None
