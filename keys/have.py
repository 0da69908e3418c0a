"""Sign and read the list of what a host holds: a DSSE envelope by the key of the site's log.

have = read_have(path.read_bytes(), read_public(site_pub))
"""

from sealift.keys.envelope import Envelope, pre_authentication_encoding, sign
from sealift.keys.errors import KeyFileError, SignatureError, UntrustedError
from sealift.keys.public_key import Algorithm, PublicKey
from sealift.keys.signer import Signer
from sealift.manifests.errors import ManifestError
from sealift.manifests.have import HAVE_LIMITS, Have
from sealift.manifests.statement import PAYLOAD_TYPE

__all__ = ["read_have", "sign_have"]

_WHAT = "have list"


def sign_have(have: Have, signer: Signer) -> bytes:
    """Sign a list and return the file.

    Raises:
        ManifestError: its `site_key` is not the signer's, or it is longer than readers accept.
    """
    if have.site != signer.public.key_id:
        raise ManifestError(f"{_WHAT}: expected key {signer.public.key_id}, got {have.site}")
    data = sign(PAYLOAD_TYPE, have.encode(), signer)
    if len(data) > HAVE_LIMITS.envelope_bytes:
        raise ManifestError(
            f"{_WHAT}: expected at most {HAVE_LIMITS.envelope_bytes} bytes, got {len(data)}"
        )
    return data


def read_have(data: bytes, site_key: PublicKey | None) -> Have:
    """Read a list; print its `site`, so that a person can compare whose it is.

    1. The envelope is in the one form that we write, with in-toto's payload type.
    2. Its payload is a list in its one form; the envelope's key id is that of the key inside.
    3. Where a site key is given, it is that one.
    4. The signature fits the exact payload bytes.

    With no key given, a good signature says only that the list is undamaged: anyone can make a key.
    That is enough: nothing is trusted because of a list.

    Args:
        site_key: the key of the site that must have signed it; `None`: the one inside the list.

    Raises:
        SignatureError: steps 1 and 4, or a key of another kind than sites have.
        ManifestError: step 2.
        UntrustedError: step 3.
    """
    envelope = Envelope.parse(data, what=_WHAT, limits=HAVE_LIMITS)  # 1
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(
            f"{_WHAT}: expected payload type {PAYLOAD_TYPE}, got {envelope.payload_type[:80]!r}"
        )
    have = Have.parse(envelope.payload)  # 2
    if envelope.key_id != have.site:
        raise ManifestError(f"{_WHAT}: signed by {envelope.key_id[:64]!r}, about {have.site}")
    if site_key is not None and site_key.key_id != have.site:  # 3
        raise UntrustedError(
            f"{_WHAT}: expected site key {site_key.key_id[:16]}, got {have.site[:16]}",
            hint="it is another site's list, or its key was replaced: ask the site",
        )
    key = site_key or _embedded(have)
    key.verify(  # 4
        envelope.signature, pre_authentication_encoding(envelope.payload_type, envelope.payload)
    )
    return have


def _embedded(have: Have) -> PublicKey:
    try:
        key = PublicKey.parse(have.site_key.encode(), what=f"{_WHAT}: key")
    except KeyFileError as error:
        raise SignatureError(error.message) from error
    if key.algorithm is not Algorithm.ED25519 or key.key_id != have.site:
        raise SignatureError(f"{_WHAT}: key: expected an Ed25519 key in its one form")
    return key
