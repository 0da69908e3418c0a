"""Verify a medium without importing it: no home is needed, nothing is decoded or written.

report = verify_medium(Path("/media/usb"), TrustRoot.of([key]))
"""

import time
from dataclasses import dataclass
from pathlib import Path

from sealift.keys.trust_root import TrustRoot
from sealift.manifests.oci import blob_path
from sealift.manifests.progress import Progress, QuietProgress
from sealift.media.blob_check import check_blobs, part_refs
from sealift.media.errors import MediumError
from sealift.media.folder import MediumFolder
from sealift.media.medium import CarriedBundle, read_medium

__all__ = ["VerifyReport", "verify_medium"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What a medium carries; it exists only if every byte of the medium was right."""

    bundles: tuple[CarriedBundle, ...]
    files: int
    part_count: int
    read_bytes: int
    seconds: float


def verify_medium(path: Path, trust: TrustRoot, progress: Progress | None = None) -> VerifyReport:
    """Check every file of a medium against the seals; nothing is decoded or written.

    Raises:
        MediumError: the first file that is wrong (`hint` counts the others).
        UntrustedError, SignatureError, ManifestError: a seal, or what it covers.
        MediumReadError, MediumNotFoundError: it cannot be read.
    """
    started = time.monotonic()
    with MediumFolder.open(path) as folder:
        medium = read_medium(folder, trust)
        if trust.site is not None:
            for carried in medium.bundles:
                trust.require_audience(carried.bundle.seal.statement.fields.audience)
        listing = folder.listing()
        medium.check_files(listing)
        for carried in medium.bundles:
            for part in medium.absent(listing, carried):
                name = blob_path(part.blob)
                got = listing.get(name)
                said = "missing" if got is None else f"expected {part.blob_bytes} bytes, got {got}"
                raise MediumError(name, said)
        parts = {
            part.blob: part for carried in medium.bundles for part in medium.parts_here(carried)
        }
        total = sum(part.blob_bytes for part in parts.values())
        with (progress or QuietProgress()).step("verify", total) as advance:
            check_blobs(folder, part_refs(parts.values()), advance)
    return VerifyReport(
        bundles=medium.bundles,
        files=len(listing),
        part_count=len(parts),
        read_bytes=total,
        seconds=time.monotonic() - started,
    )
