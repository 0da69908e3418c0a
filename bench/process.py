"""Whole processes, timed: how long, how much memory at the peak, from cold or warm inputs."""

import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Spent", "drop_cache", "run", "shell", "warm_cache"]

_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a process cost.

    Attributes:
        cpu_seconds: its own and its children's.
        peak_mb: resident memory at its peak, in 10^6 bytes; of children the largest.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(*command: str | Path) -> Spent:
    """Run a command that must succeed, and say what it cost."""
    started = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Spent(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * 1024 / 1e6,
    )


def shell(script: str, *arguments: str | Path) -> Spent:
    """Run a line of shell with `$1`, `$2` and so on."""
    return run("bash", "-euo", "pipefail", "-c", script, "bench", *arguments)


def drop_cache(paths: Iterable[Path]) -> bool:
    """Write everything back and put files out of the page cache; false: only a hint was given."""
    os.sync()
    for path in _files(paths):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    try:
        _DROP_CACHES.write_text("3")
    except OSError:
        return False
    return True


def warm_cache(paths: Iterable[Path]) -> None:
    """Read files into the page cache."""
    buffer = bytearray(4 << 20)
    for path in _files(paths):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        yield from (p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
