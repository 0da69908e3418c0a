"""The bytes of one part of a stream, read from the pipe into the caller's memory."""

import ctypes

from sealift.media.errors import MediumError
from sealift.media.stream_member import Member
from sealift.media.stream_metadata import AGAIN
from sealift.media.stream_tape import Tape

__all__ = ["StreamPart"]


class StreamPart:
    """Implements `PartStream`.

    Attributes:
        filled: the caller's memory, as far as it still holds what was read last, in order.
        is_whole: after `finish`: all of it came.
    """

    def __init__(self, tape: Tape, member: Member) -> None:
        self._tape = tape
        self._member = member
        self._left = member.size_bytes
        self.filled: list[memoryview] = []
        self.is_whole = False
        self._end = 0  # address after what was filled last

    def readinto(self, into: memoryview) -> int:
        """Fill up to `len(into)` bytes and return how many; 0 at the end of the part.

        Raises:
            MediumError: the stream ended within the part.
            MediumReadError: the system could not read.
        """
        view = into[: self._left]
        done = 0
        while done < len(view) and (count := self._tape.readinto(view[done:])):
            done += count
        if done < len(view) and done == 0:
            got = self._member.size_bytes - self._left
            raise MediumError(
                self._member.path,
                f"the stream ended after {got} of {self._member.size_bytes} bytes",
                hint=AGAIN,
            )
        self._left -= done
        if done:
            self._remember(view[:done])
        return done

    def finish(self) -> bytes:
        """Read what the caller did not, up to the end of its last block; short: the stream ended.

        Raises:
            MediumReadError: the system could not read.
        """
        wanted = self._left + self._member.span_bytes - self._member.size_bytes
        rest = self._tape.read(wanted)
        self.is_whole = len(rest) == wanted
        return rest

    def _remember(self, view: memoryview) -> None:
        """Keep hold of what one run of memory holds; a buffer that is used again starts anew."""
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        if address != self._end:
            self.filled.clear()
        self.filled.append(view)
        self._end = address + len(view)
