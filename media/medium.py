"""What a medium carries, once all of its metadata is verified. Parts are not read here.

    with MediumFolder.open(path) as folder:
        medium = read_medium(folder, trust)
        bundle = medium.choose("purser")
        sizes = folder.listing()
        medium.check_files(sizes)
        medium.absent(sizes, bundle)          # parts that should lie here, and do not

`index.json` is used for one thing: to find signatures. From the verified seals every other file of
the medium follows, and is compared, `index.json` included. `read_unverified` does the same for
people who hold no key, and its result says so by its type.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from sealift.keys.claim import ClaimedBundle
from sealift.keys.judge import AnyBundle, AnySeal, ClaimJudge, Judge, TrustJudge
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import VerifiedBundle
from sealift.manifests.custody import CUSTODY
from sealift.manifests.digest import Digest
from sealift.manifests.layout import (
    SHA256SUMS,
    metadata_blobs,
    payload_blobs,
    render,
)
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import blob_path
from sealift.manifests.part import Part
from sealift.manifests.volume import VOLUME, Volume
from sealift.media.carried import Carried, CarriedBundle, read_bundles
from sealift.media.custody import CustodyRecord, read_custody, require_cover
from sealift.media.errors import MediumError, NoSuchBundleError
from sealift.media.source import MediumSource

__all__ = [
    "Carried",
    "CarriedBundle",
    "ClaimedMedium",
    "CustodyRecord",
    "Medium",
    "MediumContents",
    "read_medium",
    "read_unverified",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumContents(Generic[AnyBundle]):
    """All that a medium carries, in the order of name and version.

    Attributes:
        rendered: every file that is not a blob of content.
        volume: which of the parts lie here, where the medium is one of a set.
        custody: its records, the oldest first.
    """

    bundles: tuple[Carried[AnyBundle], ...]
    rendered: Mapping[str, bytes]
    volume: Volume | None
    custody: tuple[CustodyRecord, ...]

    def choose(self, name: str | None) -> Carried[AnyBundle]:
        """Return the bundle of a name, or of `name-version`, or the only one.

        Raises:
            NoSuchBundleError: none, or several.
        """
        found = [bundle for bundle in self.bundles if name in (None, bundle.name, bundle.reference)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(bundle.reference for bundle in self.bundles)
        wanted = "a name" if name is None else repr(name[:80])
        raise NoSuchBundleError(
            f"medium: expected {wanted} to mean one of: {known}", hint="give one of these names"
        )

    @property
    def metadata(self) -> dict[str, int]:
        """Path and size of every file that is neither a part, a repair part, nor in `custody`."""
        sizes = {path: len(data) for path, data in self.rendered.items()}
        for carried in self.bundles:
            sizes.update(metadata_blobs(carried.layout))
        return sizes

    @property
    def payload(self) -> dict[str, int]:
        """Path and size of every part and repair part that should lie here."""
        sizes: dict[str, int] = {}
        for carried in self.bundles:
            sizes.update(payload_blobs(carried.layout))
        if self.volume is None:
            return sizes
        here = {f"blobs/sha256/{hexa}" for hexa in self.volume.blobs}
        return {path: size for path, size in sizes.items() if path in here}

    def check_files(self, sizes: Mapping[str, int]) -> None:
        """Compare the files that are there with those that may and must be.

        Parts are not asked for: `absent` says which are missing.

        Args:
            sizes: of every file on the medium.

        Raises:
            MediumError: a file too many, or metadata that is missing or of another size.
        """
        metadata, payload = self.metadata, self.payload
        for path in sorted(sizes):
            if path not in metadata and path not in payload and not path.startswith(f"{CUSTODY}/"):
                raise MediumError(
                    _printable(path), "not part of any bundle here",
                    hint="nothing but the bundle's own files may be in its folder",
                )  # fmt: skip
        for path, size in sorted(metadata.items()):
            if path not in sizes:
                raise MediumError(path, "missing")
            if sizes[path] != size:
                raise MediumError(path, f"expected {size} bytes, got {sizes[path]}")

    def parts_here(self, carried: Carried[AnyBundle]) -> tuple[Part, ...]:
        """Return a bundle's parts that should lie here: all, or those of this volume."""
        here = self.payload
        return tuple(part for part in carried.layout.parts if blob_path(part.blob) in here)

    def repair_here(self, carried: Carried[AnyBundle]) -> tuple[Digest, ...]:
        """Return a bundle's repair parts that should lie here."""
        here = self.payload
        digests = (item.checked_digest for item in carried.layout.repair)
        return tuple(digest for digest in digests if blob_path(digest) in here)

    def absent(self, sizes: Mapping[str, int], carried: Carried[AnyBundle]) -> tuple[Part, ...]:
        """Return a bundle's parts that should lie here and are missing, or of another size.

        Args:
            sizes: of every file on the medium.
        """
        return tuple(
            part
            for part in self.parts_here(carried)
            if sizes.get(blob_path(part.blob)) != part.blob_bytes
        )


