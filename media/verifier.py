"""Verify media without importing them: no home is needed, nothing is decoded or written.

    report = verify_medium(Path("/media/usb"), TrustRoot.of([key]))
    whole = verify_set(Path("discs"), trust)          # a folder of volumes
    whole.missing                                     # volumes that were not there

A report exists only if every byte was right. Whatever is wrong is counted and named, and whether
the repair parts make up for it is said.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealift.keys.trust_root import TrustRoot
from sealift.manifests.layout import payload_blobs
from sealift.manifests.oci import blob_path
from sealift.manifests.progress import Progress, QuietProgress
from sealift.manifests.volume import VOLUME, Volume
from sealift.media.blob_check import BlobRef, damaged_blobs, part_refs
from sealift.media.custody import CustodyRecord
from sealift.media.errors import MediumError, RepairError
from sealift.media.folder import MediumFolder
from sealift.media.library import volume_folders
from sealift.media.medium import CarriedBundle, Medium, read_medium
from sealift.media.repair import plan_repair

__all__ = ["SetReport", "VerifyReport", "verify_medium", "verify_set"]

_NAMED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What a medium carries; it exists only if every byte of the medium was right.

    Attributes:
        part_count: parts on this medium; `repair_count` likewise.
        volume: none if the medium carries all of its parts.
    """

    path: Path
    bundles: tuple[CarriedBundle, ...]
    files: int
    part_count: int
    repair_count: int
    read_bytes: int
    seconds: float
    volume: Volume | None
    custody: tuple[CustodyRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReport:
    """What volumes in one folder carry together.

    Attributes:
        missing: numbers of the volumes that are not there.
        makes_up: whether the repair parts that are there make up for all that is missing.
    """

    volumes: tuple[VerifyReport, ...]
    missing: tuple[int, ...]
    makes_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A medium that was read, and what is wrong with it by path."""

    report: VerifyReport
    wrong: Mapping[str, MediumError]


def verify_medium(path: Path, trust: TrustRoot, progress: Progress | None = None) -> VerifyReport:
    """Check every file of a medium against the seals; nothing is decoded or written.

    Raises:
        MediumError: a file is wrong (`hint` counts the others, and says if they can be repaired).
        UntrustedError, SignatureError, ManifestError: a seal, or what it covers.
        MediumReadError, MediumNotFoundError: it cannot be read.
    """
    checked = _check(path, trust, progress or QuietProgress())
    if checked.wrong:
        lost = {_hexa(name) for name in checked.wrong}
        raise _failure(checked.wrong, _outlook(checked.report.bundles, lost))
    return checked.report


def verify_set(path: Path, trust: TrustRoot, progress: Progress | None = None) -> SetReport:
    """Check every medium in a folder, and whether all volumes of their set are there.

    Raises:
        MediumError: as `verify_medium`, of any of them; or they are of different sets.
        MediumNotFoundError: no medium is there.
    """
    progress = progress or QuietProgress()
    checked = [_check(folder, trust, progress) for folder in volume_folders(path)]
    reports = tuple(one.report for one in checked)
    volume = reports[0].volume
    for report in reports:
        if (report.volume and report.volume.plan) != (volume and volume.plan):
            raise MediumError(
                f"{report.path.name}/{VOLUME}", f"another set than that of {reports[0].path.name}",
                hint="give the volumes of one set",
            )  # fmt: skip
    there = {report.volume.number for report in reports if report.volume is not None}
    missing = tuple(n for n in range(1, volume.count + 1) if n not in there) if volume else ()
    gone = {hexa for n in missing for hexa in volume.plan.volumes[n - 1]} if volume else set()
    wrong = {
        f"{one.report.path.name}/{name}": error
        for one in checked
        for name, error in one.wrong.items()
    }
    bundles = tuple({b.reference: b for report in reports for b in report.bundles}.values())
    if wrong:
        lost = {_hexa(name) for name in wrong}
        raise _failure(wrong, _outlook(bundles, lost | gone))
    makes_up = not _shortfalls(bundles, gone)
    return SetReport(volumes=reports, missing=missing, makes_up=makes_up)


def _check(path: Path, trust: TrustRoot, progress: Progress) -> _Checked:
    started = time.monotonic()
    with MediumFolder.open(path) as folder:
        medium = read_medium(folder, trust)
        if trust.site is not None:
            for carried in medium.bundles:
                trust.require_audience(carried.bundle.seal.statement.fields.audience)
        listing = folder.listing()
        medium.check_files(listing)
        blobs = _blobs(medium)
        wrong = _absent(medium, listing)
        there = [blob for name, blob in blobs.items() if name not in wrong]
        total = sum(blob.size_bytes for blob in there)
        with progress.step(f"verify {path.name}", total) as advance:
            damaged = damaged_blobs(folder, there, advance)
    wrong |= {blob_path(digest): error for digest, error in damaged.items()}
    parts = {blob_path(p.blob) for carried in medium.bundles for p in carried.layout.parts}
    report = VerifyReport(
        path=path,
        bundles=medium.bundles,
        files=len(listing),
        part_count=sum(name in parts for name in blobs),
        repair_count=sum(name not in parts for name in blobs),
        read_bytes=total,
        seconds=time.monotonic() - started,
        volume=medium.volume,
        custody=medium.custody,
    )
    return _Checked(report=report, wrong=wrong)


def _blobs(medium: Medium) -> dict[str, BlobRef]:
    """Return every part and repair part that should lie here, by path."""
    found: dict[str, BlobRef] = {}
    for carried in medium.bundles:
        for number, item in enumerate(carried.layout.repair):
            digest = item.checked_digest
            found[blob_path(digest)] = BlobRef(
                digest=digest, size_bytes=item.size, label=f"repair part {number}"
            )
        found.update({blob_path(ref.digest): ref for ref in part_refs(carried.layout.parts)})
    return {name: found[name] for name in medium.payload}


def _absent(medium: Medium, listing: Mapping[str, int]) -> dict[str, MediumError]:
    wrong = {}
    for name, size in medium.payload.items():
        got = listing.get(name)
        if got != size:
            said = "missing" if got is None else f"expected {size} bytes, got {got}"
            wrong[name] = MediumError(name, said)
    return wrong


def _outlook(bundles: tuple[CarriedBundle, ...], lost: set[str]) -> str:
    """Say whether what is lost can be repaired."""
    shortfalls = _shortfalls(bundles, lost)
    if shortfalls:
        return "; ".join(shortfalls)
    if any(lost & _payload(carried) for carried in bundles if carried.parity):
        return "the repair parts suffice: `sealift media repair`"
    return "write the medium again"


def _shortfalls(bundles: tuple[CarriedBundle, ...], lost: set[str]) -> list[str]:
    """Say for which bundles the repair parts do not make up for what is lost."""
    found = []
    for carried in bundles:
        repair = carried.parity.blobs if carried.parity else ()
        parts = carried.layout.parts
        data = {index for index, part in enumerate(parts) if part.blob.hex in lost}
        try:
            plan_repair(
                parts, carried.parity, data, {i for i, hexa in enumerate(repair) if hexa in lost}
            )
        except RepairError as error:
            found.append(f"{carried.reference}: {error.message}")
    return found


def _payload(carried: CarriedBundle) -> set[str]:
    return {_hexa(name) for name in payload_blobs(carried.layout)}


def _failure(wrong: Mapping[str, MediumError], outlook: str) -> MediumError:
    names = sorted(wrong)
    first = wrong[names[0]]
    others = names[1:]
    counted = "" if not others else f"{len(wrong)} files are wrong, also {_some(others)}; "
    message = first.message.removeprefix(f"{first.path}: ")
    return MediumError(names[0], message, hint=f"{counted}{outlook}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return f"{', '.join(names[:_NAMED_MAX])}{more}"


def _hexa(name: str) -> str:
    return name.rpartition("/")[2]
