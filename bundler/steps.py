"""How long a step took and how much memory it needed, measured by the kernel.

The peak is the process's high-water mark (VmHWM), reset when the step starts, or that of a child
the step ran if it is higher (the child reports it: `note_child_peak`). Where
`/proc/self/clear_refs` may not be written, the peak is the highest since the process started: an
upper bound, never less than the truth.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealift.bundler.record import StepRecord
from sealift.manifests.progress import Advance, Progress

__all__ = ["StepLog", "own_peak_bytes"]

_KIB = 1024


class StepLog:
    """Collects one record a step, in order, while reporting progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._records: list[StepRecord] = []
        self._child_peak_bytes = 0

    @property
    def records(self) -> tuple[StepRecord, ...]:
        """The steps that have ended."""
        return tuple(self._records)

    def note_child_peak(self, peak_bytes: int) -> None:
        """Count a finished child process's peak into the running step."""
        self._child_peak_bytes = max(self._child_peak_bytes, peak_bytes)

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Measure what happens inside; a step that fails leaves no record."""
        _reset_peak()
        self._child_peak_bytes = 0
        started = time.monotonic()
        with self._progress.step(name, total) as advance:
            yield advance
        peak = max(own_peak_bytes(), self._child_peak_bytes)
        self._records.append(
            StepRecord(name=name, seconds=round(time.monotonic() - started, 3), peak_bytes=peak)
        )


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or a locked-down container: the documented upper bound applies


def own_peak_bytes() -> int:
    """The process's peak since it started, or since a step reset it."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    except OSError:
        pass  # not Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
