"""Entries of the log: who did what, when, as one canonical JSON line each.

>>> line = Entry(seq=0, time="2026-01-01T00:00:00Z", kind=Kind.SERVE_STOP, fields={}).encode()
>>> Entry.parse(line).kind
<Kind.SERVE_STOP: 'serve.stop'>

Fields are words and numbers; never keys, tokens or prompts.
"""

from enum import Enum

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.record import Record
from sealift.manifests.timestamp import parse_time

__all__ = ["ENTRY_BYTES_MAX", "Entry", "Event", "Field", "Kind"]

ENTRY_BYTES_MAX = 64 * 1024

Field = str | int | float | bool | None


class Kind(Enum):
    """What can be in a log."""

    SITE_INIT = "site.init"
    LOG_RECOVERED = "log.recovered"
    KEY_TRUST = "key.trust"
    KEY_DISTRUST = "key.distrust"
    MODEL_IMPORT = "model.import"
    MODEL_IMPORT_REFUSED = "model.import_refused"
    MODEL_IMPORT_WAITING = "model.import_waiting"
    MODEL_REMOVE = "model.remove"
    MODEL_ROLLBACK = "model.rollback"
    MODEL_LOAD = "model.load"
    MODEL_LOAD_REFUSED = "model.load_refused"
    MODEL_UNLOAD = "model.unload"
    WORKER_CRASH = "worker.crash"
    WORKER_KILL = "worker.kill"
    WORKER_RESTART = "worker.restart"
    HAVE_EXPORT = "have.export"
    SERVE_START = "serve.start"
    SERVE_STOP = "serve.stop"
    REQUEST = "request"
    REQUEST_REFUSED = "request.refused"


class Event(Record, frozen=True, kw_only=True):
    """Something that happened, before it has a place in the log."""

    kind: Kind
    fields: dict[str, Field]


class Entry(Record, frozen=True, kw_only=True):
    """A line of the log.

    Attributes:
        seq: its place, from 0.
        time: RFC 3339 UTC, as the host's clock said.
    """

    seq: int
    time: str
    kind: Kind
    fields: dict[str, Field]

    def encode(self) -> bytes:
        """Return the line, without its newline.

        Raises:
            ManifestError: too long, or not Unicode text.
        """
        line = strict_json.canonical(self)
        if len(line) > ENTRY_BYTES_MAX:
            raise ManifestError(
                f"log entry {self.kind.value}: expected at most {ENTRY_BYTES_MAX} bytes, "
                f"got {len(line)}"
            )
        return line

    @classmethod
    def parse(cls, line: bytes) -> "Entry":
        """Read a line.

        Raises:
            ManifestError: anything that `encode` would not have written.
        """
        if len(line) > ENTRY_BYTES_MAX:
            raise ManifestError(f"log entry: expected at most {ENTRY_BYTES_MAX} bytes")
        entry = strict_json.decode(line, cls, what="log entry")
        parse_time(entry.time, what="log entry: time")
        if entry.encode() != line:
            raise ManifestError("log entry: not in the one form that the log writes")
        return entry
