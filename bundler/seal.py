"""Sign a packed bundle and write everything of a medium that is not a part.

    write_bundle(Path("export/files"), meta, attestations(record), signer, Path("bundle"), progress)

Guaranteed: attestations are signed first and pinned by the seal; what was written verifies under
the signer's key; `out` is complete and durable, or does not exist. Same input, same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

from sealift.bundler.attest import Attestation
from sealift.bundler.output import new_folder, write_file
from sealift.bundler.pack import PART_BYTES, BundleMeta, Packed, pack
from sealift.keys import envelope
from sealift.keys.signer import Signer
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import VerifiedBundle, verify_attestation, verify_bundle, verify_seal
from sealift.manifests.digest import Digest
from sealift.manifests.layout import render
from sealift.manifests.oci import blob_path
from sealift.manifests.progress import Progress
from sealift.manifests.statement import (
    PAYLOAD_TYPE,
    AttestationRef,
    SealFields,
    SealStatement,
    attestation,
)

__all__ = ["seal", "write_bundle"]


def write_bundle(
    files: Path,
    meta: BundleMeta,
    statements: Sequence[Attestation],
    signer: Signer,
    out: Path,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
    part_bytes: int = PART_BYTES,
) -> VerifiedBundle:
    """Pack and seal a folder of files; on any failure `out` is as it was.

    Raises:
        OutputError: `out` exists and is not an empty folder.
        PackError, ManifestError, OSError: as `pack` says.
    """
    with new_folder(out) as folder:
        packed = pack(files, meta, folder, progress, workers=workers, part_bytes=part_bytes)
        return seal(packed, meta, statements, signer, folder)


def seal(
    packed: Packed,
    meta: BundleMeta,
    statements: Sequence[Attestation],
    signer: Signer,
    out: Path,
) -> VerifiedBundle:
    """Sign what was packed into `out`, and complete the medium.

    Raises:
        OSError: a file is there already, or cannot be written.
    """
    manifest, config = packed.manifest.encode()
    envelopes = [
        envelope.sign(
            PAYLOAD_TYPE,
            attestation(
                name=meta.name,
                manifest=Digest.of(manifest),
                predicate_type=statement.predicate_type,
                predicate=statement.predicate,
            ),
            signer,
        )
        for statement in statements
    ]
    refs = tuple(
        AttestationRef(
            predicate_type=statement.predicate_type, digest=str(Digest.of(data)), size=len(data)
        )
        for statement, data in zip(statements, envelopes, strict=True)
    )
    statement = SealStatement(files=packed.files, fields=_fields(meta, manifest, refs))
    sealed = envelope.sign(PAYLOAD_TYPE, statement.encode(), signer)
    bundle = _check(sealed, manifest, config, envelopes, signer)
    contents = {blob_path(Digest.of(data)): data for data in (manifest, config, sealed, *envelopes)}
    for path, data in {**contents, **render([bundle.layout])}.items():
        write_file(out / path, data)
    return bundle


def _fields(meta: BundleMeta, manifest: bytes, refs: tuple[AttestationRef, ...]) -> SealFields:
    return SealFields(
        manifest=str(Digest.of(manifest)),
        manifest_size=len(manifest),
        name=meta.name,
        version=meta.version,
        task=meta.task,
        sequence=meta.sequence,
        created=meta.created,
        audience=meta.audience,
        attestations=refs,
    )


def _check(
    sealed: bytes, manifest: bytes, config: bytes, envelopes: Sequence[bytes], signer: Signer
) -> VerifiedBundle:
    # Read it as the other side will: a bundle that nobody can open must not leave this host.
    trust = TrustRoot.of([signer.public])
    verified = verify_seal(sealed, trust, for_this_site=False)
    for ref, data in zip(verified.statement.fields.attestations, envelopes, strict=True):
        verify_attestation(data, ref, verified, trust)
    return verify_bundle(verified, manifest, config)