class Medium(MediumContents[VerifiedBundle]):
    """All that a medium carries; everything signed was checked under trusted keys."""

    __slots__ = ()


class ClaimedMedium(MediumContents[ClaimedBundle]):
    """All that a medium says it carries: digests and forms were checked, no signature was."""

    __slots__ = ()


def read_medium(source: MediumSource, trust: TrustRoot) -> Medium:
    """Read and verify all metadata of a medium.

    1. `index.json` names signatures; each is a blob with the digest that names it.
    2. Each is a seal by a trusted key (for whatever site: the one imported is checked for ours).
    3. Its manifest, config and attestations have the digests that it pins, and agree with it; the
       statement about its repair parts is by the seal's own key.
    4. `volume.json`, where there is one, shares out exactly the parts of these bundles.
    5. Every other file is byte for byte what these give.
    6. Custody records are by trusted keys, follow each other, and the last covers these files.

    Raises:
        MediumError: steps 1, 4, 5 and 6, or a file that is missing.
        UntrustedError: steps 2, 3 and 6.
        SignatureError, ManifestError: steps 2, 3, 4 and 6.
    """
    found = _read(source, TrustJudge(trust))
    return Medium(
        bundles=found.bundles, rendered=found.rendered, volume=found.volume, custody=found.custody
    )


def read_unverified(source: MediumSource) -> ClaimedMedium:
    """Read a medium as `read_medium` does, without judging any signature.

    Raises:
        MediumError, SignatureError, ManifestError: as `read_medium`, a signature's fit excepted.
    """
    found = _read(source, ClaimJudge())
    return ClaimedMedium(
        bundles=found.bundles, rendered=found.rendered, volume=found.volume, custody=found.custody
    )


def _read(source: MediumSource, judge: Judge[AnySeal, AnyBundle]) -> MediumContents[AnyBundle]:
    bundles = read_bundles(source, judge)  # 1-3
    sizes = source.listing()
    volume = _read_volume(source, bundles) if VOLUME in sizes else None  # 4
    rendered = render([carried.layout for carried in bundles], volume)
    for path, expected in rendered.items():  # 5
        got = source.read(path, size_max=max(len(expected), 1) * 2)
        if got != expected:
            raise MediumError(path, f"expected {Digest.of(expected)}, got {Digest.of(got)}")
    custody = read_custody(source, sizes, judge)  # 6
    require_cover(custody, rendered[SHA256SUMS])
    return MediumContents(bundles=bundles, rendered=rendered, volume=volume, custody=custody)


def _read_volume(source: MediumSource, bundles: tuple[Carried[AnyBundle], ...]) -> Volume:
    volume = Volume.parse(source.read(VOLUME, size_max=LIMITS.json_bytes))
    parts = {part.blob.hex for carried in bundles for part in carried.layout.parts}
    repair = {hexa for carried in bundles if carried.parity for hexa in carried.parity.blobs}
    shared = {hexa for blobs in volume.plan.volumes for hexa in blobs}
    left_out = set(volume.plan.left_out)
    if shared | left_out != parts | repair or not left_out <= parts:
        wrong = min((shared | left_out) ^ (parts | repair) or left_out - parts)
        raise MediumError(VOLUME, f"does not share out the parts of the bundles here: {wrong}")
    return volume


def _printable(path: str) -> str:
    return path if path.isprintable() and path.isascii() else ascii(path)
