"""The report of an inspection, signed by this site: kept beside the installed version.

    data = inspection_record(report, bundle, site_key)         # written with the version's records
    predicate = read_inspection(home, record, site_public)     # checked, whenever it is read

An in-toto statement about the model's manifest in a Sigstore bundle, by the site key (Ed25519). The
log holds its digest: a report that is changed, removed, or replaced by another one that this site
signed is found.
"""

from pathlib import Path
from typing import Any, Final

from sealift.keys.envelope import Envelope, pre_authentication_encoding, sign
from sealift.keys.errors import SignatureError
from sealift.keys.public_key import PublicKey
from sealift.keys.signer import Signer
from sealift.keys.verify import VerifiedBundle
from sealift.manifests.digest import Digest
from sealift.manifests.limits import LIMITS
from sealift.manifests.record import Record
from sealift.manifests.statement import PAYLOAD_TYPE, attestation, parse_attestation
from sealift.runtime.store import paths
from sealift.runtime.store.errors import StoreIntegrityError
from sealift.runtime.store.installed import read_record
from sealift.runtime.store.state import ModelRecord

__all__ = ["PREDICATE_INSPECTION", "inspection_record", "read_inspection"]

PREDICATE_INSPECTION: Final = "urn:sealift:inspection:v1"


def inspection_record(report: Record, bundle: VerifiedBundle, site_key: Signer) -> bytes:
    """Sign what an inspection found about a bundle; the file's bytes."""
    payload = attestation(
        name=bundle.manifest.name,
        manifest=bundle.seal.manifest,
        predicate_type=PREDICATE_INSPECTION,
        predicate=report,
    )
    return sign(PAYLOAD_TYPE, payload, site_key)


def read_inspection(home: Path, record: ModelRecord, site: PublicKey) -> Any:
    """Return the report that is kept of a version.

    1. The file's bytes are those whose digest the log holds.
    2. It is an envelope in its one form, of the right payload type.
    3. Its signature is by this site's key.
    4. It is about this version's manifest, and is an inspection.

    Raises:
        StoreIntegrityError: missing, or step 1.
        SignatureError, ManifestError: the other steps; the log was then written by someone else.
    """
    data = read_record(home, record, paths.INSPECTION_FILE, LIMITS.envelope_bytes)
    what = f"{paths.record(record.name, record.version)}/{paths.INSPECTION_FILE}"
    got = Digest.of(data)
    if got != record.inspection:  # 1
        raise StoreIntegrityError(f"{what}: expected {record.inspection}, got {got}")
    envelope = Envelope.parse(data, what=what)  # 2
    if envelope.payload_type != PAYLOAD_TYPE or envelope.key_id != site.key_id:
        raise SignatureError(f"{what}: expected {PAYLOAD_TYPE} by this site's key")
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    site.verify(envelope.signature, message)  # 3
    return parse_attestation(
        envelope.payload, manifest=record.digest, predicate_type=PREDICATE_INSPECTION
    )  # 4
