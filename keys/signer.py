"""Signers: something that holds a private key and gives signatures, never the key."""

from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sealift.keys.errors import KeyFileError
from sealift.keys.public_key import PublicKey

__all__ = ["MemorySigner", "Signer", "generate", "generate_site_key"]


class Signer(Protocol):
    """Anything that can sign: a key in memory, a token."""

    @property
    def public(self) -> PublicKey:
        """The key that checks what `sign` gives."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign exact bytes; the same message gives the same signature."""
        ...


class MemorySigner:
    """A private key in this process's memory."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey.of(key.public_key())

    def sign(self, message: bytes) -> bytes:
        """Sign; ECDSA nonces follow RFC 6979, so that equal bundles are equal bytes."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))

    def encode(self, passphrase: bytes | None) -> bytes:
        """Return the key as PKCS#8 PEM, encrypted where a passphrase is given."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()
            if passphrase is None
            else serialization.BestAvailableEncryption(passphrase),
        )

    @classmethod
    def parse(
        cls, pem: bytes, passphrase: bytes | None, *, what: str = "private key"
    ) -> "MemorySigner":
        """Read PKCS#8 PEM.

        Raises:
            KeyFileError: not a key, a wrong or missing passphrase, or an unaccepted kind.
        """
        try:
            key = serialization.load_pem_private_key(pem, passphrase)
        except TypeError as error:
            if passphrase is None:
                raise KeyFileError(
                    f"{what}: it is encrypted and no passphrase was given"
                ) from error
            # An unencrypted key needs no passphrase; one given for another key does no harm.
            return cls.parse(pem, None, what=what)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{what}: wrong passphrase, or not a private key in PEM") from error
        if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            return cls(key)
        raise KeyFileError(f"{what}: expected an ECDSA P-384 or Ed25519 key")


def generate() -> MemorySigner:
    """Make a new signing key for bundles: ECDSA P-384."""
    return MemorySigner(ec.generate_private_key(ec.SECP384R1()))


def generate_site_key() -> MemorySigner:
    """Make a new key for a site's log: Ed25519, as C2SP checkpoints ask."""
    return MemorySigner(ed25519.Ed25519PrivateKey.generate())
