"""Bytes in, verified objects out. No I/O: a shell fetches bytes by the digests that these name.

    seal = verify_seal(signature_bytes, trust)                  # who signed, and what
    bundle = verify_bundle(seal, manifest_bytes, config_bytes)  # what its parts are
    predicate = verify_attestation(data, seal.statement.fields.attestations[0], seal, trust)

A `VerifiedSeal` or `VerifiedBundle` exists only if every step below passed.
"""

from dataclasses import dataclass
from typing import Any

from sealift.keys.envelope import Envelope, pre_authentication_encoding
from sealift.keys.errors import SignatureError
from sealift.keys.public_key import PublicKey
from sealift.keys.trust_root import TrustRoot
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.layout import Referrer, SealedBundle
from sealift.manifests.oci import (
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_IMAGE_MANIFEST,
    MEDIA_TYPE_SIGSTORE_BUNDLE,
    Descriptor,
)
from sealift.manifests.statement import (
    PAYLOAD_TYPE,
    PREDICATE_EVALUATION,
    PREDICATE_PROVENANCE,
    AttestationRef,
    SealStatement,
    parse_attestation,
)

__all__ = [
    "VerifiedBundle",
    "VerifiedSeal",
    "sealed_bundle",
    "verify_attestation",
    "verify_bundle",
    "verify_seal",
]

_KINDS = {PREDICATE_PROVENANCE: "provenance", PREDICATE_EVALUATION: "evaluation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSeal:
    """A statement, the trusted key that signed it, and the exact envelope bytes."""

    statement: SealStatement
    key: PublicKey
    envelope: bytes

    @property
    def manifest(self) -> Digest:
        """Digest of the model manifest: the model's identity."""
        return Digest.parse(self.statement.fields.manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """A seal and the manifest that it covers, each file's parts in agreement with both."""

    seal: VerifiedSeal
    manifest: Manifest

    @property
    def layout(self) -> SealedBundle:
        """What the bundle puts on a medium."""
        return sealed_bundle(self.seal.statement, self.manifest, self.seal.envelope)


def verify_seal(
    envelope_bytes: bytes, trust: TrustRoot, *, for_this_site: bool = True
) -> VerifiedSeal:
    """Check a seal's envelope.

    1. The envelope is in the one form that we write.
    2. Its payload type is in-toto's: a signature made for another purpose does not count.
    3. The key id names a trusted key; the key, not the envelope, decides the algorithm.
    4. The signature fits the exact payload bytes.
    5. Those same bytes parse as a seal, in its one form.
    6. The bundle is meant for this site.

    Args:
        for_this_site: false leaves step 6 out, for the bundles on a medium that are not imported:
            a medium may visit several sites.

    Raises:
        SignatureError: steps 1, 2, 4.
        UntrustedError: steps 3, 6.
        ManifestError: step 5.
    """
    envelope, key = _open(envelope_bytes, trust, what="seal")  # 1-4
    statement = SealStatement.parse(envelope.payload)  # 5
    if for_this_site:
        trust.require_audience(statement.fields.audience)  # 6
    return VerifiedSeal(statement=statement, key=key, envelope=envelope_bytes)


def verify_bundle(seal: VerifiedSeal, manifest: bytes, config: bytes) -> VerifiedBundle:
    """Check a manifest against its seal.

    1. Its digest and size are the sealed ones.
    2. It parses, in its one form, with its config.
    3. Name, version and creation time are the seal's (no mix and match).
    4. It carries exactly the files that the seal lists.

    Raises:
        ManifestError: any of them fails.
    """
    fields = seal.statement.fields
    if len(manifest) != fields.manifest_size or Digest.of(manifest) != seal.manifest:  # 1
        raise ManifestError(f"manifest: expected {seal.manifest}, got {Digest.of(manifest)}")
    parsed = Manifest.parse(manifest, config)  # 2
    sealed = (fields.name, fields.version, fields.created)
    carried = (parsed.name, parsed.version, parsed.created)
    if sealed != carried:  # 3
        raise ManifestError(f"manifest: the seal is for {sealed}, got {carried}")
    difference = {file.path for file in seal.statement.files} ^ set(parsed.files)
    if difference:  # 4
        raise ManifestError(f"manifest: {min(difference)}: only in the seal or the manifest")
    return VerifiedBundle(seal=seal, manifest=parsed)


def verify_attestation(
    envelope_bytes: bytes, ref: AttestationRef, seal: VerifiedSeal, trust: TrustRoot
) -> Any:
    """Check an attestation that the seal pins, and return its predicate.

    Raises:
        SignatureError: not the pinned bytes, or a signature that does not fit.
        UntrustedError: signed by a key that is not trusted.
        ManifestError: about another manifest.
    """
    got = Digest.of(envelope_bytes)
    if str(got) != ref.digest:
        raise SignatureError(f"attestation {ref.predicate_type}: expected {ref.digest}, got {got}")
    envelope, _ = _open(envelope_bytes, trust, what=f"attestation {ref.predicate_type}")
    return parse_attestation(
        envelope.payload, manifest=seal.manifest, predicate_type=ref.predicate_type
    )


def sealed_bundle(statement: SealStatement, manifest: Manifest, seal: bytes) -> SealedBundle:
    """Describe what a bundle puts on a medium: the writer's and the reader's one source."""
    manifest_bytes, config_bytes = manifest.encode()
    referrers = [
        Referrer(kind="signature", blob=Descriptor.of(seal, MEDIA_TYPE_SIGSTORE_BUNDLE)),
        *(
            Referrer(
                kind=_KINDS.get(ref.predicate_type, "attestation"),
                blob=Descriptor(
                    mediaType=MEDIA_TYPE_SIGSTORE_BUNDLE, digest=ref.digest, size=ref.size
                ),
            )
            for ref in statement.fields.attestations
        ),
    ]
    return SealedBundle(
        name=manifest.name,
        version=manifest.version,
        manifest=Descriptor.of(manifest_bytes, MEDIA_TYPE_IMAGE_MANIFEST),
        config=Descriptor.of(config_bytes, MEDIA_TYPE_CONFIG),
        parts=manifest.parts,
        referrers=tuple(referrers),
    )


def _open(data: bytes, trust: TrustRoot, *, what: str) -> tuple[Envelope, PublicKey]:
    envelope = Envelope.parse(data, what=what)  # 1
    if envelope.payload_type != PAYLOAD_TYPE:  # 2
        raise SignatureError(
            f"{what}: expected payload type {PAYLOAD_TYPE}, got {envelope.payload_type[:80]!r}"
        )
    key = trust.require(envelope.key_id)  # 3
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    key.verify(envelope.signature, message)  # 4
    return envelope, key
