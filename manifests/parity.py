"""What repair parts are: a Reed-Solomon code over the archives of a bundle's parts, by digest.

Shards are the tar images of the manifest's parts, in its order (each has a member name of its own,
so no two are equal): what the diff IDs cover, not the compressed blobs. A host
that has unpacked a part can write its image again, byte for byte, and so repair from volumes that
it took in on other days. Code: Reed-Solomon over GF(2^16) in the FFT form of Lin, Chung and Han
(2014), as the Leopard library and the `reed-solomon-simd` crate write it.
"""

from typing import Annotated, Literal

import msgspec

from sealift.manifests import strict_json
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.record import Record

__all__ = ["PREDICATE_PARITY", "Parity"]

PREDICATE_PARITY = "urn:sealift:parity:v1"


class Parity(Record, frozen=True, kw_only=True, rename="camel"):
    """The repair parts of one bundle.

    Attributes:
        code: how they were computed.
        shard_bytes: length of every repair blob; a shorter shard counts as followed by zeros.
        blobs: SHA-256 of every repair blob, in the code's order.
    """

    code: Literal["leopard-rs16"]
    shard_bytes: Annotated[int, msgspec.Meta(ge=1, le=LIMITS.blob_bytes)]
    blobs: tuple[str, ...]

    def predicate(self) -> strict_json.JsonValue:
        """Write the record as the predicate of an attestation about the manifest."""
        value: strict_json.JsonValue = strict_json.loads(strict_json.canonical(self))
        return value

    @classmethod
    def parse(cls, predicate: strict_json.JsonValue, manifest: Manifest) -> "Parity":
        """Read a predicate whose signature was checked.

        Raises:
            ManifestError: not what `predicate` writes, or it does not fit the manifest's parts.
        """
        parity = strict_json.decode(strict_json.canonical(predicate), cls, what="parity")
        for hexa in parity.blobs:
            Digest("sha256", hexa)
        if not 0 < len(parity.blobs) <= LIMITS.parts:
            raise ManifestError(f"parity: expected 1 to {LIMITS.parts} blobs")
        if len(set(parity.blobs)) < len(parity.blobs):
            raise ManifestError("parity: names a blob twice")
        if parity.shard_bytes != max(part.tar_bytes for part in manifest.parts):
            raise ManifestError("parity: its shards are not as long as the longest part")
        return parity
