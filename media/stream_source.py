"""A medium that passes by once, or again and again: through a pipe, over a one-way link.

    with open_stream(sys.stdin.buffer) as source:
        medium = read_medium(source, trust)
        source.plan_reads([part.blob for part in wanted])
        ...                                   # open_part, from several threads
        while missed and source.next_round():
            source.plan_reads(missed)

Memory: the metadata; parts go straight into the caller's buffers. A header counts only if it is
byte for byte the one of a file that `SHA256SUMS` lists. Where bytes were lost, in a header or in
what it announced, the next header is looked for at every byte, also in the part that was just read:
so a loss costs, in its round, the parts that it touched, and no other.

Nothing here is verified but that: whoever asks for a part compares its digest.
"""

import fcntl
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.oci import blob_path
from sealift.media.errors import MediumError, MediumReadError
from sealift.media.stream_member import Member, member_of
from sealift.media.stream_metadata import AGAIN, StreamMetadata, read_metadata
from sealift.media.stream_part import StreamPart
from sealift.media.stream_tape import Readable, Tape

__all__ = ["StreamSource", "open_stream"]

_LABEL = "standard input"
_PIPE_BYTES = 1 << 20
_ZEROS = bytes(ustar.BLOCK_BYTES)


@contextmanager
def open_stream(readable: Readable, *, label: str = _LABEL) -> Iterator["StreamSource"]:
    """Read a stream's metadata; when the block ends, whoever still waits for a part is woken.

    Raises:
        MediumError: no complete metadata came.
        MediumReadError: the system could not read.
    """
    _widen(readable)
    tape = Tape(readable)
    source = StreamSource(tape, read_metadata(tape), label)
    try:
        yield source
    finally:
        source.close()


