"""The custody records of a medium, read and held against each other and against what lies there."""

from collections.abc import Mapping
from dataclasses import dataclass

from sealift.keys.errors import SignatureError, UntrustedError
from sealift.keys.judge import AnyBundle, AnySeal, Judge
from sealift.manifests.custody import CUSTODY, Custody, custody_path
from sealift.manifests.digest import Digest
from sealift.manifests.layout import SHA256SUMS
from sealift.manifests.limits import LIMITS
from sealift.media.errors import MediumError
from sealift.media.source import MediumSource

__all__ = ["CustodyRecord", "read_custody", "require_cover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyRecord:
    """A record, its file's digest, and the id of the key that signed it (or is said to have)."""

    custody: Custody
    digest: Digest
    key_id: str


def read_custody(
    source: MediumSource, sizes: Mapping[str, int], judge: Judge[AnySeal, AnyBundle]
) -> tuple[CustodyRecord, ...]:
    """Read the records that a medium carries.

    1. They are numbered from 1, without a gap.
    2. Each is signed by a key that the judge lets through.
    3. Each is in its one form, has its file's number, and names the record before it.

    Args:
        sizes: of every file on the medium.

    Raises:
        MediumError: step 1 or 3 fails, or a file cannot be read.
        UntrustedError, SignatureError, ManifestError: steps 2 and 3.
    """
    count = sum(path.startswith(f"{CUSTODY}/") for path in sizes)
    if count > LIMITS.custody_records:
        raise MediumError(CUSTODY, f"expected at most {LIMITS.custody_records} records")
    records: list[CustodyRecord] = []
    for number in range(1, count + 1):
        path = custody_path(number)
        if path not in sizes:  # 1
            raise MediumError(path, f"missing: {CUSTODY} has {count} files")
        data = source.read(path, size_max=LIMITS.custody_bytes)
        record = _open(data, path, judge)
        previous = records[-1].digest.hex if records else None
        if (record.custody.number, record.custody.previous) != (number, previous):  # 3
            raise MediumError(path, f"does not follow record {number - 1}")
        records.append(record)
    return tuple(records)


def require_cover(records: tuple[CustodyRecord, ...], sums: bytes) -> None:
    """Check that the last record, where there is one, is about the files that are there now.

    Raises:
        MediumError: the medium was changed after it, or records after it were taken away.
    """
    if records and records[-1].custody.sums != Digest.of(sums).hex:
        raise MediumError(
            custody_path(len(records)),
            f"is about another {SHA256SUMS}: expected {records[-1].custody.sums}, "
            f"got {Digest.of(sums).hex}",
            hint="the medium was changed after its last custody record, or a record is gone",
        )


def _open(data: bytes, path: str, judge: Judge[AnySeal, AnyBundle]) -> CustodyRecord:
    try:
        payload, key_id = judge.payload(data, what=path)  # 2
    except (SignatureError, UntrustedError) as error:
        message = error.message.removeprefix(f"{path}: ")
        raise type(error)(f"{path}: {message}", hint=error.hint) from error
    custody = Custody.parse(payload, what=path)  # 3
    return CustodyRecord(custody=custody, digest=Digest.of(data), key_id=key_id)
