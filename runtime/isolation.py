"""Take the network away from this process, before it loads anything.

First choice: an empty network namespace, in which even a hostile native library finds no interface.
Where the kernel allows none: an audit hook that refuses sockets made by Python code. A socket that
is already open (the channel to the API process) keeps working in both.
"""

import ctypes
import os
import sys
from enum import Enum
from pathlib import Path

__all__ = ["Isolation", "isolate"]

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_REFUSED_EVENTS = frozenset(
    {
        "socket.__new__",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.sendto",
    }
)


class Isolation(Enum):
    """How the network was taken away."""

    NAMESPACE = "network-namespace"
    AUDIT_HOOK = "socket-guard"


def isolate() -> Isolation:
    """Cut this process off; must run before a second thread exists."""
    user, group = os.getuid(), os.getgid()
    if _unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        _map_to_self(user, group)
        return Isolation.NAMESPACE
    # A container may forbid user namespaces and still give the right to make network ones.
    if _unshare(_CLONE_NEWNET):
        return Isolation.NAMESPACE
    sys.addaudithook(_refuse_sockets)
    return Isolation.AUDIT_HOOK


def _unshare(flags: int) -> bool:
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    return unshare is not None and unshare(flags) == 0


def _map_to_self(user: int, group: int) -> None:
    # Without a map every file would seem to belong to nobody. Harmless where it is refused.
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        pass


def _refuse_sockets(event: str, args: tuple[object, ...]) -> None:
    if event in _REFUSED_EVENTS:
        raise PermissionError(f"{event}: a model worker has no network")