class StreamSource:
    """Implements `MediumSource`. A part that was planned must be opened, or the source closed.

    Attributes:
        gaps: how often bytes were lost or damaged so that the next header had to be looked for.
        rounds: how many rounds have begun, the first included.
    """

    is_stream = True

    def __init__(self, tape: Tape, metadata: StreamMetadata, label: str) -> None:
        self.label = label
        self.gaps = 0
        self.rounds = 1
        self._tape = tape
        self._files = metadata.files
        self._paths = metadata.paths
        self._passed: set[str] = set()  # parts of this round
        self._state = threading.Condition()
        self._is_closed = False
        self._is_reading = False
        self._plan: dict[str, int] = {}
        self._turn = 0
        self._following: Member | None = None  # the header that was read last
        self._advance([], is_whole=True)
        self._skip_metadata()

    def read(self, path: str, *, size_max: int) -> bytes:
        """Return a small file.

        Raises:
            MediumError: missing, or longer.
        """
        data = self._files.get(path)
        if data is None:
            raise MediumError(path, "missing")
        if len(data) > size_max:
            raise MediumError(path, f"expected at most {size_max} bytes, got {len(data)}")
        return data

    def read_blob(self, digest: Digest, *, size_max: int) -> bytes:
        """Return a small blob that has the digest that names it.

        Raises:
            MediumError: as `read`, or other bytes.
        """
        data = self.read(blob_path(digest), size_max=size_max)
        got = Digest.of(data, digest.algorithm)
        if got != digest:
            raise MediumError(blob_path(digest), f"expected {digest}, got {got}")
        return data

    def listing(self) -> Mapping[str, int]:
        """Return the size of every file that came before the parts."""
        return {path: len(data) for path, data in self._files.items()}

    def plan_reads(self, blobs: Sequence[Digest]) -> None:
        """Say which parts will be opened from now on, each once, in the order in which they pass.

        Whoever still waits for a part of an earlier plan gets an error.
        """
        with self._idle():
            order = dict.fromkeys(blob_path(blob) for blob in blobs)
            self._plan = {path: place for place, path in enumerate(order)}
            self._turn = 0

    @contextmanager
    def open_part(self, blob: Digest, size_bytes: int) -> Iterator[StreamPart]:
        """Wait until a part is next, and open it; parts that were not planned are skipped.

        Raises:
            MediumError: it is not in this round, or not any more; the stream ended.
            MediumReadError: the system could not read; the source was closed.
        """
        path = blob_path(blob)
        with self._in_turn(path):
            part = self._seek(path, size_bytes)
            try:
                yield part
            finally:
                self._passed.add(path)
                self._following = None
                if not self._is_closed:
                    rest = part.finish()
                    self._advance([*part.filled, rest], is_whole=part.is_whole)

    def next_round(self) -> bool:
        """Go on to the parts of the next round; false: the stream has ended."""
        with self._idle():
            while self._following is not None and not self._starts_round(self._following):
                self._skip(self._following)
            self._passed.clear()
            self._skip_metadata()
            self._plan = {}
            if self._following is None:
                return False
            self.rounds += 1
            return True

    def close(self) -> None:
        """Wake everyone who waits for a part; the stream itself is the caller's to close."""
        with self._state:
            self._is_closed = True
            self._state.notify_all()

    @contextmanager
    def _idle(self) -> Iterator[None]:
        """Hold the stream while nobody reads a part."""
        with self._state:
            self._state.wait_for(lambda: not self._is_reading)
            self._require_open()
            yield
            self._state.notify_all()

    @contextmanager
    def _in_turn(self, path: str) -> Iterator[None]:
        """Wait for a part's turn, and give the turn on, whatever happens in it."""
        with self._state:
            plan, place = self._plan, self._plan.get(path)
            if place is None:
                raise MediumError(path, "missing: it was not asked for before it passed")
            self._state.wait_for(
                lambda: (
                    self._is_closed
                    or self._plan is not plan
                    or self._turn > place
                    or (self._turn == place and not self._is_reading)
                )
            )
            self._require_open()
            if self._plan is not plan or self._turn != place:
                raise MediumError(path, "missing: it has passed", hint=AGAIN)
            self._is_reading = True
        try:
            yield
        finally:
            with self._state:
                self._is_reading = False
                self._turn = place + 1
                self._state.notify_all()

    def _require_open(self) -> None:
        if self._is_closed:
            raise MediumReadError(f"{self.label}: the stream was closed")

    def _seek(self, path: str, size_bytes: int) -> StreamPart:
        """Skip to a part's header; what belongs to a later part, or another round, stays."""
        if path not in self._paths:
            raise MediumError(path, "missing: not on this medium")
        while (member := self._following) is not None:
            if member.path == path and member.size_bytes == size_bytes:
                return StreamPart(self._tape, member)
            if member.path == path:
                self.gaps += 1
                self._look_for_header()  # a wrong size: what follows is not where it says
            elif self._starts_round(member) or self._plan.get(member.path, -1) > self._plan[path]:
                raise MediumError(path, "missing: lost from the stream", hint=AGAIN)
            else:
                self._skip(member)
        raise MediumError(path, "missing: the stream ended before it", hint=AGAIN)

    def _starts_round(self, member: Member) -> bool:
        # Where the start of a round was lost, its first part that we have seen before tells.
        return member.path in self._files or member.path in self._passed

    def _skip_metadata(self) -> None:
        while self._following is not None and self._following.path in self._files:
            self._skip(self._following)

    def _skip(self, member: Member) -> None:
        data = self._tape.read(member.span_bytes)
        if member.path not in self._files:
            self._passed.add(member.path)
        self._advance([data], is_whole=len(data) == member.span_bytes)

    def _advance(self, behind: Sequence[bytes | memoryview], *, is_whole: bool) -> None:
        """Read the next header, or find it.

        Args:
            behind: what was read since the last header: if bytes of it were lost, it reached into
                what follows, and the next header may be within.
            is_whole: the stream did not end before the end of it.
        """
        block, is_end_marked = b"", False
        if is_whole:
            block = self._tape.read(ustar.BLOCK_BYTES)
            while block == _ZEROS:
                block, is_end_marked = self._tape.read(ustar.BLOCK_BYTES), True
            self._following = self._known(block)
            if self._following is not None and not is_end_marked:
                return
        self._tape.unread(block)
        for data in reversed(behind):
            self._tape.unread(bytes(data))
        if block or not is_whole:
            self.gaps += 1
        self._look_for_header()

    def _look_for_header(self) -> None:
        self._following = self._tape.find(lambda member: member.path in self._paths)

    def _known(self, block: bytes) -> Member | None:
        member = member_of(block)
        return member if member is not None and member.path in self._paths else None


def _widen(readable: Readable) -> None:
    """Let a pipe hold more, so that both ends are woken less often."""
    try:
        fcntl.fcntl(readable.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (OSError, io.UnsupportedOperation):
        pass  # no pipe, or not allowed
