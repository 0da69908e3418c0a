"""What a bundle says of itself, checked by form and digest, with its signatures not judged.

A courier who splits a bundle over volumes holds no key, and needs none: signatures travel as they
are. A `ClaimedBundle` is for such copying, and for showing; nothing is ever installed from one.
`keys.verify` takes the same steps and judges the signatures too.
"""

from dataclasses import dataclass
from typing import Any

from sealift.keys.envelope import Envelope
from sealift.keys.errors import SignatureError
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.layout import KIND_SIGNATURE, Referrer, SealedBundle
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
    SealFields,
    SealStatement,
    parse_attestation,
)

__all__ = [
    "ClaimedBundle",
    "ClaimedSeal",
    "claim_attestation",
    "claim_bundle",
    "claim_seal",
    "pinned_manifest",
    "require_pinned",
    "sealed_bundle",
    "statement_envelope",
]

_KINDS = {PREDICATE_PROVENANCE: "provenance", PREDICATE_EVALUATION: "evaluation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedSeal:
    """A statement, the key that is said to have signed it, and the exact envelope bytes."""

    statement: SealStatement
    key_id: str
    envelope: bytes

    @property
    def manifest(self) -> Digest:
        """Digest of the model manifest: the model's identity."""
        return Digest.parse(self.statement.fields.manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedBundle:
    """A seal that nobody judged and the manifest that it covers, in agreement with each other."""

    seal: ClaimedSeal
    manifest: Manifest

    @property
    def layout(self) -> SealedBundle:
        """What the bundle puts on a medium."""
        return sealed_bundle(self.seal.statement, self.manifest, self.seal.envelope)


def claim_seal(envelope_bytes: bytes) -> ClaimedSeal:
    """Read a seal's envelope; who signed it is not checked.

    Raises:
        SignatureError: not in our form.
        ManifestError: it holds no seal.
    """
    envelope = statement_envelope(envelope_bytes, what="seal")
    return ClaimedSeal(
        statement=SealStatement.parse(envelope.payload),
        key_id=envelope.key_id,
        envelope=envelope_bytes,
    )


def claim_bundle(seal: ClaimedSeal, manifest: bytes, config: bytes) -> ClaimedBundle:
    """Check a manifest against its seal.

    Raises:
        ManifestError: as `pinned_manifest`.
    """
    parsed = pinned_manifest(seal.statement, manifest, config)
    return ClaimedBundle(seal=seal, manifest=parsed)


def claim_attestation(envelope_bytes: bytes, ref: AttestationRef, seal: ClaimedSeal) -> Any:
    """Read an attestation that the seal pins, and return its predicate.

    Raises:
        SignatureError: not the pinned bytes, or not in our form.
        ManifestError: about another manifest.
    """
    require_pinned(envelope_bytes, ref)
    envelope = statement_envelope(envelope_bytes, what=f"attestation {ref.predicate_type}")
    return parse_attestation(
        envelope.payload, manifest=seal.manifest, predicate_type=ref.predicate_type
    )


def statement_envelope(data: bytes, *, what: str) -> Envelope:
    """Read an envelope in the one form that we write, whose payload type is in-toto's.

    Raises:
        SignatureError: another form, or a signature that was made for another purpose.
    """
    envelope = Envelope.parse(data, what=what)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(
            f"{what}: expected payload type {PAYLOAD_TYPE}, got {envelope.payload_type[:80]!r}"
        )
    return envelope


def require_pinned(envelope_bytes: bytes, ref: AttestationRef) -> None:
    """Compare an attestation's envelope with the digest that the seal pins.

    Raises:
        SignatureError: other bytes.
    """
    got = Digest.of(envelope_bytes)
    if str(got) != ref.digest:
        raise SignatureError(f"attestation {ref.predicate_type}: expected {ref.digest}, got {got}")


def pinned_manifest(statement: SealStatement, manifest: bytes, config: bytes) -> Manifest:
    """Check a manifest against the statement that pins it.

    1. Its digest and size are the sealed ones.
    2. It parses, in its one form, with its config.
    3. Name, version and creation time are the seal's (no mix and match).
    4. It carries exactly the files that the seal lists.

    Raises:
        ManifestError: any of them fails.
    """
    fields = statement.fields
    if len(manifest) != fields.manifest_size or str(Digest.of(manifest)) != fields.manifest:  # 1
        raise ManifestError(f"manifest: expected {fields.manifest}, got {Digest.of(manifest)}")
    parsed = Manifest.parse(manifest, config)  # 2
    _require_same_release(fields, parsed)  # 3
    difference = {file.path for file in statement.files} ^ set(parsed.files)
    if difference:  # 4
        raise ManifestError(f"manifest: {min(difference)}: only in the seal or the manifest")
    return parsed


def sealed_bundle(statement: SealStatement, manifest: Manifest, seal: bytes) -> SealedBundle:
    """Describe what a bundle puts on a medium: the writer's and the reader's one source."""
    manifest_bytes, config_bytes = manifest.encode()
    referrers = [
        Referrer(kind=KIND_SIGNATURE, blob=Descriptor.of(seal, MEDIA_TYPE_SIGSTORE_BUNDLE)),
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


def _require_same_release(fields: SealFields, manifest: Manifest) -> None:
    sealed = (fields.name, fields.version, fields.created)
    carried = (manifest.name, manifest.version, manifest.created)
    if sealed != carried:
        raise ManifestError(f"manifest: the seal is for {sealed}, got {carried}")
