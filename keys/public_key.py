"""A public key with one fixed algorithm.

The key id is the SHA-256 of the key's PEM, as OpenSSF model-signing writes it into
`publicKey.hint`. The algorithm follows from the key alone: an envelope cannot choose it
(algorithm confusion).
"""

import hashlib
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sealift.keys.errors import KeyFileError, SignatureError

__all__ = ["Algorithm", "PublicKey"]

_KeyType = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Algorithm(Enum):
    """How a key signs."""

    ECDSA_P384 = "ecdsa-p384-sha384"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that can check signatures."""

    algorithm: Algorithm
    pem: bytes
    _key: _KeyType

    @property
    def key_id(self) -> str:
        """64 hex characters: SHA-256 of the PEM."""
        return hashlib.sha256(self.pem).hexdigest()

    @property
    def raw(self) -> bytes:
        """The raw public bytes (Ed25519: 32 bytes; ECDSA: the uncompressed point)."""
        if isinstance(self._key, ed25519.Ed25519PublicKey):
            return self._key.public_bytes_raw()
        return self._key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @classmethod
    def parse(cls, pem: bytes, *, what: str = "public key") -> "PublicKey":
        """Read a PEM SubjectPublicKeyInfo.

        Raises:
            KeyFileError: not a public key, or of a kind that Sealift does not accept.
        """
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(
                f"{what}: expected a public key in PEM",
                hint="give the .pub file that `sealift keys generate` wrote",
            ) from error
        return cls.of(key, what=what)

    @classmethod
    def of(cls, key: object, *, what: str = "public key") -> "PublicKey":
        """Wrap a key of the `cryptography` package.

        Raises:
            KeyFileError: of a kind that Sealift does not accept.
        """
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
            return cls(Algorithm.ECDSA_P384, _pem(key), key)
        if isinstance(key, ed25519.Ed25519PublicKey):
            return cls(Algorithm.ED25519, _pem(key), key)
        raise KeyFileError(f"{what}: expected an ECDSA P-384 or Ed25519 key")

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature over exact bytes.

        Raises:
            SignatureError: it does not fit.
        """
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature as error:
            raise SignatureError(
                f"signature by key {self.key_id[:16]} does not fit what it signs"
            ) from error


def _pem(key: _KeyType) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
