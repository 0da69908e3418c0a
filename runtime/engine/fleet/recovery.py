"""What is remembered of a model's dead workers, and when the next one may start. Pure.

>>> recovery = Recovery("chat:1.0.0", BackoffPolicy())
>>> recovery.died("signal SIGKILL", now_s=10, served_s=0); recovery.wait_s(now_s=10)
0.0
>>> recovery.died("signal SIGKILL", now_s=11, served_s=0); recovery.wait_s(now_s=11)
1.0
"""

import math

from sealift.runtime.engine.errors import WorkerRestartingError
from sealift.runtime.engine.fleet.backoff import Backoff, BackoffPolicy

__all__ = ["Recovery"]


class Recovery:
    """The deaths of one model's workers.

    Attributes:
        is_due: a worker died and none was ready since.
    """

    def __init__(self, label: str, policy: BackoffPolicy) -> None:
        self.is_due = False
        self._label = label
        self._backoff = Backoff(policy=policy)
        self._last_words = ""

    @property
    def deaths(self) -> int:
        """How many in a row."""
        return self._backoff.failures

    def died(self, last_words: str, *, now_s: float, served_s: float) -> None:
        """Take note of a death."""
        self.is_due = True
        self._last_words = last_words
        self._backoff = self._backoff.died(now_s=now_s, served_s=served_s)

    def wait_s(self, *, now_s: float) -> float:
        """Return how long no worker may be started yet."""
        return self._backoff.wait_s(now_s)

    def check(self, *, now_s: float) -> None:
        """Refuse a request while no worker may be started.

        Raises:
            WorkerRestartingError: says how long.
        """
        wait_s = self.wait_s(now_s=now_s)
        if wait_s > 0:
            raise WorkerRestartingError(
                f"{self._label}: its process died {self.deaths} times in a row "
                f"(last: {self._last_words}) and is started again in {math.ceil(wait_s)} s",
                hint="send the request again then; the server's audit log names every death",
                retry_after_s=wait_s,
            )
