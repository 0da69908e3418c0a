"""Put the files of one bundle together, over any number of runs and media.

    shortfall = Assembly(...).run(source, on_medium=…)
    if shortfall.is_nothing: ...                     # every file is finished in the staging folder

Parts come from the medium, from earlier runs, and from what is installed. What cannot be had is
rebuilt where repair parts suffice. Every part is checked by its signed digest, rebuilt ones too,
and every file by its own.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from sealift.manifests.part import Part
from sealift.manifests.progress import Advance
from sealift.media.blob_check import check_blobs, part_refs
from sealift.media.errors import MediumError, RepairError
from sealift.media.medium import CarriedBundle
from sealift.media.source import MediumSource
from sealift.runtime.importer.errors import SpaceError
from sealift.runtime.importer.pipeline import Lost, take_parts
from sealift.runtime.importer.plan import LocalPart, Origin, Take, plan_import, plan_takes
from sealift.runtime.importer.repair_shelf import RepairShelf
from sealift.runtime.importer.staged_file import StagedFile
from sealift.runtime.importer.staging import Staging, check_present, present_path

__all__ = ["Assembly", "Shortfall"]


_STALE_ROUNDS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What a run could not get.

    Attributes:
        lost: parts that this medium should hold, and what is wrong with each.
        absent: parts that are on other media.
        repair: why repair parts did not help, if there are any.
        read_bytes: read from the medium.
        reused_bytes: of content that was here already.
    """

    lost: Lost
    absent: tuple[Part, ...]
    repair: RepairError | None
    read_bytes: int
    reused_bytes: int

    @property
    def is_nothing(self) -> bool:
        """Whether every file is complete."""
        return not self.lost and not self.absent


