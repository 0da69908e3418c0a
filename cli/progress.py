"""Progress of long steps: a bar for people at a terminal, plain lines for a log file.

Everything goes to stderr: stdout is data.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from sealift.manifests.progress import Advance, Progress

__all__ = ["PlainProgress", "RichProgress", "progress_for"]


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
