"""What a medium has of a bundle, by the sizes of its files; no byte of a part was read yet."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from sealift.manifests.oci import blob_path
from sealift.manifests.part import Part
from sealift.media.errors import MediumError
from sealift.media.medium import CarriedBundle, Medium
from sealift.media.source import MediumSource
from sealift.runtime.importer.pipeline import Lost

__all__ = ["Stock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What a medium has of a bundle.

    Attributes:
        blobs: hex of every part and repair part that is there, at its size.
        lost: parts that should be there.
    """

    blobs: frozenset[str]
    lost: Lost

    @classmethod
    def of(
        cls, source: MediumSource, medium: Medium, carried: CarriedBundle, sizes: Mapping[str, int]
    ) -> "Stock":
        """Look at a medium.

        Raises:
            MediumError: a part is missing, and nothing on it could make up for that.
        """
        here = {part.blob.hex: part for part in medium.parts_here(carried)}
        repair = {digest.hex for digest in medium.repair_here(carried)}
        if source.is_stream:
            return cls(blobs=frozenset(here) | repair, lost={})
        lost: Lost = {part: _missing(part, sizes) for part in medium.absent(sizes, carried)}
        if lost and carried.parity is None:
            raise next(iter(lost.values()))
        gone = {part.blob.hex for part in lost}
        return cls(blobs=(frozenset(here) - gone) | _of_size(repair, carried, sizes), lost=lost)


def _missing(part: Part, sizes: Mapping[str, int]) -> MediumError:
    path = blob_path(part.blob)
    if path not in sizes:
        return MediumError(path, f"missing (for {part.member})")
    return MediumError(
        path, f"expected {part.blob_bytes} bytes, got {sizes[path]} (for {part.member})"
    )


def _of_size(repair: Set[str], carried: CarriedBundle, sizes: Mapping[str, int]) -> frozenset[str]:
    wanted = carried.parity.shard_bytes if carried.parity is not None else 0
    return frozenset(hexa for hexa in repair if sizes.get(f"blobs/sha256/{hexa}") == wanted)
