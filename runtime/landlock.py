"""Leave this process only the files that it was given: Linux's Landlock, without a library.

>>> restrict([Rule("/usr/lib", Access.READ)])           # doctest: +SKIP
7

What it takes away cannot be had back, and holds for every thread and child that comes later:

- every file and folder beside the rules': reading, writing, listing, creating, running;
- where the kernel knows how to: connecting and listening on TCP ports, sending signals to other
  processes, abstract sockets.

What it does not: descriptors that are already open, the names and sizes of files (`stat`), what the
process may compute. Must run before a second thread exists: it holds for the calling one.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Access", "LandlockError", "Rule", "abi", "restrict"]

_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446
_ASK_VERSION = 1
_RULE_PATH = 1
_PR_SET_NO_NEW_PRIVS = 38

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << n for n in range(6))
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
# How many rights each version of the interface knows; what it does not know it cannot take away.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_NOW = 16
_NET_RIGHTS = 0b11  # bind and connect, TCP; from version 4
_SCOPES = 0b11  # abstract sockets and signals; from version 6
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


class LandlockError(Exception):
    """The kernel has Landlock and refused a step of it: nothing may be loaded like this."""


class Access(Enum):
    """What a rule leaves."""

    READ = _READ_FILE | _READ_DIR
    READ_WRITE = (
        _READ_FILE
        | _READ_DIR
        | _WRITE_FILE
        | _TRUNCATE
        | _MAKE_REG
        | _MAKE_DIR
        | _REMOVE_FILE
        | _REMOVE_DIR
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A file, or a folder with all in it; where it does not exist, there is nothing to leave."""

    path: str
    access: Access


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """Return the version that the kernel has; 0: none, or it is turned off."""
    version = _syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    return max(0, version)


def restrict(rules: Iterable[Rule]) -> int:
    """Take everything away but the rules.

    Returns:
        The version of the interface; 0: the kernel has none, and nothing was taken away.

    Raises:
        LandlockError: the kernel could, and did not.
    """
    version = abi()
    if version == 0:
        return 0
    attr = _RulesetAttr(
        handled_access_fs=(1 << _FILE_RIGHTS.get(version, _FILE_RIGHTS_NOW)) - 1,
        handled_access_net=_NET_RIGHTS if version >= 4 else 0,
        scoped=_SCOPES if version >= 6 else 0,
    )
    # An older kernel takes a longer record as long as what it does not know is zero.
    ruleset = _checked(
        "create ruleset",
        _syscall(_CREATE_RULESET, ctypes.byref(attr), ctypes.sizeof(attr), 0),
    )
    try:
        for rule in rules:
            _add(ruleset, rule, attr.handled_access_fs)
        # Without it only root may restrict itself; with it no program can give rights back.
        _checked("no new privileges", _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked("restrict self", _syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return version


def _add(ruleset: int, rule: Rule, handled: int) -> None:
    try:
        parent = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rule.access.value & handled
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            allowed &= _FOR_FILES
        attr = _PathBeneathAttr(allowed_access=allowed, parent_fd=parent)
        _checked(rule.path, _syscall(_ADD_RULE, ruleset, _RULE_PATH, ctypes.byref(attr), 0))
    finally:
        os.close(parent)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _syscall(number: int, *arguments: object) -> int:
    syscall = _libc().syscall
    syscall.restype = ctypes.c_long
    plain = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result: int = syscall(ctypes.c_long(number), *plain)
    return result


def _checked(step: str, result: int) -> int:
    if result < 0:
        raise LandlockError(f"landlock: {step}: {os.strerror(ctypes.get_errno())}")
    return result
