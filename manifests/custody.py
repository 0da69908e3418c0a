"""Custody records: who wrote a medium, when, where, onto which device, and what lay on it then.

Each is a statement about the medium's `SHA256SUMS`, and so about every file; each names the record
before it. A fact that the system did not know is null: nothing in a record is a guess.
"""

from typing import Annotated, Literal

import msgspec

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.layout import SHA256SUMS
from sealift.manifests.limits import LIMITS
from sealift.manifests.record import Record
from sealift.manifests.statement import attestation, parse_attestation
from sealift.manifests.timestamp import parse_time

__all__ = [
    "CUSTODY",
    "PREDICATE_CUSTODY",
    "Custody",
    "DeviceFacts",
    "ReadBackLabel",
    "custody_path",
]

CUSTODY = "custody"
PREDICATE_CUSTODY = "urn:sealift:custody:v1"

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Fact = _Text | None

#: How the written files were compared: past the page cache, after it was asked to forget them, or
#: (neither was possible) maybe from memory.
ReadBackLabel = Literal["direct", "uncached", "cached"]


class DeviceFacts(Record, frozen=True, kw_only=True, rename="camel"):
    """What the system says of the device under a folder; null where it says nothing.

    Attributes:
        size_bytes: of the file system.
    """

    file_system: _Fact = None
    label: _Fact = None
    uuid: _Fact = None
    model: _Fact = None
    serial: _Fact = None
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**60)] | None = None


class Custody(Record, frozen=True, kw_only=True, rename="camel"):
    """One record.

    Attributes:
        number: from 1, as its file is named.
        time: RFC 3339, UTC, whole seconds, by the clock of `host`.
        tool: name and version of what wrote.
        volume: this medium's number in its set of `volumes`; 1 of 1 where it is complete by itself.
        manifests: digests of the bundles' manifests.
        sums: SHA-256 of the medium's `SHA256SUMS`.
        previous: SHA-256 of the file of the record before this; null in the first.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=LIMITS.custody_records)]
    user: _Text
    host: _Text
    time: _Text
    tool: _Text
    device: DeviceFacts
    volume: Annotated[int, msgspec.Meta(ge=1, le=LIMITS.volumes)]
    volumes: Annotated[int, msgspec.Meta(ge=1, le=LIMITS.volumes)]
    manifests: tuple[str, ...]
    read_back: ReadBackLabel
    sums: str
    previous: str | None

    def statement(self) -> bytes:
        """Return the payload that is signed, in its one form."""
        return attestation(
            name=SHA256SUMS,
            manifest=Digest("sha256", self.sums),
            predicate_type=PREDICATE_CUSTODY,
            predicate=strict_json.loads(strict_json.canonical(self)),
        )

    @classmethod
    def parse(cls, payload: bytes, *, what: str) -> "Custody":
        """Read a payload whose signature was checked.

        Raises:
            ManifestError: anything that `statement` would not have written.
        """
        match strict_json.loads(payload, what=what):
            case {"predicate": {"sums": str(sums)}}:
                subject = Digest("sha256", sums)
            case _:
                raise ManifestError(f"{what}: expected a custody record")
        predicate = parse_attestation(payload, manifest=subject, predicate_type=PREDICATE_CUSTODY)
        record = strict_json.decode(strict_json.canonical(predicate), cls, what=what)
        parse_time(record.time, what=f"{what}: time")
        for text in (
            record.user,
            record.host,
            record.tool,
            *msgspec.structs.astuple(record.device),
        ):
            # These are shown to people, perhaps before any signature was judged.
            if isinstance(text, str) and not text.isprintable():
                raise ManifestError(f"{what}: expected printable text, got {text[:80]!r}")
        if record.volume > record.volumes or len(record.manifests) > LIMITS.index_entries:
            raise ManifestError(f"{what}: volume {record.volume} of {record.volumes}")
        for digest in record.manifests:
            Digest.parse(digest)
        if record.previous is not None:
            Digest("sha256", record.previous)
        if record.statement() != payload:
            raise ManifestError(f"{what}: not in the one form that this format writes")
        return record


def custody_path(number: int) -> str:
    """Return where a medium keeps a record: `custody/00001.sigstore.json`."""
    return f"{CUSTODY}/{number:05d}.sigstore.json"
