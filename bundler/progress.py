"""Progress of long steps: a bar for people at a terminal, plain lines for a log file.

    with progress.step("hash source", total=12) as advance:
        advance(1)

Everything goes to stderr: stdout is data.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

__all__ = ["Advance", "PlainProgress", "Progress", "QuietProgress", "RichProgress", "progress_for"]

Advance = Callable[[int], None]


class Progress(Protocol):
    """Where a long step reports itself."""

    def step(self, title: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Open a step; the value counts what is done, up to `total` where that is known."""
        ...


class QuietProgress:
    """Reports nothing, for tests and libraries."""

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Open a silent step."""
        yield lambda count: None


class PlainProgress:
    """One line when a step starts and one when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Open a step that prints two lines."""
        self._print(f"{title} ...")
        started = time.monotonic()
        yield lambda count: None
        self._print(f"{title}: done in {time.monotonic() - started:.1f} s")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class RichProgress:
    """A bar with elapsed time; finished steps stay on the screen."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        # rich honours NO_COLOR itself.
        self._console = Console(file=stream, stderr=stream is sys.stderr)

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Open a step that draws a bar, or a pulse where the total is unknown."""
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description:<40}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Bar(*columns, console=self._console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)
            bar.update(task, total=total or 1, completed=total or 1)


def progress_for(stream: TextIO | None = None) -> Progress:
    """Choose by where the output goes: bars on a terminal, else plain lines."""
    stream = stream or sys.stderr
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return RichProgress(stream)
    return PlainProgress(stream)
