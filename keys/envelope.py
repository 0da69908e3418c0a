"""A DSSE envelope in a Sigstore bundle v0.3, with one signature.

Specifications: secure-systems-lab/dsse `envelope.md` and `protocol.md` v1.0; sigstore
`Bundle` v0.3. Readers of Sigstore bundles refuse a second signature, so each signer writes a file
of its own.
"""

import base64
from dataclasses import dataclass

from sealift.keys.errors import SignatureError
from sealift.keys.signer import Signer
from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS, Limits
from sealift.manifests.oci import MEDIA_TYPE_SIGSTORE_BUNDLE
from sealift.manifests.record import Record

__all__ = ["Envelope", "pre_authentication_encoding", "sign"]


class _Signature(Record, frozen=True, kw_only=True):
    keyid: str
    sig: str


class _Dsse(Record, frozen=True, kw_only=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_Signature]


class _PublicKeyHint(Record, frozen=True, kw_only=True):
    hint: str


class _Material(Record, frozen=True, kw_only=True, rename="camel"):
    public_key: _PublicKeyHint
    tlog_entries: tuple[()] = ()


class _Bundle(Record, frozen=True, kw_only=True, rename="camel"):
    media_type: str
    verification_material: _Material
    dsse_envelope: _Dsse


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What an envelope file says, none of it believed yet: `keys.verify` does that."""

    payload_type: str
    payload: bytes
    key_id: str
    signature: bytes

    def encode(self) -> bytes:
        """Write the file in its one form."""
        return strict_json.canonical(
            _Bundle(
                media_type=MEDIA_TYPE_SIGSTORE_BUNDLE,
                verification_material=_Material(public_key=_PublicKeyHint(hint=self.key_id)),
                dsse_envelope=_Dsse(
                    payload=base64.b64encode(self.payload).decode(),
                    payload_type=self.payload_type,
                    signatures=(
                        _Signature(
                            keyid=self.key_id, sig=base64.b64encode(self.signature).decode()
                        ),
                    ),
                ),
            )
        )

    @classmethod
    def parse(cls, data: bytes, *, what: str = "signature", limits: Limits = LIMITS) -> "Envelope":
        """Read a file.

        Args:
            limits: `envelope_bytes`, `json_bytes` and `json_depth` apply.

        Raises:
            SignatureError: anything that `encode` would not have written: the first byte that is
                not ours ends it, before any cryptography.
        """
        if len(data) > limits.envelope_bytes:
            raise SignatureError(
                f"{what}: expected at most {limits.envelope_bytes} bytes, got {len(data)}"
            )
        try:
            raw = strict_json.decode(data, _Bundle, what=what, limits=limits)
            (signature,) = raw.dsse_envelope.signatures
            envelope = cls(
                payload_type=raw.dsse_envelope.payload_type,
                payload=base64.b64decode(raw.dsse_envelope.payload, validate=True),
                key_id=signature.keyid,
                signature=base64.b64decode(signature.sig, validate=True),
            )
            rewritten = envelope.encode()
        except ManifestError as error:
            raise SignatureError(error.message) from error
        except ValueError as error:  # bad base64, or characters that base64 cannot hold
            raise SignatureError(f"{what}: not base64: {error}") from error
        if rewritten != data:
            raise SignatureError(f"{what}: not in the one form that this format writes")
        return envelope


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that DSSE signs: `DSSEv1 LEN TYPE LEN PAYLOAD`."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, signer: Signer) -> bytes:
    """Sign a payload and return the envelope file."""
    return Envelope(
        payload_type=payload_type,
        payload=payload,
        key_id=signer.public.key_id,
        signature=signer.sign(pre_authentication_encoding(payload_type, payload)),
    ).encode()
