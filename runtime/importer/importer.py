"""Import a bundle from a medium.

    result = import_bundle(Path("/media/usb"), store, name="purser")

Guaranteed: signature first, then the plan, then part by part. A bundle is installed completely, in
the log and durable, or not at all: whatever was refused is in the log. Parts that were verified
stay in the staging folder, for the next run or the next volume; nothing serves from there.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sealift.keys.public_key import PublicKey
from sealift.keys.trust_root import TrustRoot
from sealift.manifests.digest import Digest
from sealift.manifests.errors import SealiftError
from sealift.manifests.oci import blob_path
from sealift.manifests.part import Part
from sealift.manifests.progress import Progress, QuietProgress
from sealift.media.blob_check import check_blobs, part_refs
from sealift.media.errors import MediumError, MediumNotFoundError
from sealift.media.folder import MediumFolder
from sealift.media.medium import CarriedBundle, Medium, read_medium
from sealift.media.source import MediumSource
from sealift.runtime.audit.entry import Event, Kind
from sealift.runtime.audit.errors import AuditError
from sealift.runtime.importer.about import note_import
from sealift.runtime.importer.assembly import Assembly
from sealift.runtime.importer.errors import BaseMissingError, ImporterError
from sealift.runtime.importer.installed_parts import installed_parts
from sealift.runtime.importer.plan import LocalPart, Origin
from sealift.runtime.importer.result import ImportResult, Outcome, Waiting
from sealift.runtime.importer.shortfall import Shortfall, explain, waiting
from sealift.runtime.importer.staging import Staging
from sealift.runtime.store.admission import admit, is_installed
from sealift.runtime.store.installed import KEY_FILE, record_files
from sealift.runtime.store.staged import Staged
from sealift.runtime.store.state import Imported, StoreState
from sealift.runtime.store.store import Store

__all__ = ["ImportOptions", "import_bundle", "import_medium"]

_MESSAGE_CHARS_MAX = 1000
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the operator asked for.

    Attributes:
        name: which bundle, where the medium carries several (`name` or `name-version`).
        key: accept this key alone, for this import alone; the version's record says so.
        allow_downgrade: accept an older release than this host has seen.
        rebuild_missing: rebuild what lies on other volumes instead of waiting for them.
    """

    name: str | None = None
    key: PublicKey | None = None
    allow_downgrade: bool = False
    rebuild_missing: bool = False


def import_bundle(
    path: Path,
    store: Store,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
) -> ImportResult | Waiting:
    """Verify a bundle that lies in a folder, and install it.

    Raises:
        MediumNotFoundError: there is no such folder.
        SealiftError: as `import_medium` says.
    """
    with MediumFolder.open(path) as folder:
        return import_medium(folder, store, options, progress)


def import_medium(
    source: MediumSource,
    store: Store,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
) -> ImportResult | Waiting:
    """Verify a bundle and install it, or take what this medium has of it.

    Raises:
        SealiftError: whatever is wrong; it is in the log, and nothing was installed.
    """
    job = _Job(
        source=source,
        store=store,
        options=options or ImportOptions(),
        progress=progress or QuietProgress(),
    )
    try:
        with _explaining():
            return job.run()
    except AuditError:
        raise  # no log to write to
    except SealiftError as error:
        store.log.append(_refusal(error, source.label, job.options.name))
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One import, from the medium's path to the installed version."""

    store: Store
    name: str | None
    key: PublicKey | None
    allow_downgrade: bool
    progress: Progress

    def run(self, path: Path) -> ImportResult:
        """1. Signatures. 2. May it come in? 3. Is all there? 4. Space. 5. Parts. 6. Install."""
        started = time.monotonic()
        trust = self._trust()
        with MediumFolder.open(path) as folder:
            medium = read_medium(folder, trust)  # 1
            carried = medium.choose(self.name)
            fields = carried.bundle.seal.statement.fields
            trust.require_audience(fields.audience)  # 2
            state = self.store.state()
            if is_installed(state, fields):
                medium.check_files(folder.listing())
                Staging.clear(self.store.home)
                return self._result(carried, Outcome.ALREADY_INSTALLED, started)
            is_downgrade = self._admit(state, carried)
            medium.check_files(folder.listing())  # 3
            plan = self._read(folder, carried, is_downgrade)
        result = self._result(carried, Outcome.INSTALLED, started)
        return replace(
            result,
            is_downgrade=is_downgrade,
            read_bytes=plan.read_bytes,
            reused_bytes=sum(size for _, size in plan.present),
        )

    def _read(self, folder: MediumFolder, carried: CarriedBundle, is_downgrade: bool) -> ImportPlan:
        home = self.store.home
        with Staging.open(home, carried.bundle.seal.manifest) as staging:
            plan = plan_import(carried.bundle, staging.held())
            _check_space(home, plan)  # 4
            with self.progress.step(f"import {carried.reference}", plan.read_bytes) as advance:
                check_present(home, staging.folder, plan)
                check_blobs(folder, part_refs(plan.spare), advance)
                assemble(folder, plan.files, staging.folder, advance)  # 5
            staged = Staged(
                bundle=carried.bundle,
                folder=staging.folder,
                records=self._records(carried),
                recheck=lambda state: self._recheck(state, carried),
            )
            self.store.install(staged, self._imported(carried, is_downgrade))  # 6
        return plan

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

    def _records(self, carried: CarriedBundle) -> dict[str, bytes]:
        records = {
            name: carried.documents[digest]
            for name, (digest, _) in record_files(carried.bundle).items()
        }
        if self.key is not None:
            records[KEY_FILE] = self.key.pem
        return records

    def _imported(self, carried: CarriedBundle, is_downgrade: bool) -> Imported:
        seal = carried.bundle.seal
        fields = seal.statement.fields
        return Imported(
            name=fields.name,
            version=fields.version,
            task=fields.task,
            digest=str(seal.manifest),
            seal=str(Digest.of(seal.envelope)),
            key_id=seal.key.key_id,
            by_key_option=self.key is not None,
            downgrade=is_downgrade,
            sequence=fields.sequence,
            created=fields.created,
            size_bytes=sum(carried.bundle.manifest.files.values()),
        )

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


def _check_space(home: Path, plan: ImportPlan) -> None:
    disk = os.statvfs(home)
    free = disk.f_bavail * disk.f_frsize
    if free < plan.space_bytes:
        raise SpaceError(
            f"{home}: expected {plan.space_bytes} free bytes, got {free}",
            hint="free space, or set SEALIFT_HOME to a larger disk",
        )


def _refusal(error: SealiftError, path: Path, name: str | None) -> Event:
    return Event(
        kind=Kind.MODEL_IMPORT_REFUSED,
        fields={
            "medium": os.fsencode(path).decode("utf-8", "backslashreplace"),
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
        raise ImporterError(f"import: {error}") from error
