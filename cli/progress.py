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

# Steps count bytes, or things such as files and samples. No step has so many things.
_BYTES_MIN = 1_000_000


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
        seconds = time.monotonic() - started
        speed = ""
        if total is not None and total >= _BYTES_MIN and seconds > 0:
            speed = f", {total / seconds / 1e6:.0f} MB/s"
        self._print(f"{title}: done in {seconds:.1f} s{speed}")

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class RichProgress:
    """A bar with elapsed time, and of bytes also speed and time left; finished steps stay."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        # rich honours NO_COLOR itself.
        self._console = Console(file=stream, stderr=stream is sys.stderr)

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Open a step that draws a bar, or a pulse where the total is unknown."""
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            ProgressColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bar

        columns: list[ProgressColumn] = [
            TextColumn("{task.description:<40}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        ]
        if total is not None and total >= _BYTES_MIN:
            columns += [DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
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
