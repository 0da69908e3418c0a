"""Say what this host holds, signed by the key of its log, for whoever writes the next medium.

    listed = export_have(store)
    listed.data                               # the file to send out

Only versions whose seal and manifest verify under the keys accepted now are listed. The files are
not hashed here: `sealift audit verify` does that, and an import hashes what it takes from here.
"""

from dataclasses import dataclass

from sealift.keys.have import sign_have
from sealift.manifests.errors import SealiftError
from sealift.manifests.have import Have
from sealift.manifests.timestamp import format_time
from sealift.runtime.audit.entry import Event, Kind
from sealift.runtime.audit.site_key import read_site_key
from sealift.runtime.store.installed import open_bundle
from sealift.runtime.store.store import Store

__all__ = ["HaveExport", "LeftOut", "export_have"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An installed version that is not listed, and why."""

    reference: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaveExport:
    """A signed list.

    Attributes:
        data: the file.
        versions: name and version of each model whose parts are listed.
        checkpoint: size and short root of the log, the entry about this export included.
    """

    have: Have
    data: bytes
    versions: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    checkpoint: str


def export_have(store: Store) -> HaveExport:
    """List and sign what a home holds, and write in its log that this was done.

    Raises:
        AuditError: the log or the site key is not in order.
        StoreIntegrityError: a trusted key is not the one that was trusted.
        ManifestError: the list is longer than readers accept.
    """
    signer, trusted = read_site_key(store.home), store.trusted()
    files: set[str] = set()
    parts: set[str] = set()
    versions: list[str] = []
    left_out: list[LeftOut] = []
    for record in store.state().all_models():
        try:
            bundle = open_bundle(store.home, record, trusted)
        except SealiftError as error:
            left_out.append(LeftOut(reference=record.reference, reason=error.message))
            continue
        versions.append(record.reference)
        files.update(file.digest for file in bundle.seal.statement.files)
        parts.update(part.tar.hex for part in bundle.manifest.parts)
    have = Have(
        site_key=signer.public.pem.decode(),
        time=format_time(store.clock()),
        checkpoint=store.log.checkpoint.short,
        files=tuple(sorted(files)),
        parts=tuple(sorted(parts)),
    )
    data = sign_have(have, signer)
    checkpoint = store.log.append(
        Event(
            kind=Kind.HAVE_EXPORT,
            fields={"digest": str(have.digest), "files": len(files), "parts": len(parts)},
        )
    )
    return HaveExport(
        have=have,
        data=data,
        versions=tuple(versions),
        left_out=tuple(left_out),
        checkpoint=checkpoint.short,
    )
