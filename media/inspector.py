"""Read what a medium claims, before anyone decides to trust it.

Bounded and strict like everything that reads a medium, but a `Claim` is not a verified object: it
says who *says* to have signed, and whether that holds under the keys given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sealift.keys.claim import ClaimedBundle
from sealift.keys.errors import UntrustedError
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import VerifiedSeal, verify_parity, verify_payload, verify_seal
from sealift.manifests.custody import custody_path
from sealift.manifests.digest import Digest
from sealift.manifests.layout import KIND_PARITY
from sealift.manifests.limits import LIMITS
from sealift.manifests.statement import SealStatement
from sealift.manifests.volume import Volume
from sealift.media.carried import Carried
from sealift.media.custody import CustodyRecord
from sealift.media.folder import MediumFolder
from sealift.media.medium import read_unverified

__all__ = ["Claim", "ClaimedCustody", "MediumClaims", "SignatureState", "inspect_medium"]


class SignatureState(Enum):
    """What is known of a seal's signature."""

    GOOD = "good"
    SIGNER_NOT_TRUSTED = "signer not trusted here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one seal says. Believe it only if `signature` is good.

    Attributes:
        predicates: what its attestations say, by predicate type.
        parts, repair_parts: of the whole bundle, on whatever volume.
        parity: of the statement about its repair parts; none if there is none.
    """

    statement: SealStatement
    key_id: str
    signature: SignatureState
    predicates: Mapping[str, Any]
    parts: int
    repair_parts: int
    parity: SignatureState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedCustody:
    """A custody record, and whether its signature counts here."""

    record: CustodyRecord
    signature: SignatureState


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumClaims:
    """What a medium says of itself."""

    bundles: tuple[Claim, ...]
    volume: Volume | None
    custody: tuple[ClaimedCustody, ...]


def inspect_medium(path: Path, trust: TrustRoot) -> MediumClaims:
    """Read all that is signed on a medium; its parts are not read.

    Raises:
        MediumError: it is no medium, or a document has not the digest that names it.
        SignatureError: a signature by a trusted key that does not fit.
        ManifestError: a document that is not in our form.
    """
    with MediumFolder.open(path) as folder:
        medium = read_unverified(folder)
        return MediumClaims(
            bundles=tuple(_claim(carried, trust) for carried in medium.bundles),
            volume=medium.volume,
            custody=tuple(_custody(folder, record, trust) for record in medium.custody),
        )


def _claim(carried: Carried[ClaimedBundle], trust: TrustRoot) -> Claim:
    claimed = carried.bundle.seal
    state, parity = SignatureState.SIGNER_NOT_TRUSTED, _parity_state(carried, None)
    try:
        seal = verify_seal(claimed.envelope, trust, for_this_site=False)
        state, parity = SignatureState.GOOD, _parity_state(carried, seal)
    except UntrustedError:
        pass  # the states say so
    return Claim(
        statement=claimed.statement,
        key_id=claimed.key_id,
        signature=state,
        predicates=carried.predicates,
        parts=len(carried.layout.parts),
        repair_parts=len(carried.layout.repair),
        parity=parity,
    )


def _parity_state(
    carried: Carried[ClaimedBundle], seal: VerifiedSeal | None
) -> SignatureState | None:
    for ref in carried.layout.referrers:
        if ref.kind != KIND_PARITY:
            continue
        if seal is None:
            return SignatureState.SIGNER_NOT_TRUSTED
        try:
            verify_parity(carried.documents[ref.blob.checked_digest], seal)
        except UntrustedError:
            return SignatureState.SIGNER_NOT_TRUSTED
        return SignatureState.GOOD
    return None


def _custody(folder: MediumFolder, record: CustodyRecord, trust: TrustRoot) -> ClaimedCustody:
    path = custody_path(record.custody.number)
    data = folder.read(path, size_max=LIMITS.custody_bytes)
    try:
        if Digest.of(data) == record.digest:
            verify_payload(data, trust, what=path)
            return ClaimedCustody(record=record, signature=SignatureState.GOOD)
    except UntrustedError:
        pass
    return ClaimedCustody(record=record, signature=SignatureState.SIGNER_NOT_TRUSTED)
