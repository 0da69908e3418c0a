"""What one model takes of memory: as estimated, or as its workers turned out to need. Pure.

>>> footprint = Footprint("chat:1.0.0")
>>> footprint.size_bytes is None
True
"""

import logging

from sealift.runtime.engine.fleet.memory_estimate import MemoryEstimate, misjudgement

__all__ = ["Footprint"]

_logger = logging.getLogger(__name__)


class Footprint:
    """The memory that is reserved for one version of one model.

    Attributes:
        estimate: None: it was not sized yet.
    """

    def __init__(self, label: str) -> None:
        self.estimate: MemoryEstimate | None = None
        self._label = label
        self._peak_bytes = 0
        self._is_misjudged = False

    @property
    def size_bytes(self) -> int | None:
        """What is reserved for it: as estimated, or as measured where that was more."""
        return None if self.estimate is None else max(self.estimate.total_bytes, self._peak_bytes)

    @property
    def uncached_bytes(self) -> int:
        """What it takes beside its attention cache, as far as that is known."""
        guess = self.estimate
        return 0 if guess is None else guess.total_bytes - guess.cache_bytes

    def measured(self, own_bytes: int, *, is_fresh: bool) -> bool:
        """Take note of what a worker holds; return whether more must be reserved than was.

        Args:
            is_fresh: it just loaded.
        """
        guess, reserved = self.estimate, self.size_bytes
        if guess is None or reserved is None:
            return False
        wrong = misjudgement(guess, own_bytes=own_bytes, is_fresh=is_fresh)
        if wrong is not None and not self._is_misjudged:
            self._is_misjudged = True
            _logger.warning("%s: its memory was misjudged: %s", self._label, wrong)
        self._peak_bytes = max(self._peak_bytes, own_bytes)
        return own_bytes > reserved
