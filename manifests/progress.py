"""Where a long step reports itself; whoever prints bars implements it.

with progress.step("hash source", total=12) as advance:
    advance(1)
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Advance", "Progress", "QuietProgress"]

Advance = Callable[[int], None]


class Progress(Protocol):
    """Opens steps."""

    def step(self, title: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Open a step; the value counts what is done, up to `total` where that is known."""
        ...


class QuietProgress:
    """Reports nothing."""

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Open a silent step."""
        yield lambda count: None
