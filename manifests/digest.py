"""A digest with its algorithm, as OCI writes it: `sha256:<hex>`.

>>> str(Digest.of(b""))[:15]
'sha256:e3b0c442'
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from sealift.manifests.errors import ManifestError

__all__ = ["Digest"]

_HEX_CHARS = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm that Sealift accepts and a lower-case hexadecimal value of its length."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        chars = _HEX_CHARS.get(self.algorithm)
        if chars is None:
            raise ManifestError(
                f"digest algorithm: expected {' or '.join(_HEX_CHARS)}, got {self.algorithm!r}"
            )
        if len(self.hex) != chars or not _HEX.fullmatch(self.hex):
            raise ManifestError(
                f"{self.algorithm} digest: expected {chars} lower-case hex characters, "
                f"got {self.hex[:140]!r}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `algorithm:hex`.

        Raises:
            ManifestError: anything else, upper case included (one form only).
        """
        algorithm, _, value = text.partition(":")
        return cls(algorithm, value)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, algorithm: str = "sha256") -> Self:
        """Hash bytes that are in memory."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
