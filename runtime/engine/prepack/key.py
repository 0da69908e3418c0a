"""Make the keys of the cache of prepacked weights out of the host's secret.

>>> spec_for(PrepackSettings(folder="/var/cache/x", key=bytes(32)), "sha256:00").folder
'/var/cache/x'
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealift.runtime.engine.prepack_spec import PrepackCacheSpec, PrepackSettings

__all__ = ["derive_key", "spec_for"]

_KEY_BYTES: Final = 32


def spec_for(settings: PrepackSettings, model_digest: str) -> PrepackCacheSpec:
    """Return what a worker needs; with its key it can forge entries of its own model alone."""
    purpose = f"sealift prepack entries of {model_digest}"
    return PrepackCacheSpec(
        folder=settings.folder, key=derive_key(settings.key, purpose=purpose.encode())
    )


def derive_key(secret: bytes, *, purpose: bytes, salt: bytes | None = None) -> bytes:
    """Return a key of 32 bytes that says nothing about the secret or about other purposes' keys."""
    return HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=salt, info=purpose).derive(
        secret
    )
