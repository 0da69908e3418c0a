"""`volume.json`: which of a set's parts lie on this medium, and which lie on the others.

A medium that carries all of its parts has none. The file is not signed: a finished bundle is split
and split again by people who hold no key. So it decides nothing but what to ask for: what a bundle
consists of is in its seal. Whoever changes it could as well lose a disc.
"""

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.record import Record

__all__ = ["VOLUME", "Volume", "VolumePlan"]

VOLUME = "volume.json"


class VolumePlan(Record, frozen=True, kw_only=True, rename="camel"):
    """The same on every volume of a set.

    Attributes:
        volumes: for each volume, the SHA-256 of every part and repair blob on it.
        left_out: SHA-256 of the part blobs on none: the receiving host was said to hold them.
        base: digest of the list that said so; empty if nothing is left out.
    """

    volumes: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...] = ()
    base: str = ""

    @property
    def digest(self) -> Digest:
        """The set's identity."""
        return Digest.of(strict_json.canonical(self))


class Volume(Record, frozen=True, kw_only=True):
    """One medium of a set.

    Attributes:
        number: from 1.
    """

    number: int
    plan: VolumePlan

    @property
    def count(self) -> int:
        """How many volumes the set has."""
        return len(self.plan.volumes)

    @property
    def blobs(self) -> tuple[str, ...]:
        """SHA-256 of every part and repair blob on this volume."""
        return self.plan.volumes[self.number - 1]

    def encode(self) -> bytes:
        """Write the file in its one form."""
        return strict_json.canonical(self)

    @classmethod
    def parse(cls, data: bytes) -> "Volume":
        """Read the file.

        Raises:
            ManifestError: anything that `encode` would not have written, or a blob named twice.
        """
        volume = strict_json.decode(data, cls, what=VOLUME)
        plan = volume.plan
        if not 1 <= volume.number <= volume.count <= LIMITS.volumes:
            raise ManifestError(f"{VOLUME}: volume {volume.number} of {volume.count}")
        named = [hexa for blobs in (*plan.volumes, plan.left_out) for hexa in blobs]
        for hexa in named:
            Digest("sha256", hexa)
        if len(set(named)) < len(named):
            raise ManifestError(f"{VOLUME}: names a blob twice")
        if plan.base:
            Digest.parse(plan.base)
        if volume.count == 1 and not plan.left_out:
            raise ManifestError(f"{VOLUME}: a medium that carries all of its parts has none")
        if bool(plan.base) != bool(plan.left_out) or volume.encode() != data:
            raise ManifestError(f"{VOLUME}: not in the one form that this format writes")
        return volume
