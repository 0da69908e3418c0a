"""Import a bundle from a medium.

    result = import_bundle(Path("/media/usb"), store, name="purser")

Guaranteed: signature first, then the plan, then part by part. A bundle is installed completely, in
the log and durable, or not at all: whatever was refused is in the log. Parts that were verified
stay in the staging folder, for the next run or the next volume; nothing serves from there.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TypedDict, Unpack

from sealift.keys.public_key import PublicKey
from sealift.keys.trust_root import TrustRoot
from sealift.manifests.errors import SealiftError
from sealift.manifests.progress import Progress, QuietProgress
from sealift.media.errors import MediumNotFoundError
from sealift.media.folder import MediumFolder
from sealift.media.medium import CarriedBundle, Medium, read_medium
from sealift.media.source import MediumSource
from sealift.media.stream_source import open_stream
from sealift.runtime.audit.entry import Event, Kind
from sealift.runtime.audit.errors import AuditError
from sealift.runtime.content.errors import ContentError
from sealift.runtime.importer.about import note_import, unfinished_import
from sealift.runtime.importer.assembly import Assembly, Shortfall
from sealift.runtime.importer.errors import ImporterError, SpaceError
from sealift.runtime.importer.inspection import StagedInspection
from sealift.runtime.importer.installation import install
from sealift.runtime.importer.installed_parts import installed_parts
from sealift.runtime.importer.result import ImportResult, Outcome, Waiting
from sealift.runtime.importer.shortfall import base_missing, shortfall_error
from sealift.runtime.importer.staging import Staging
from sealift.runtime.importer.stock import Stock
from sealift.runtime.store.admission import admit, is_installed
from sealift.runtime.store.state import StoreState
from sealift.runtime.store.store import Store

__all__ = ["ImportOptions", "import_bundle", "import_medium", "import_stream"]

_MESSAGE_CHARS_MAX = 1000
_STREAM = "standard input"


class ImportOptions(TypedDict, total=False):
    """What the operator may ask for.

    Attributes:
        name: which bundle, where the medium carries several (`name` or `name-version`).
        key: accept this key alone, for this import alone; the version's record says so.
        allow_downgrade: accept an older release than this host has seen.
        rebuild_missing: rebuild what lies on other volumes instead of waiting for them.
        progress: told how far it is.
    """

    name: str | None
    key: PublicKey | None
    allow_downgrade: bool
    rebuild_missing: bool
    progress: Progress


def import_bundle(
    path: Path, store: Store, **options: Unpack[ImportOptions]
) -> ImportResult | Waiting:
    """Verify a bundle that lies in a folder, and install it.

    Raises:
        MediumNotFoundError: there is no such folder.
        SealiftError: as `import_medium` says.
    """
    job = _Job(store=store, **options)
    with job.logging_refusals(str(path)), MediumFolder.open(path) as folder:
        return job.run(folder)


def import_stream(
    readable: BinaryIO, store: Store, **options: Unpack[ImportOptions]
) -> ImportResult | Waiting:
    """Verify a bundle that comes as a tar stream, and install it.

    Raises:
        SealiftError: as `import_medium` says; also a stream that brings no medium is in the log.
    """
    job = _Job(store=store, **options)
    with job.logging_refusals(_STREAM), open_stream(readable, label=_STREAM) as source:
        return job.run(source)


def import_medium(
    source: MediumSource, store: Store, **options: Unpack[ImportOptions]
) -> ImportResult | Waiting:
    """Verify a bundle and install it, or take what this medium has of it.

    Raises:
        SealiftError: whatever is wrong; it is in the log, and nothing was installed.
    """
    job = _Job(store=store, **options)
    with job.logging_refusals(source.label):
        return job.run(source)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One import, from the medium's path to the installed version."""

    store: Store
    name: str | None = None
    key: PublicKey | None = None
    allow_downgrade: bool = False
    rebuild_missing: bool = False
    progress: Progress = field(default_factory=QuietProgress)

    @contextmanager
    def logging_refusals(self, label: str) -> Iterator[None]:
        """Put whatever is raised into the log, unless there is no log, or no medium."""
        try:
            with _explaining():
                yield
        except (AuditError, MediumNotFoundError):
            raise
        except SealiftError as error:
            try:
                self.store.log.append(_refusal(error, label, self.name))
            except OSError as failure:
                # A full disk takes no entry either; that must not hide what was wrong.
                raise _explained(failure, f"{error.message}; and the log") from error
            raise

    def run(self, source: MediumSource) -> ImportResult | Waiting:
        """1. Signatures. 2. May it come in? 3. Is all there? 4. Space. 5. Parts. 6. Install.

        What the files hold is inspected before step 6 shows any of them.
        """
        started = time.monotonic()
        trust = self._trust()
        medium = read_medium(source, trust)  # 1
        carried = medium.choose(self.name)
        fields = carried.bundle.seal.statement.fields
        trust.require_audience(fields.audience)  # 2
        sizes = source.listing()
        if not source.is_stream:
            medium.check_files(sizes)
        state = self.store.state()
        if is_installed(state, fields):
            Staging.remove(self.store.home, carried.bundle.seal.manifest)
            return self._result(carried, Outcome.ALREADY_INSTALLED, started)
        is_downgrade = self._admit(state, carried)
        stock = Stock.of(source, medium, carried, sizes)  # 3
        with Staging.open(self.store.home, carried.bundle.seal.manifest) as staging:
            try:
                with StagedInspection(
                    self.store.home, staging.folder, carried.bundle
                ) as inspection:
                    shortfall = self._assemble(
                        source, medium, carried, stock, staging, inspection
                    )  # 4, 5
                    if not shortfall.is_nothing:
                        return self._wait(medium, carried, staging, shortfall)
                    install(
                        self.store, medium, carried, staging, inspection.record(), self.key,
                        is_downgrade=is_downgrade,
                        recheck=lambda state: self._recheck(state, carried),
                    )  # fmt: skip  # 6
            except ContentError:
                staging.discard()  # verified, and still nothing to go on with
                raise
        result = self._result(carried, Outcome.INSTALLED, started)
        return replace(
            result,
            is_downgrade=is_downgrade,
            read_bytes=shortfall.read_bytes,
            reused_bytes=shortfall.reused_bytes,
        )

    def _assemble(
        self,
        source: MediumSource,
        medium: Medium,
        carried: CarriedBundle,
        stock: Stock,
        staging: Staging,
        inspection: StagedInspection,
    ) -> Shortfall:
        installed = installed_parts(self.store)
        assembly = Assembly(self.store.home, staging, carried, installed, inspection.note)
        takes, absent = assembly.takes(stock.blobs)
        left_out = set(medium.volume.plan.left_out) if medium.volume else set()
        missing_base = [part for part in absent if part.blob.hex in left_out]
        lost = {part: error for part, error in stock.lost.items() if part in absent}
        total = sum(take.part.blob_bytes for take in takes)
        try:
            if missing_base:
                raise base_missing(carried.reference, missing_base)
            assembly.check_space()
            note_import(staging, carried, medium.volume)
            with self.progress.step(f"import {carried.reference}", total) as progress:

                def advance(count: int) -> None:
                    inspection.check()
                    progress(count)

                return assembly.run(
                    source, takes, absent, advance, lost=lost, on_medium=stock.blobs,
                    keep_repair=medium.volume is not None and medium.volume.count > 1,
                    rebuild_absent=self.rebuild_missing,
                )  # fmt: skip
        finally:
            staging.discard_if_empty()

    def _wait(
        self, medium: Medium, carried: CarriedBundle, staging: Staging, shortfall: Shortfall
    ) -> Waiting:
        kept = len(staging.journal.held)
        if shortfall.repair is not None and self.rebuild_missing:
            raise shortfall.repair
        if shortfall.lost and (shortfall.repair is not None or not shortfall.absent
                               or carried.parity is None):  # fmt: skip
            raise shortfall_error(shortfall, kept)
        number = medium.volume.number if medium.volume is not None else 1
        unfinished = unfinished_import(self.store.home, staging.folder)
        self.store.log.append(
            Event(
                kind=Kind.MODEL_IMPORT_WAITING,
                fields={
                    "name": carried.name,
                    "version": carried.bundle.manifest.version,
                    "digest": str(carried.bundle.seal.manifest),
                    "volume": number,
                    "held_parts": unfinished.held_parts,
                    "parts": unfinished.part_count,
                    "custody": str(medium.custody[-1].digest) if medium.custody else None,
                },
            )
        )
        return Waiting(
            unfinished=unfinished,
            volume=number,
            damaged=tuple(error.message for error in shortfall.lost.values()),
            read_bytes=shortfall.read_bytes,
            checkpoint=self.store.log.checkpoint.short,
        )

    def _trust(self) -> TrustRoot:
        if self.key is None:
            return self.store.trusted()
        return TrustRoot.of([self.key], site=self.store.site)

    def _admit(self, state: StoreState, carried: CarriedBundle) -> bool:
        return admit(
            state,
            carried.bundle.seal.statement.fields,
            self.store.clock(),
            allow_downgrade=self.allow_downgrade,
        )

    def _recheck(self, state: StoreState, carried: CarriedBundle) -> None:
        # Hours may have passed since the first look, and another import may have come in.
        if is_installed(state, carried.bundle.seal.statement.fields):
            raise ImporterError(f"{carried.reference}: was installed meanwhile by another import")
        self._admit(state, carried)

    def _result(self, carried: CarriedBundle, outcome: Outcome, started: float) -> ImportResult:
        record = self.store.state().find(carried.name, carried.bundle.manifest.version)
        if record is None:
            raise ImporterError(f"{carried.reference}: is not in the log after its import")
        return ImportResult(
            outcome=outcome,
            name=record.name,
            version=record.version,
            task=record.task,
            digest=record.digest,
            key_id=record.key_id,
            by_key_option=record.by_key_option,
            is_downgrade=False,
            path=self.store.home / "models" / record.name / record.version,
            size_bytes=record.size_bytes,
            read_bytes=0,
            reused_bytes=0,
            seconds=time.monotonic() - started,
            checkpoint=self.store.log.checkpoint.short,
        )


def _refusal(error: SealiftError, label: str, name: str | None) -> Event:
    return Event(
        kind=Kind.MODEL_IMPORT_REFUSED,
        fields={
            "medium": os.fsencode(label).decode("utf-8", "backslashreplace"),
            "name": name,
            "code": error.code,
            "message": error.message[:_MESSAGE_CHARS_MAX],
        },
    )


@contextmanager
def _explaining() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explained(error, "import") from error


def _explained(error: OSError, what: str) -> ImporterError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpaceError(f"{what}: the disk is full", hint="free space and import again")
    return ImporterError(f"{what}: {error}")
