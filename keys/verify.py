"""Bytes in, verified objects out. No I/O: a shell fetches bytes by the digests that these name.

    seal = verify_seal(signature_bytes, trust)                  # who signed, and what
    bundle = verify_bundle(seal, manifest_bytes, config_bytes)  # what its parts are
    predicate = verify_attestation(data, seal.statement.fields.attestations[0], seal, trust)

A `VerifiedSeal` or `VerifiedBundle` exists only if every step below passed.
"""

from dataclasses import dataclass
from typing import Any

from sealift.keys.claim import (
    pinned_manifest,
    require_pinned,
    sealed_bundle,
    statement_envelope,
)
from sealift.keys.envelope import Envelope, pre_authentication_encoding
from sealift.keys.errors import UntrustedError
from sealift.keys.public_key import PublicKey
from sealift.keys.trust_root import TrustRoot
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.layout import SealedBundle
from sealift.manifests.parity import PREDICATE_PARITY
from sealift.manifests.statement import AttestationRef, SealStatement, parse_attestation

__all__ = [
    "VerifiedBundle",
    "VerifiedSeal",
    "verify_attestation",
    "verify_bundle",
    "verify_parity",
    "verify_payload",
    "verify_seal",
]


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

    @property
    def key_id(self) -> str:
        """Which key signed it."""
        return self.key.key_id


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

    Raises:
        ManifestError: as `pinned_manifest` says.
    """
    return VerifiedBundle(seal=seal, manifest=pinned_manifest(seal.statement, manifest, config))


def verify_attestation(
    envelope_bytes: bytes, ref: AttestationRef, seal: VerifiedSeal, trust: TrustRoot
) -> Any:
    """Check an attestation that the seal pins, and return its predicate.

    Raises:
        SignatureError: not the pinned bytes, or a signature that does not fit.
        UntrustedError: signed by a key that is not trusted.
        ManifestError: about another manifest.
    """
    require_pinned(envelope_bytes, ref)
    envelope, _ = _open(envelope_bytes, trust, what=f"attestation {ref.predicate_type}")
    return parse_attestation(
        envelope.payload, manifest=seal.manifest, predicate_type=ref.predicate_type
    )


def verify_parity(envelope_bytes: bytes, seal: VerifiedSeal) -> Any:
    """Check the statement about a bundle's repair parts, and return its predicate.

    The seal does not pin it: repair parts may be made later. So it must be by the seal's own key.

    Raises:
        SignatureError: not in our form, or a signature that does not fit.
        UntrustedError: signed by another key than the seal, trusted or not.
        ManifestError: about another manifest, or about something else than repair parts.
    """
    key_id = statement_envelope(envelope_bytes, what="parity").key_id
    if key_id != seal.key_id:
        raise UntrustedError(
            f"parity: expected the seal's signer {seal.key_id[:16]}, got {key_id[:16]!r}",
            hint="only who sealed a bundle can add repair parts to it",
        )
    signer = TrustRoot(keys={key_id: seal.key}, algorithms=frozenset({seal.key.algorithm}))
    envelope, _ = _open(envelope_bytes, signer, what="parity")
    return parse_attestation(
        envelope.payload, manifest=seal.manifest, predicate_type=PREDICATE_PARITY
    )


def verify_payload(
    envelope_bytes: bytes, trust: TrustRoot, *, what: str
) -> tuple[bytes, PublicKey]:
    """Check the envelope of a statement and return its exact payload, and who signed it.

    Raises:
        SignatureError: not in our form, or a signature that does not fit.
        UntrustedError: signed by a key that is not trusted.
    """
    envelope, key = _open(envelope_bytes, trust, what=what)
    return envelope.payload, key


def _open(data: bytes, trust: TrustRoot, *, what: str) -> tuple[Envelope, PublicKey]:
    envelope = statement_envelope(data, what=what)  # 1, 2
    key = trust.require(envelope.key_id)  # 3
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    key.verify(envelope.signature, message)  # 4
    return envelope, key
