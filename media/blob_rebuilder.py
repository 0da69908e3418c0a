"""Make blobs again that were lost: from what is left of a bundle and of its repair parts.

    found = BlobRebuilder(parts, parity, stock, scratch).rebuild({"9f86d0…"}, progress)

A rebuilt archive must have the signed digest; a blob that is made of it must have the digest that
names it. What does not is refused, and nothing is returned.
"""

import hashlib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import zstandard

from sealift.manifests.oci import blob_path
from sealift.manifests.parity import Parity
from sealift.manifests.part import Part
from sealift.manifests.progress import Progress
from sealift.media.errors import RebuiltError, RepairError
from sealift.media.folder import MediumFolder
from sealift.media.parity_codec import rebuild, write_parity
from sealift.media.part_images import (
    CheckedImage,
    ImageFileSink,
    open_images,
    require_scratch,
)
from sealift.media.repair import RepairPlan, plan_repair, repair_path
from sealift.media.shards import BlobReader
from sealift.media.zstd_frame import FramePacker

__all__ = ["BlobRebuilder"]


class BlobRebuilder:
    """Rebuilds blobs of one bundle, into files of a scratch folder.

    Args:
        parts: all of the bundle, in the manifest's order.
        parity: its repair parts; none if it has none.
        stock: the SHA-256 of every blob that was found right, and a medium that has it.
        scratch: an empty folder. All parts that are stored as zstd are unpacked there.
    """

    def __init__(
        self, parts: Sequence[Part], parity: Parity | None, stock: Mapping[str, MediumFolder],
        scratch: Path,
    ) -> None:  # fmt: skip
        self._parts = parts
        self._parity = parity
        self._repair = parity.blobs if parity else ()
        self._stock = stock
        self._scratch = scratch

    def rebuild(self, wanted: Set[str], progress: Progress) -> dict[str, Path]:
        """Make blobs that are in no stock.

        Args:
            wanted: their SHA-256; other names are passed over.

        Raises:
            RepairError: too much is lost, or other bytes came out.
            MediaError: too little scratch space, or a medium that failed or has changed since.
            OSError: the scratch disk failed.
        """
        data = {i for i, part in enumerate(self._parts) if part.blob.hex not in self._stock}
        repair = {i for i, hexa in enumerate(self._repair) if hexa not in self._stock}
        wanted_repair = frozenset(i for i in repair if self._repair[i] in wanted)
        wanted_data = [i for i in sorted(data) if self._parts[i].blob.hex in wanted]
        if not wanted_data and not wanted_repair:
            return {}
        plan = plan_repair(self._parts, self._parity, data, repair)
        self._require_space(plan, wanted_repair)
        with progress.step("unpack parts", self._unpacked_bytes(plan)) as advance:
            kept = {index: self._parts[index] for index in plan.data}
            images = open_images(kept, self._medium_of, self._scratch, advance)
        images |= self._rebuild_images(plan, images, progress)
        found = {}
        for index in wanted_data:
            part = self._parts[index]
            found[part.blob.hex] = self._pack(part) if part.compressed else self._image(index)
        return found | self._encode(images, wanted_repair, progress)

    def _rebuild_images(
        self, plan: RepairPlan, images: Mapping[int, CheckedImage], progress: Progress
    ) -> dict[int, CheckedImage]:
        if not plan.lost or self._parity is None:
            return {}
        size = self._parity.shard_bytes
        sinks = [ImageFileSink(self._image(index), self._parts[index]) for index in plan.lost]
        with progress.step("rebuild parts", size * len(self._parts)) as advance:
            rebuild(
                {index: images[index].again() for index in plan.data},
                {index: self._repair_reader(index, size) for index in plan.repair},
                shard_count=len(self._parts), parity=self._parity, lost=plan.lost,
                targets=sinks, advance=advance,
            )  # fmt: skip
        return {
            index: CheckedImage(
                BlobReader(sink.check(), self._parts[index].tar_bytes), self._parts[index]
            )
            for index, sink in zip(plan.lost, sinks, strict=True)
        }

    def _pack(self, part: Part) -> Path:
        """Compress a rebuilt archive as it was when the bundle was packed."""
        archive = self._image(self._parts.index(part)).read_bytes()
        path = self._scratch / part.blob.hex
        digest = hashlib.sha256()
        with path.open("xb") as file:
            for data in FramePacker().pack(memoryview(archive)):
                digest.update(data)
                file.write(data)
        if digest.hexdigest() != part.blob.hex:
            version = ".".join(map(str, zstandard.ZSTD_VERSION))
            raise RepairError(
                f"{part.member}: its archive was rebuilt, but zstd {version} compresses it to "
                f"other bytes than {blob_path(part.blob)}; the medium is as it was",
                hint="import does without that blob: it repairs from the archives; or write the "
                "medium again from another copy",
            )
        return path

    def _encode(
        self, images: Mapping[int, CheckedImage], wanted: frozenset[int], progress: Progress
    ) -> dict[str, Path]:
        """Compute repair parts again; all archives are there now."""
        if not wanted or self._parity is None:
            return {}
        size = self._parity.shard_bytes
        shards = [images[index].again() for index in range(len(self._parts))]
        with progress.step("repair parts", size * len(shards)) as advance:
            digests = write_parity(
                shards, shard_bytes=size, count=len(self._repair), folder=self._scratch,
                advance=advance, only=wanted,
            )  # fmt: skip
        for shard in shards:
            shard.check()
        for index in sorted(wanted):
            if digests[index].hex != self._repair[index]:
                raise RebuiltError(
                    f"{repair_path(self._parity, index)}: computed again, got {digests[index]}",
                    hint="these are not the repair parts of this bundle: write the medium again",
                )
        return {self._repair[index]: self._scratch / self._repair[index] for index in wanted}

    def _require_space(self, plan: RepairPlan, wanted_repair: frozenset[int]) -> None:
        rebuilt = sum(2 * self._parts[index].tar_bytes for index in plan.lost)
        repair = len(wanted_repair) * self._parity.shard_bytes if self._parity else 0
        require_scratch(self._scratch, self._unpacked_bytes(plan) + rebuilt + repair)

    def _unpacked_bytes(self, plan: RepairPlan) -> int:
        kept = (self._parts[index] for index in plan.data)
        return sum(part.tar_bytes for part in kept if part.compressed)

    def _medium_of(self, part: Part) -> MediumFolder:
        return self._stock[part.blob.hex]

    def _repair_reader(self, index: int, size: int) -> BlobReader:
        assert self._parity is not None  # noqa: S101  # only a bundle with repair parts plans any
        path = repair_path(self._parity, index)
        return BlobReader(self._stock[self._repair[index]].path / path, size, name=path)

    def _image(self, index: int) -> Path:
        return self._scratch / f"{index:05d}.rebuilt"
