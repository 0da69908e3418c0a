"""Who says whether a signature counts, when a medium is read.

    read(source, TrustJudge(trust))     # every signature is checked under the keys of a trust root
    read(source, ClaimJudge())          # digests and forms are checked, signatures are not judged

The two judges give differently typed bundles, so what one has let through cannot be taken for what
the other has.
"""

from typing import Any, Generic, Protocol, TypeVar

from sealift.keys.claim import (
    ClaimedBundle,
    ClaimedSeal,
    claim_attestation,
    claim_bundle,
    claim_seal,
    statement_envelope,
)
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import (
    VerifiedBundle,
    VerifiedSeal,
    verify_attestation,
    verify_bundle,
    verify_parity,
    verify_payload,
    verify_seal,
)
from sealift.manifests.parity import PREDICATE_PARITY
from sealift.manifests.statement import AttestationRef, parse_attestation

__all__ = ["AnyBundle", "AnySeal", "ClaimJudge", "Judge", "TrustJudge"]

AnySeal = TypeVar("AnySeal", VerifiedSeal, ClaimedSeal)
AnyBundle = TypeVar("AnyBundle", VerifiedBundle, ClaimedBundle, covariant=True)


class Judge(Protocol, Generic[AnySeal, AnyBundle]):
    """Opens what is signed on a medium."""

    def seal(self, envelope: bytes) -> AnySeal:
        """Open a seal.

        Raises:
            SignatureError, UntrustedError, ManifestError: as `keys.verify` says.
        """
        ...

    def bundle(self, seal: AnySeal, manifest: bytes, config: bytes) -> AnyBundle:
        """Check a manifest against its seal.

        Raises:
            ManifestError: they do not agree.
        """
        ...

    def attestation(self, data: bytes, ref: AttestationRef, seal: AnySeal) -> Any:
        """Open an attestation that the seal pins, and return its predicate.

        Raises:
            SignatureError, UntrustedError, ManifestError: as `keys.verify` says.
        """
        ...

    def parity(self, data: bytes, seal: AnySeal) -> Any:
        """Open the statement about a bundle's repair parts, and return its predicate.

        Raises:
            SignatureError, UntrustedError, ManifestError: as `keys.verify` says.
        """
        ...

    def payload(self, data: bytes, *, what: str) -> tuple[bytes, str]:
        """Open any other statement: its exact payload, and the id of the key that signed.

        Raises:
            SignatureError, UntrustedError: as `keys.verify` says.
        """
        ...


class TrustJudge:
    """Lets through what a key of the trust root signed, for whatever site."""

    def __init__(self, trust: TrustRoot) -> None:
        self._trust = trust

    def seal(self, envelope: bytes) -> VerifiedSeal:
        """Open a seal by a trusted key."""
        return verify_seal(envelope, self._trust, for_this_site=False)

    def bundle(self, seal: VerifiedSeal, manifest: bytes, config: bytes) -> VerifiedBundle:
        """Check a manifest against its seal."""
        return verify_bundle(seal, manifest, config)

    def attestation(self, data: bytes, ref: AttestationRef, seal: VerifiedSeal) -> Any:
        """Open an attestation by a trusted key."""
        return verify_attestation(data, ref, seal, self._trust)

    def parity(self, data: bytes, seal: VerifiedSeal) -> Any:
        """Open a statement by the seal's own key."""
        return verify_parity(data, seal)

    def payload(self, data: bytes, *, what: str) -> tuple[bytes, str]:
        """Open a statement by a trusted key."""
        payload, key = verify_payload(data, self._trust, what=what)
        return payload, key.key_id


class ClaimJudge:
    """Lets through what has the right digests and forms, whoever is said to have signed it."""

    def seal(self, envelope: bytes) -> ClaimedSeal:
        """Open a seal."""
        return claim_seal(envelope)

    def bundle(self, seal: ClaimedSeal, manifest: bytes, config: bytes) -> ClaimedBundle:
        """Check a manifest against its seal."""
        return claim_bundle(seal, manifest, config)

    def attestation(self, data: bytes, ref: AttestationRef, seal: ClaimedSeal) -> Any:
        """Open an attestation."""
        return claim_attestation(data, ref, seal)

    def parity(self, data: bytes, seal: ClaimedSeal) -> Any:
        """Open a statement about repair parts."""
        payload, _ = self.payload(data, what="parity")
        return parse_attestation(payload, manifest=seal.manifest, predicate_type=PREDICATE_PARITY)

    def payload(self, data: bytes, *, what: str) -> tuple[bytes, str]:
        """Open any other statement."""
        envelope = statement_envelope(data, what=what)
        return envelope.payload, envelope.key_id
