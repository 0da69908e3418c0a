"""What this host offers the engine: cores and memory."""

import os
from pathlib import Path

__all__ = ["memory_bytes", "physical_cores", "resident_bytes"]

_STATUS = Path("/proc/self/status")
_TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores() -> int:
    """Count the physical cores that this process may use.

    Two threads of one core share its arithmetic units: a second one makes matrix products slower.
    """
    allowed = os.sched_getaffinity(0)
    cores = set()
    for cpu in allowed:
        siblings = _TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        try:
            cores.add(siblings.read_text())
        except OSError:
            cores.add(str(cpu))
    return max(1, len(cores))


def memory_bytes() -> int:
    """Return the host's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resident_bytes() -> int:
    """Return what this process holds in memory of its own: pages that no file backs."""
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return sum(int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssShmem"))
