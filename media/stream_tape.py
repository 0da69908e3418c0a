"""The bytes of a stream, in order, once; a few of them can be put back.

tape = Tape(sys.stdin.buffer)
tape.read(512)
tape.find(lambda member: member.path == "oci-layout")      # wherever it starts
"""

import io
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, cast

from sealift.manifests import ustar
from sealift.media.errors import MediumReadError
from sealift.media.stream_member import Accept, Member, find_member

__all__ = ["Readable", "Tape"]

Readable = BinaryIO | io.BufferedIOBase | io.RawIOBase

_STEP_BYTES = 1 << 20


class Tape:
    """One reader at a time. Memory: what was put back, and a step."""

    def __init__(self, readable: Readable) -> None:
        # One read of the system a call, straight into the caller's memory where that is large.
        self._readinto: Callable[[memoryview], int | None] = (
            readable.readinto1
            if isinstance(readable, io.BufferedIOBase)
            else cast(io.RawIOBase, readable).readinto
        )
        self._pending: deque[memoryview] = deque()

    def readinto(self, into: memoryview) -> int:
        """Fill the start of `into` with what is there and return how much; 0 at the end.

        Raises:
            MediumReadError: the system could not read.
        """
        if self._pending:
            first = self._pending.popleft()
            count = min(len(first), len(into))
            into[:count] = first[:count]
            if count < len(first):
                self._pending.appendleft(first[count:])
            return count
        try:
            return self._readinto(into) or 0
        except OSError as error:
            raise MediumReadError(f"stream: {error.strerror or error}") from error

    def read(self, count: int) -> bytes:
        """Return that many bytes; fewer only at the end."""
        data = bytearray(count)
        done, view = 0, memoryview(data)
        while done < count and (got := self.readinto(view[done : done + _STEP_BYTES])):
            done += got
        view.release()
        del data[done:]
        return bytes(data)

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read next."""
        if data:
            self._pending.appendleft(memoryview(data))

    def find(self, accept: Accept) -> Member | None:
        """Read on until an acceptable header has been read; `None`: there is none up to the end."""
        step = memoryview(bytearray(_STEP_BYTES))
        window = b""
        while count := self.readinto(step):
            window += step[:count]
            found = find_member(window, accept)
            if found is not None:
                start, member = found
                self.unread(window[start + ustar.BLOCK_BYTES :])
                return member
            # A header may have begun: keep all of one but its last byte.
            window = window[-(ustar.BLOCK_BYTES - 1) :]
        return None
