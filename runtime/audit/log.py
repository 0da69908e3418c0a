"""The log on disk: append-only, in order across processes, its head signed.

    log = AuditLog.open(home)
    log.append(Event(kind=Kind.SERVE_START, fields={"port": 8080}))
    log.checkpoint.short

Guaranteed: when `append` returns, the entries and their checkpoint are on the disk. Every process
that appends first reads what others appended, and checks it against their signed checkpoint.

A crash leaves one of: nothing; a signed `checkpoint.next` and some of its entries. The next opener
completes the append if all of its entries are there, else takes it back; both are logged. Entries
that no checkpoint covers are tampering, not a crash: the next checkpoint is written before them.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sealift.manifests.errors import ManifestError
from sealift.manifests.timestamp import format_time
from sealift.manifests.tool import tool_name
from sealift.media.durable import partial_of, replace_file
from sealift.runtime.audit import checkpoint as note
from sealift.runtime.audit.checkpoint import Checkpoint
from sealift.runtime.audit.entry import ENTRY_BYTES_MAX, Entry, Event, Field, Kind
from sealift.runtime.audit.errors import AuditError
from sealift.runtime.audit.merkle import Frontier, leaf_hash
from sealift.runtime.audit.site_key import create_site_key, read_site_key

__all__ = ["CHECKPOINT", "ENTRIES", "LOCK", "AuditLog", "Clock", "parse_line", "utc_now"]

ENTRIES = "log/entries.jsonl"
CHECKPOINT = "log/checkpoint"
LOCK = "log/lock"
_NEXT = "log/checkpoint.next"

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the host's time."""
    return datetime.now(UTC)


