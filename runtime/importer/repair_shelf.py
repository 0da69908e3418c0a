"""Repair parts on this host, and rebuilding with them.

The disc that is damaged and the disc with spare repair parts may be here on different days: what a
volume of a set carries of them is kept until the bundle is complete.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence, Set
from contextlib import ExitStack
from pathlib import Path

from sealift.manifests.digest import Digest
from sealift.manifests.parity import Parity
from sealift.manifests.part import Part
from sealift.manifests.progress import Advance
from sealift.media.blob_check import BlobRef, expect_blob
from sealift.media.errors import MediumError, MediumReadError
from sealift.media.parity_codec import rebuild
from sealift.media.repair import plan_repair
from sealift.media.shards import BlobReader, PartImageReader, PartImageSink
from sealift.media.source import MediumSource
from sealift.runtime.importer.staged_file import StagedFile, explained

__all__ = ["RepairShelf"]

_STEP_BYTES = 4 << 20


class RepairShelf:
    """A folder of verified repair blobs of one bundle."""

    def __init__(self, folder: Path, parity: Parity | None) -> None:
        self._folder = folder
        self._parity = parity

    def fill(self, source: MediumSource, on_medium: Set[str], count: int | None) -> None:
        """Copy repair blobs from a medium, verified; damaged ones are passed over.

        Args:
            count: how many are needed in all; none: as many as there are.

        Raises:
            SpaceError, ImporterError: this host's disk failed.
        """
        if self._parity is None or count == 0:
            return
        held = self._held()
        wanted = [hexa for hexa in self._parity.blobs if hexa in on_medium and hexa not in held]
        source.plan_reads([Digest("sha256", hexa) for hexa in wanted])
        for hexa in wanted:
            if count is not None and len(held) >= count:
                return
            try:
                self._copy(source, hexa)
            except (MediumError, MediumReadError):
                continue  # one repair part less; whether it matters is decided with the rest
            held.add(hexa)

    def rebuild(
        self,
        parts: Sequence[Part],
        paths: Mapping[str, Path],
        *,
        lost: Set[int],
        targets: Mapping[str, StagedFile],
        advance: Advance = lambda count: None,
    ) -> None:
        """Compute lost parts and write them to their files.

        Args:
            parts: all of the bundle: the code's shards.
            paths: where each file of the bundle is, finished or not.
            lost: index of every part whose content is not here.
            targets: the files that lost parts belong to, by path.

        Raises:
            RepairError: too few repair parts, or other bytes came out.
            SpaceError, ImporterError: this host's disk failed.
        """
        held = self._held()
        blobs = self._parity.blobs if self._parity else ()
        missing = {index for index, hexa in enumerate(blobs) if hexa not in held}
        plan = plan_repair(parts, self._parity, lost, missing)
        if self._parity is None:
            return
        with ExitStack() as stack:
            sinks = []
            for index in plan.lost:
                descriptor = _writable(targets[parts[index].file])
                stack.callback(os.close, descriptor)
                sinks.append(PartImageSink(descriptor, parts[index]))
            try:
                rebuild(
                    {i: PartImageReader(paths[parts[i].file], parts[i]) for i in plan.data},
                    {i: self._reader(blobs[i]) for i in plan.repair},
                    shard_count=len(parts),
                    parity=self._parity,
                    lost=plan.lost,
                    targets=sinks,
                    advance=advance,
                )
            except OSError as error:
                raise explained(error, "repair") from error
            for sink in sinks:
                sink.check()

    def _held(self) -> set[str]:
        return {path.name for path in self._folder.iterdir() if path.suffix == ""}

    def _reader(self, hexa: str) -> BlobReader:
        assert self._parity is not None  # noqa: S101  # who asks for a blob has a parity record
        return BlobReader(self._folder / hexa, self._parity.shard_bytes, name=f"repair part {hexa}")

    def _copy(self, source: MediumSource, hexa: str) -> None:
        assert self._parity is not None  # noqa: S101  # as above
        blob = BlobRef(
            digest=Digest("sha256", hexa), size_bytes=self._parity.shard_bytes, label="repair part"
        )
        partial = self._folder / f"{hexa}.partial"
        digest, done, buffer = hashlib.sha256(), 0, memoryview(bytearray(_STEP_BYTES))
        try:
            file = partial.open("wb", buffering=0)
        except OSError as error:
            raise explained(error, partial.name) from error
        with file, source.open_part(blob.digest, blob.size_bytes) as stream:
            while done < blob.size_bytes and (count := stream.readinto(buffer)):
                count = min(count, blob.size_bytes - done)
                digest.update(buffer[:count])
                _write(file.fileno(), buffer[:count])
                done += count
        expect_blob(blob, done, digest.hexdigest())
        partial.rename(self._folder / hexa)


def _write(descriptor: int, data: memoryview) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise explained(error, "repair part") from error


def _writable(file: StagedFile) -> int:
    file.open()
    try:
        return os.open(file.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise explained(error, file.plan.path) from error
