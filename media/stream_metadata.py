"""Take a stream's metadata in, whole and undamaged, from as many rounds as that needs.

A round begins with its metadata, and these end with `SHA256SUMS`. Every file that comes is kept
under its own SHA-256, and a `SHA256SUMS` counts once all that it names is there: so a file that was
damaged in one round is taken from another, and a damaged `SHA256SUMS` fits nothing. It finds
accidents. What an attacker changes, the signatures find, later.

Custody records stand in no list of sums. They are sent twice a round, and two copies must agree.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sealift.manifests import ustar
from sealift.manifests.custody import CUSTODY, custody_path
from sealift.manifests.layout import CONTENTS, INDEX, SHA256SUMS
from sealift.manifests.limits import LIMITS
from sealift.media.errors import MediumError
from sealift.media.stream_member import Member, is_blob, is_custody, member_of
from sealift.media.stream_tape import Tape

__all__ = ["AGAIN", "StreamMetadata", "read_metadata"]

AGAIN = "send the stream again, or with --repeat"

_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]{1,240})")
_PAYLOAD_KINDS = ("raw", "zstd", "repair")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMetadata:
    """A stream's small files, undamaged as far as `SHA256SUMS` knows.

    Attributes:
        files: bytes by path.
        paths: of every file that a round carries, parts included.
    """

    files: Mapping[str, bytes]
    paths: frozenset[str]


def read_metadata(tape: Tape) -> StreamMetadata:
    """Read up to the end of the first round by which all metadata came in undamaged.

    Raises:
        MediumError: the stream ended before, or repeats itself without ever being complete.
        MediumReadError: the system could not read.
    """
    pool, fault = _Pool(), MediumError(INDEX, "missing: the stream carries no medium", hint=AGAIN)
    for _ in range(LIMITS.stream_rounds):
        first = tape.find(lambda member: not is_blob(member.path) or member.path in pool.missing)
        if first is None:
            raise fault
        try:
            return _read_round(tape, first, pool)
        except MediumError as error:
            fault = error
    raise fault


def _read_round(tape: Tape, first: Member, pool: "_Pool") -> StreamMetadata:
    """Read members up to `SHA256SUMS`, or to the last that was missing.

    Raises:
        MediumError: with them the metadata are not complete.
    """
    member: Member | None = first
    while member is not None:
        if member.size_bytes > LIMITS.json_bytes:  # a part, or a lie: what lies behind it counts
            member = tape.find(lambda _: True)
            continue
        data = tape.read(member.span_bytes)
        if len(data) == member.span_bytes:
            pool.add(member.path, data[: member.size_bytes])
        if member.path == SHA256SUMS or pool.was_last_missing(member.path):
            try:
                return pool.complete()
            except MediumError:
                tape.unread(data)  # if it is damaged, a header may be within
                raise
        block = tape.read(ustar.BLOCK_BYTES)
        member = member_of(block)
        if member is None:
            # Bytes were lost: the next header may be within what was read.
            tape.unread(block)
            tape.unread(data)
            member = tape.find(lambda _: True)
    raise _damaged(SHA256SUMS)


class _Pool:
    """Every file that came, by its digest; bounded.

    Attributes:
        missing: what the last `SHA256SUMS` names and did not come yet.
    """

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self._files: dict[str, bytes] = {}
        self._bytes = 0
        self._sums = b""
        self._custody: Counter[tuple[str, str]] = Counter()

    def add(self, path: str, data: bytes) -> None:
        """Keep a file, unless it is a blob that is not what its name says.

        Raises:
            MediumError: too much came in, with no end; all of it is let go.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        if is_blob(path) and not path.endswith(sha256):
            return
        if sha256 not in self._files:
            self._files[sha256] = data
            self._bytes += len(data)
        if path == SHA256SUMS:
            self._sums = data
        if is_custody(path):
            self._custody[path, sha256] += 1
        if (
            self._bytes > LIMITS.stream_metadata_bytes
            or len(self._files) > LIMITS.stream_metadata_files
            or len(self._custody) > 2 * LIMITS.custody_records
        ):
            self._files.clear()
            self._custody.clear()
            self._bytes = 0
            raise _damaged("more metadata than any medium has")

    def was_last_missing(self, path: str) -> bool:
        """Say whether this was the only file that was waited for, and has come."""
        return self.missing == {path} and path in self._present()

    def complete(self) -> StreamMetadata:
        """Return all metadata that the last `SHA256SUMS` names.

        Raises:
            MediumError: something is still missing.
        """
        sums, files = _parse_sums(self._sums), self._present()
        self.missing = {CONTENTS}
        if CONTENTS in files:
            # It alone says what is a part; parts may be here too, where `SHA256SUMS` was lost.
            payload = _payload(files[CONTENTS])
            files = {path: data for path, data in files.items() if path not in payload}
            self.missing = {*sums, *self._custody_paths()} - payload - set(files)
        if self.missing:
            raise _damaged(min(self.missing))
        return StreamMetadata(files=files, paths=frozenset({*sums, *files}))

    def _present(self) -> dict[str, bytes]:
        """Return the files that are named and undamaged."""
        sums = _parse_sums(self._sums)
        files = {
            path: self._files[sha256] for path, sha256 in sums.items() if sha256 in self._files
        }
        settled = {
            path: self._files[sha256] for (path, sha256), n in self._custody.items() if n > 1
        }
        return {SHA256SUMS: self._sums} | files | settled

    def _custody_paths(self) -> set[str]:
        last = max((path for path, _ in self._custody), default="")
        count = int(last.removeprefix(f"{CUSTODY}/")[:5]) if last else 0
        return {custody_path(number) for number in range(1, count + 1)}


def _parse_sums(data: bytes) -> dict[str, str]:
    sums: dict[str, str] = {}
    for line in data.decode("ascii", "replace").splitlines():
        match = _SUM.fullmatch(line)
        if match is None:
            raise _damaged(SHA256SUMS)
        sums[match[2]] = match[1]
    return sums


def _payload(contents: bytes) -> set[str]:
    """Return the paths of parts and repair parts."""
    rows = (line.split(" ", 2) for line in contents.decode("ascii", "replace").splitlines())
    return {f"blobs/sha256/{row[0]}" for row in rows if len(row) > 1 and row[1] in _PAYLOAD_KINDS}


def _damaged(where: str) -> MediumError:
    return MediumError(INDEX, f"the stream's metadata are damaged: {where}", hint=AGAIN)
