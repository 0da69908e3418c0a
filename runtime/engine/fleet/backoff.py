"""When a worker that died is started again. Pure: times come as arguments.

The first restart is at once: most crashes are one request's. A process that dies again soon waits
1 s, then 2, 4 and so on, so that a model which cannot live here costs the host little.

>>> policy = BackoffPolicy()
>>> [failures.delay_s for failures in crash_loop(policy, 5)]
[0.0, 1.0, 2.0, 4.0, 8.0]
"""

from dataclasses import dataclass, field, replace

__all__ = ["Backoff", "BackoffPolicy", "crash_loop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffPolicy:
    """How long to wait.

    Args:
        first_s: before the second restart in a row; the first one is at once.
        factor: by which each wait is longer than the one before.
        cap_s: the longest one.
        healthy_s: a worker that served this long starts the count anew.
    """

    first_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 60.0
    healthy_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often in a row a worker died, and when the next one may start."""

    policy: BackoffPolicy = field(default_factory=BackoffPolicy)
    failures: int = 0
    not_before_s: float = float("-inf")

    @property
    def delay_s(self) -> float:
        """The wait after as many failures."""
        if self.failures <= 1:
            return 0.0
        # The exponent is bounded: a crash loop of a week would overflow a float.
        steps = min(self.failures - 2, 64)
        return min(self.policy.cap_s, self.policy.first_s * self.policy.factor**steps)

    def died(self, *, now_s: float, served_s: float) -> "Backoff":
        """Return the state after a death.

        Args:
            served_s: how long the worker was ready before; 0 when it died while it loaded.
        """
        failures = 1 if served_s >= self.policy.healthy_s else self.failures + 1
        after = replace(self, failures=failures)
        return replace(after, not_before_s=now_s + after.delay_s)

    def wait_s(self, now_s: float) -> float:
        """Return how long no worker may be started yet."""
        return max(0.0, self.not_before_s - now_s)


def crash_loop(policy: BackoffPolicy, deaths: int) -> list[Backoff]:
    """Return the states of a worker that dies at once, each time."""
    states = []
    state, now_s = Backoff(policy=policy), 0.0
    for _ in range(deaths):
        state = state.died(now_s=now_s, served_s=0.0)
        now_s = max(now_s, state.not_before_s)
        states.append(state)
    return states
