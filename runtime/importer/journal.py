"""Which parts of an unfinished import are verified and written: a line a part, appended after it.

A line may be lost with the power, and so may what it speaks of: whoever reads a part back from the
disk hashes it again. So the journal is never synced, and saves reading, not checking.
"""

import os
import threading
from pathlib import Path

from sealift.media.regular_file import read_regular

__all__ = ["Journal"]

_HEX_CHARS = 64
_BYTES_MAX = 8 << 20


class Journal:
    """A set of parts, by the hex of their archive's digest; grows from many threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._held = _read(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)

    @staticmethod
    def read(path: Path) -> frozenset[str]:
        """Read a journal that another process may be writing."""
        return frozenset(_read(path))

    @property
    def held(self) -> frozenset[str]:
        """The parts that are written."""
        with self._lock:
            return frozenset(self._held)

    def add(self, tar_hex: str) -> None:
        """Note a part, after its bytes were written."""
        with self._lock:
            if tar_hex not in self._held:
                self._held.add(tar_hex)
                os.write(self._descriptor, tar_hex.encode() + b"\n")

    def forget(self, tar_hex: str) -> None:
        """Take a part back that is not what the journal says, until it is written again."""
        with self._lock:
            self._held.discard(tar_hex)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _read(path: Path) -> set[str]:
    try:
        data = read_regular(path, size_max=_BYTES_MAX)
    except FileNotFoundError:
        return set()
    # A line that a kill cut off has not its length, and does not count.
    lines = data.decode("ascii", "replace").split("\n")[:-1]
    return {line for line in lines if len(line) == _HEX_CHARS}
