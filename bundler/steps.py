"""How long a step took and how much memory it needed, measured by the kernel.

The peak is the process's high-water mark (VmHWM), reset when the step starts, plus that of any
child the step ran. Where `/proc/self/clear_refs` may not be written, the peak is the highest since
the process started: an upper bound, never less than the truth.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealift.bundler.progress import Advance, Progress
from sealift.bundler.record import StepRecord

__all__ = ["StepLog"]

_KIB = 1024


class StepLog:
    """Collects one record a step, in order, while reporting progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._records: list[StepRecord] = []

    @property
    def records(self) -> tuple[StepRecord, ...]:
        """The steps that have ended."""
        return tuple(self._records)

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Measure what happens inside; a step that fails leaves no record."""
        _reset_peak()
        children_before = _children_peak_bytes()
        started = time.monotonic()
        with self._progress.step(name, total) as advance:
            yield advance
        children = _children_peak_bytes()
        # ru_maxrss of children is the largest child ever: it counts here only if it grew here.
        peak = max(_own_peak_bytes(), children if children > children_before else 0)
        self._records.append(
            StepRecord(name=name, seconds=round(time.monotonic() - started, 3), peak_bytes=peak)
        )


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or a locked-down container: the documented upper bound applies


def _own_peak_bytes() -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    except OSError:
        pass  # not Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def _children_peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _KIB
