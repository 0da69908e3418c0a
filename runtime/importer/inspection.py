"""Inspect what was assembled, before any of it has a place under `models`.

record = inspect_staged(store.home, staging.folder, carried.bundle)
"""

from pathlib import Path

from sealift.keys.verify import VerifiedBundle
from sealift.runtime.audit.site_key import read_site_key
from sealift.runtime.content.process import ContentFile, inspect_content
from sealift.runtime.store import paths
from sealift.runtime.store.inspection_record import inspection_record

__all__ = ["inspect_staged"]


def inspect_staged(home: Path, staging: Path, bundle: VerifiedBundle) -> bytes:
    """Inspect a bundle's files and sign the report.

    Args:
        staging: holds each file that the store lacks, complete, under its SHA-256.

    Raises:
        ContentError: a file holds what no model may hold.
        AuditError: the site's key is not in order.
    """
    statement, sizes = bundle.seal.statement, bundle.manifest.files
    files = {
        file.path: ContentFile(
            size_bytes=sizes[file.path],
            sha256=file.digest,
            local=_place(home, staging, file.digest),
        )
        for file in statement.files
    }
    report = inspect_content(files, task=statement.fields.task)
    return inspection_record(report, bundle, read_site_key(home))


def _place(home: Path, staging: Path, sha256: str) -> Path:
    staged = staging / sha256
    return staged if staged.exists() else home / paths.blob(sha256)
