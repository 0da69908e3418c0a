"""Which files a worker's process may see: its model, and what Python and its libraries need.

>>> rules = worker_rules(source.directory)       # doctest: +SKIP

Not among them: other models, keys, the log, the home folders of users, temporary files, other
processes. Nothing can be written to but what is named so.
"""

import importlib.util
import os
import sys
import sysconfig

from sealift.runtime.landlock import Access, Rule

__all__ = ["worker_rules"]

# Our own code, of the rooms that a worker imports from; where it lies depends on the installation.
_ROOMS = ("keys", "manifests", "media", "runtime")
_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
    "/etc/ld.so.cache",
    # Times of day in templates.
    "/etc/localtime", "/usr/share/zoneinfo", "/usr/share/locale",
    # How many cores, of what kind; what this process takes of memory.
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
    "/sys/devices/system/node", "/sys/bus/pci/devices", "/sys/class/drm",
    "/dev/urandom", "/dev/zero",
)  # fmt: skip


def worker_rules(*folders: str, writable: str | None = None) -> tuple[Rule, ...]:
    """Return the rules.

    Args:
        folders: of the model: to be read, with all that is in them.
        writable: the one place to write to.
    """
    readable = [*folders, *_SYSTEM, *_python_folders(), *_library_folders()]
    rules = [Rule(path, Access.READ) for path in dict.fromkeys(readable)]
    rules.append(Rule(os.devnull, Access.READ_WRITE))
    if writable is not None:
        rules.append(Rule(writable, Access.READ_WRITE))
    return tuple(rules)


def _python_folders() -> list[str]:
    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    # An entry that is no absolute path belongs to an import hook, or to the current directory.
    found += [entry for entry in sys.path if entry.startswith("/")]
    for room in _ROOMS:
        spec = importlib.util.find_spec(f"sealift.{room}")
        if spec is not None:
            found += spec.submodule_search_locations or []
    return found


def _library_folders() -> list[str]:
    given = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    beside_python = f"{sys.base_prefix}/lib"
    return [beside_python, *(path for path in given if path.startswith("/"))]
