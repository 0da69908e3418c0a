"""A model that was refused: those who ask again soon are told the same, without a new try. Pure.

>>> refusal = Refusal(hold_s=10)
>>> refusal.note(LoadError("no"), now_s=0); refusal.is_held(now_s=9), refusal.is_held(now_s=10)
(True, False)
"""

from sealift.manifests.errors import SealiftError

__all__ = ["Refusal"]


class Refusal:
    """The last refusal of one model, and for how long it holds."""

    def __init__(self, *, hold_s: float) -> None:
        self._hold_s = hold_s
        self._error: SealiftError | None = None
        self._noted_at_s = float("-inf")

    def note(self, error: SealiftError, *, now_s: float) -> None:
        """Remember why it was refused."""
        self._error, self._noted_at_s = error, now_s

    def lift(self) -> None:
        """Forget it: the model could be loaded."""
        self._noted_at_s = float("-inf")

    def is_held(self, *, now_s: float) -> bool:
        """True while no new try is made."""
        return now_s - self._noted_at_s < self._hold_s

    def check(self, *, now_s: float) -> None:
        """Refuse a request for the reason of before.

        Raises:
            SealiftError: that reason.
        """
        if self._error is not None and self.is_held(now_s=now_s):
            raise self._error.with_traceback(None)