class AuditLog:
    """The log of one home; safe to share between threads and processes."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._thread = threading.RLock()
        self._tree = Frontier()
        self._bytes = 0  # of ENTRIES, as far as `_tree` covers them
        self._signer = read_site_key(home)
        self.public = self._signer.public
        self._origin = note.origin_of(self.public)

    @classmethod
    def open(cls, home: Path, *, clock: Clock = utc_now) -> "AuditLog":
        """Open the log of a home and check all of it; a new home gets a site key and a log.

        Raises:
            AuditError: the log, its checkpoint or the site key is not what was written.
            OSError: the disk fails.
        """
        if not (home / ENTRIES).exists():
            with _hold(_new_folder(home) / Path(LOCK).name):
                _create(home)
        log = cls(home, clock)
        with log._locked():
            if log._tree.size == 0:
                log._write([Event(kind=Kind.SITE_INIT, fields=log._identity())])
        return log

    @property
    def checkpoint(self) -> Checkpoint:
        """The head, as far as this process has seen it."""
        with self._thread:
            return self._head(self._tree)

    @property
    def size_bytes(self) -> int:
        """Length of the checked part of the file."""
        return self._bytes

    def sync(self) -> Checkpoint:
        """Read what other processes appended, and check it.

        Raises:
            AuditError: as `open`.
        """
        with self._locked():
            return self._head(self._tree)

    def append(self, *events: Event) -> Checkpoint:
        """Append events, all or none, through to the disk.

        Raises:
            AuditError: as `open`.
            ManifestError: an event that no entry can hold.
        """
        with self._locked():
            if events:
                self._write(events)
            return self._head(self._tree)

    def lines(self, start_bytes: int = 0) -> Iterator[bytes]:
        """Give the checked lines from an offset (an earlier `size_bytes`) on."""
        end = self._bytes
        with (self._home / ENTRIES).open("rb") as file:
            file.seek(start_bytes)
            while file.tell() < end:
                yield file.readline()[:-1]

    def entries(self) -> Iterator[Entry]:
        """Give every checked entry.

        Raises:
            AuditError: a line that the log would not have written.
        """
        for number, line in enumerate(self.lines()):
            yield parse_line(line, number)

    def _identity(self) -> dict[str, Field]:
        return {"site_key": self.public.key_id, "tool": tool_name()}

    def _head(self, tree: Frontier) -> Checkpoint:
        return Checkpoint(origin=self._origin, size=tree.size, root=tree.root())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the log against threads and processes, and catch up with it first."""
        with self._thread, _hold(self._home / LOCK):
            partial_of(self._home / _NEXT).unlink(missing_ok=True)
            self._catch_up()
            yield

    def _catch_up(self) -> None:
        signed = self._read_checkpoint(CHECKPOINT)
        upcoming = self._read_checkpoint(_NEXT)
        if signed is None:
            # Only the very first append can end before there is a checkpoint.
            if self._tree.size or (upcoming is None and self._file_bytes()):
                raise AuditError("missing", path=CHECKPOINT)
            signed = self._head(Frontier())
        if signed.size < self._tree.size:
            raise AuditError(
                f"expected at least {self._tree.size} entries, got {signed.size}", path=CHECKPOINT
            )
        tree, end = self._read_to(signed, self._tree, self._bytes)
        self._tree, self._bytes = tree, end
        surplus = self._file_bytes() - end
        if upcoming is not None:
            self._finish_crashed(upcoming, surplus)
        elif surplus:
            raise AuditError(
                f"{surplus} bytes after the {signed.size} entries that the checkpoint covers",
                path=ENTRIES,
            )

    def _finish_crashed(self, upcoming: Checkpoint, surplus: int) -> None:
        """Complete an append that a crash interrupted, or take it back."""
        try:
            tree, end = self._read_to(upcoming, self._tree, self._bytes)
            completed, dropped = tree.size - self._tree.size, self._file_bytes() - end
        except AuditError:
            tree, end, completed, dropped = self._tree, self._bytes, 0, surplus
        with (self._home / ENTRIES).open("r+b") as file:
            file.truncate(end)
            os.fsync(file.fileno())
        if completed:
            (self._home / _NEXT).replace(self._home / CHECKPOINT)
            self._tree, self._bytes = tree, end
        else:
            (self._home / _NEXT).unlink()
        if self._tree.size:
            fields: dict[str, Field] = {"completed_entries": completed, "dropped_bytes": dropped}
            self._write([Event(kind=Kind.LOG_RECOVERED, fields=fields)])

    def _read_to(self, goal: Checkpoint, tree: Frontier, start: int) -> tuple[Frontier, int]:
        """Hash lines from `start` up to the goal's size and compare the root."""
        tree, end = tree.copy(), start
        with (self._home / ENTRIES).open("rb") as file:
            file.seek(start)
            while tree.size < goal.size:
                line = file.readline(ENTRY_BYTES_MAX + 1)
                if not line.endswith(b"\n"):
                    raise AuditError(f"expected {goal.size} entries, got {tree.size}", path=ENTRIES)
                tree.append(leaf_hash(line[:-1]))
                end += len(line)
        if tree.root() != goal.root:
            raise AuditError(
                f"expected root {goal.root.hex()[:16]} over {goal.size} entries, "
                f"got {tree.root().hex()[:16]}",
                path=ENTRIES,
            )
        return tree, end

    def _write(self, events: "list[Event] | tuple[Event, ...]") -> None:
        tree, time = self._tree.copy(), format_time(self._clock())
        data = bytearray()
        for event in events:
            entry = Entry(seq=tree.size, time=time, kind=event.kind, fields=event.fields)
            line = entry.encode()
            tree.append(leaf_hash(line))
            data += line + b"\n"
        # The signed head goes to the disk before its entries do: see the module's docstring.
        replace_file(self._home / _NEXT, note.encode(self._head(tree), self._signer))
        descriptor = os.open(self._home / ENTRIES, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        with os.fdopen(descriptor, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (self._home / _NEXT).replace(self._home / CHECKPOINT)
        self._tree, self._bytes = tree, self._bytes + len(data)

    def _read_checkpoint(self, name: str) -> Checkpoint | None:
        try:
            with (self._home / name).open("rb") as file:
                data = file.read(note.CHECKPOINT_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        return note.parse(data, self.public, path=name)

    def _file_bytes(self) -> int:
        return (self._home / ENTRIES).stat().st_size


def parse_line(line: bytes, number: int) -> Entry:
    """Read a line at its place.

    Raises:
        AuditError: a line that the log would not have written there.
    """
    try:
        entry = Entry.parse(line)
    except ManifestError as error:
        raise AuditError(f"line {number + 1}: {error.message}", path=ENTRIES) from error
    if entry.seq != number:
        raise AuditError(f"line {number + 1}: expected seq {number}, got {entry.seq}", path=ENTRIES)
    return entry


@contextmanager
def _hold(lock: Path) -> Iterator[None]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _new_folder(home: Path) -> Path:
    """Make the log's folder, in a home that has none because it is new.

    A home that holds models and no log has lost its log: a new one would hide that.
    """
    if home.exists() and {path.name for path in home.iterdir()} - {"site", "log"}:
        raise AuditError("missing", path=ENTRIES, hint="restore the home from a backup")
    (home / "log").mkdir(parents=True, exist_ok=True)
    return home / "log"


def _create(home: Path) -> None:
    if (home / ENTRIES).exists():
        return  # another process was first
    if (home / CHECKPOINT).exists():
        raise AuditError("missing", path=ENTRIES, hint="restore the home from a backup")
    create_site_key(home)
    (home / ENTRIES).touch()
