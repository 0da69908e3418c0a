"""Read what a medium claims, before anyone decides to trust it.

Bounded and strict like everything that reads a medium, but a `Claim` is not a verified object: it
says who *says* to have signed, and whether that holds under the keys given.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sealift.keys.envelope import Envelope
from sealift.keys.errors import UntrustedError
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import verify_seal
from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.statement import AttestationRef, SealStatement
from sealift.media.folder import MediumFolder
from sealift.media.referrers import find_referrers

__all__ = ["Claim", "SignatureState", "inspect_medium"]


class SignatureState(Enum):
    """What is known of a seal's signature."""

    GOOD = "good"
    SIGNER_NOT_TRUSTED = "signer not trusted here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one seal says. Believe it only if `signature` is good.

    Attributes:
        predicates: what its attestations say, by predicate type.
    """

    statement: SealStatement
    key_id: str
    signature: SignatureState
    predicates: dict[str, Any]


def inspect_medium(path: Path, trust: TrustRoot) -> tuple[Claim, ...]:
    """Read the seals and attestations of a medium; its parts are not read.

    Raises:
        MediumError: it is no medium, or a document has not the digest that names it.
        SignatureError: a signature by a trusted key that does not fit.
        ManifestError: a document that is not in our form.
    """
    with MediumFolder.open(path) as folder:
        return tuple(_claim(folder, digest, trust) for digest in find_referrers(folder).seals)


def _claim(folder: MediumFolder, digest: Digest, trust: TrustRoot) -> Claim:
    data = folder.read_blob(digest, size_max=LIMITS.envelope_bytes)
    envelope = Envelope.parse(data, what="seal")
    try:
        verify_seal(data, trust, for_this_site=False)
        state = SignatureState.GOOD
    except UntrustedError:
        state = SignatureState.SIGNER_NOT_TRUSTED
    statement = SealStatement.parse(envelope.payload)
    return Claim(
        statement=statement,
        key_id=envelope.key_id,
        signature=state,
        predicates={
            ref.predicate_type: _predicate(folder, ref) for ref in statement.fields.attestations
        },
    )


def _predicate(folder: MediumFolder, ref: AttestationRef) -> Any:
    size = min(ref.size, LIMITS.envelope_bytes)
    data = folder.read_blob(Digest.parse(ref.digest), size_max=size)
    statement = strict_json.loads(Envelope.parse(data, what="attestation").payload)
    if not isinstance(statement, dict):
        raise ManifestError("attestation: expected an object")
    return statement.get("predicate")
