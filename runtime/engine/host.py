"""What this host offers the engine: cores and memory."""

import os
from pathlib import Path

__all__ = ["cgroup_limit_files", "memory_bytes", "physical_cores", "resident_bytes"]

_STATUS = Path("/proc/self/status")
_TOPOLOGY = Path("/sys/devices/system/cpu")
_CGROUPS = Path("/proc/self/cgroup")
_CGROUP_MOUNT = Path("/sys/fs/cgroup")


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
    """Return the memory that this process may use: the host's, or less where a cgroup says so."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        files = cgroup_limit_files(_CGROUPS.read_text())
    except OSError:
        files = ()  # no cgroups, or none that this process may see
    for path in files:
        try:
            text = (_CGROUP_MOUNT / path).read_text().strip()
        except OSError:
            continue  # this level has no memory controller, or is outside our container
        if text.isdecimal():  # else "max"
            limits.append(int(text))
    return min(limits)


def cgroup_limit_files(membership: str) -> tuple[str, ...]:
    """Return where limits of a process may be, relative to where cgroups are mounted.

    A limit of any level above holds too. In a container the path may be the host's, which is not
    mounted there; the container's own limit is then at the top.

    Args:
        membership: `/proc/self/cgroup`.

    >>> cgroup_limit_files("0::/a/b")
    ('a/b/memory.max', 'a/memory.max', 'memory.max')
    """
    files = []
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(names), -1, -1):
            level = "".join(f"{name}/" for name in names[:depth])
            if not controllers:
                files.append(f"{level}memory.max")
            elif "memory" in controllers.split(","):
                files.append(f"memory/{level}memory.limit_in_bytes")
    return tuple(files)


def resident_bytes() -> int:
    """Return what this process holds in memory of its own: pages that no file backs."""
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return sum(int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssShmem"))