class Assembly:
    """One bundle's files in its staging folder."""

    def __init__(
        self,
        home: Path,
        staging: Staging,
        carried: CarriedBundle,
        installed: Mapping[str, LocalPart],
        finished: Callable[[str], None],
    ) -> None:
        self._home = home
        self._staging = staging
        self._carried = carried
        self._installed = installed
        self._finished = finished
        self.plan = plan_import(carried.bundle, staging.held())
        self._targets = {file.sha256: StagedFile(staging.folder, file) for file in self.plan.files}
        self._shelf = RepairShelf(staging.repair_folder, carried.parity)

    def takes(self, on_medium: Set[str]) -> tuple[tuple[Take, ...], tuple[Part, ...]]:
        """Say where each part will come from, and which come from nowhere in this run."""
        return plan_takes(
            self.plan,
            staged=self._staging.journal.held,
            installed=self._installed,
            on_medium=on_medium,
        )

    def check_space(self) -> None:
        """Compare the disk's free space with what is still to be written.

        Raises:
            SpaceError: it is too small.
        """
        disk = os.statvfs(self._home)
        free = disk.f_bavail * disk.f_frsize
        needed = self.plan.space_bytes - sum(
            min(target.allocated_bytes, target.plan.size_bytes) for target in self._targets.values()
        )
        if free < needed:
            raise SpaceError(
                f"{self._home}: expected {needed} free bytes, got {free}",
                hint="free space, or set SEALIFT_HOME to a larger disk",
            )

    def run(
        self,
        source: MediumSource,
        takes: Sequence[Take],
        absent: Sequence[Part],
        advance: Advance,
        *,
        lost: Lost,
        on_medium: Set[str],
        keep_repair: bool,
        rebuild_absent: bool,
    ) -> Shortfall:
        """Get what can be had, and finish what is complete.

        Args:
            takes, absent: as `takes` gave them.
            lost: which of the absent parts this medium should hold.
            keep_repair: other media will come: keep this one's repair parts for their damage.
            rebuild_absent: do not wait for other media: rebuild what they hold.

        Raises:
            StoreIntegrityError: a file that is here already has decayed.
            SpaceError, ImporterError: this host's disk failed.
            MediumError: a file's parts are right and the file is not.
        """
        check_present(self._home, self._staging.folder, self.plan)
        if not source.is_stream and self._carried.parity is None:
            self._check_spare(source, on_medium)
        medium = _Medium(source, on_medium, keep_repair, rebuild_absent)
        pending, short = list(takes), _Short(dict(lost), [p for p in absent if p not in lost], None)
        stale, fewest = 0, len(takes) + 1
        try:
            while pending and stale < _STALE_ROUNDS_MAX:
                short.lost = dict(lost) | self._take(source, pending, advance)
                self._mend(medium, short, advance)
                # A carousel that never brings a part must not turn for ever.
                stale = 0 if len(short.lost) < fewest else stale + 1
                fewest = min(fewest, len(short.lost))
                pending = _again(pending, short.lost, on_medium, source)
            if not takes:
                self._mend(medium, short, advance)
            if not short.lost and not short.missing:
                self._finish_rest()
        finally:
            for target in self._targets.values():
                target.close()
        return Shortfall(
            lost=short.lost,
            absent=tuple(short.missing),
            repair=short.refusal if self._carried.parity else None,
            read_bytes=sum(t.part.blob_bytes for t in takes if t.origin is Origin.MEDIUM),
            reused_bytes=sum(size for _, size in self.plan.present)
            + sum(t.part.length for t in takes if t.origin is not Origin.MEDIUM),
        )

    def _take(self, source: MediumSource, takes: Sequence[Take], advance: Advance) -> Lost:
        journal = self._staging.journal
        return take_parts(source, takes, self._targets, journal, advance, finished=self._finished)

    def _mend(self, medium: "_Medium", short: "_Short", advance: Advance) -> None:
        """Get what is lost from equal files of the medium, and from repair parts."""
        short.lost = self._take_twins(medium, short.lost, advance)
        wanted = None if medium.keep_repair else len(short.lost) + len(short.missing)
        self._shelf.fill(medium.source, medium.blobs, wanted)
        if medium.rebuild_absent or not short.missing:
            short.refusal = self._rebuild([*short.lost, *short.missing])
            if short.refusal is None:
                short.lost, short.missing = {}, []

    def _take_twins(self, medium: "_Medium", lost: Lost, advance: Advance) -> Lost:
        """Try the equal parts of equal files for what is lost; return what still is."""
        if medium.source.is_stream or self._carried.parity is None:
            return lost  # they went by; or the medium is not meant to mend itself
        files = {part.tar.hex: file for file in self.plan.files for part in file.parts}
        left = dict(lost)
        for part in lost:
            twins = self.plan.twins.get(part.tar.hex, ())
            file = next((files[p.tar.hex] for p in (part, *twins) if p.tar.hex in files), None)
            for twin in twins:
                if file is None or twin.blob.hex not in medium.blobs or part not in left:
                    continue
                take = Take(part=twin, file=file, origin=Origin.MEDIUM)
                if not self._take(medium.source, [take], advance):
                    del left[part]
        return left

    def _check_spare(self, source: MediumSource, on_medium: Set[str]) -> None:
        """Check parts that are not needed: a medium that was tampered with is not to be believed.

        Raises:
            MediumError, MediumReadError: one is wrong.
        """
        if self._staging.journal.held:
            return  # the run that began looked at them
        spare = [part for part in self.plan.spare if part.blob.hex in on_medium]
        check_blobs(source, part_refs(spare), lambda count: None)

    def _rebuild(self, parts: Sequence[Part]) -> RepairError | None:
        """Rebuild parts into their files; the value says why it cannot be done."""
        if not parts:
            return None
        digests = {file.path: file.digest for file in self._carried.bundle.seal.statement.files}
        unfinished = {
            path: self._targets[sha256]
            for path, sha256 in digests.items()
            if sha256 in self._targets and not self._targets[sha256].is_finished
        }
        finished = {
            path: present_path(self._home, self._staging.folder, sha256)
            for path, sha256 in digests.items()
            if path not in unfinished
        }
        try:
            self._shelf.rebuild(
                self._carried.bundle.manifest.parts,
                {path: file.path for path, file in unfinished.items()} | finished,
                lost=self._not_held(unfinished),
                targets=unfinished,
            )
        except RepairError as error:
            return error
        for part in parts:
            self._staging.journal.add(part.tar.hex)
        return None

    def _not_held(self, unfinished: Mapping[str, StagedFile]) -> frozenset[int]:
        """Index of every part whose content is nowhere on this host."""
        held = self._staging.journal.held
        twins = self.plan.twins
        return frozenset(
            index
            for index, part in enumerate(self._carried.bundle.manifest.parts)
            if part.file in unfinished
            and part.tar.hex not in held
            and not any(twin.tar.hex in held for twin in twins.get(part.tar.hex, ()))
        )

    def _finish_rest(self) -> None:
        """Finish the files whose parts did not come in one run, in order: read them again."""
        for target in self._targets.values():
            if target.is_finished:
                continue
            target.open()
            got = _hash_start(target.path, target.plan.size_bytes)
            if got != target.plan.sha256:
                raise MediumError(
                    target.plan.path, f"expected sha256:{target.plan.sha256}, got sha256:{got}"
                )
            target.finish()
            self._finished(target.plan.sha256)


@dataclass(frozen=True, slots=True)
class _Medium:
    source: MediumSource
    blobs: Set[str]
    keep_repair: bool
    rebuild_absent: bool


@dataclass(slots=True)
class _Short:
    """What is still wanting, from one attempt to the next."""

    lost: Lost
    missing: list[Part]
    refusal: RepairError | None


def _again(
    takes: Sequence[Take], lost: Lost, on_medium: Set[str], source: MediumSource
) -> list[Take]:
    """Return what to try once more: from the medium what decayed here, or a stream's next round."""
    on_disk = [
        take
        for take in takes
        if take.part in lost
        and take.origin is not Origin.MEDIUM
        and take.part.blob.hex in on_medium
    ]
    if on_disk or not lost or not source.next_round():
        return [Take(part=t.part, file=t.file, origin=Origin.MEDIUM) for t in on_disk]
    return [
        Take(part=take.part, file=take.file, origin=Origin.MEDIUM)
        for take in takes
        if take.part in lost
    ]


def _hash_start(path: Path, size_bytes: int) -> str:
    """Hash the first bytes of a file: past its end there may be padding that is still to be cut."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
    left = size_bytes
    with path.open("rb", buffering=0) as file:
        while left and (count := file.readinto(buffer[:left])):
            digest.update(buffer[:count])
            left -= count
    return digest.hexdigest()
