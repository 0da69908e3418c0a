"""The bytes of a file that is read once, past the page cache where that is faster.

What the cache holds is taken from there. The rest is read with O_DIRECT: caching what is read once
costs a copy and pushes out what others use. Memory, offsets and lengths should be whole
pages; where they are not, or the file system refuses, ordinary reads do the same.
"""

import errno
import fcntl
import os
from enum import Enum

__all__ = ["BlobStream"]

_NOT_CACHED = (errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_REFUSED = (errno.EINVAL, errno.EOPNOTSUPP)


class _Mode(Enum):
    CACHED = "cached"
    DIRECT = "direct"
    BUFFERED = "buffered"


class BlobStream:
    """Reads an open file from `offset` on; the descriptor stays the caller's."""

    def __init__(self, descriptor: int, offset: int = 0) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._mode = _Mode.CACHED

    def readinto(self, into: memoryview) -> int:
        """Fill up to `len(into)` bytes and return how many; 0 at the end.

        Raises:
            OSError: the device failed.
        """
        count = self._read(into)
        self._offset += count
        return count

    def _read(self, into: memoryview) -> int:
        if self._mode is _Mode.CACHED:
            try:
                return os.preadv(self._descriptor, [into], self._offset, os.RWF_NOWAIT)
            except OSError as error:
                if error.errno not in _NOT_CACHED:
                    raise
                self._mode = _Mode.DIRECT if self._set_direct(True) else _Mode.BUFFERED
        if self._mode is _Mode.DIRECT:
            try:
                return os.preadv(self._descriptor, [into], self._offset)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
                self._set_direct(False)
                self._mode = _Mode.BUFFERED
        return os.preadv(self._descriptor, [into], self._offset)

    def _set_direct(self, wanted: bool) -> bool:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        flags = flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            return False
        return True
