"""Hand a verified and inspected bundle to the store, with everything that was signed about it."""

from collections.abc import Callable

from sealift.keys.public_key import PublicKey
from sealift.manifests.digest import Digest
from sealift.media.medium import CarriedBundle, Medium
from sealift.runtime.importer.staging import Staging
from sealift.runtime.store import paths
from sealift.runtime.store.installed import KEY_FILE, record_files
from sealift.runtime.store.staged import Staged
from sealift.runtime.store.state import Imported, StoreState
from sealift.runtime.store.store import Store

__all__ = ["install"]


def install(
    store: Store,
    medium: Medium,
    carried: CarriedBundle,
    staging: Staging,
    inspection: bytes,
    key: PublicKey | None,
    *,
    is_downgrade: bool,
    recheck: Callable[[StoreState], None],
) -> None:
    """Install a bundle whose files are all complete in the staging folder.

    Args:
        medium: the one that brought the last of them.
        inspection: the signed report about their content.
        key: typed for this import alone; the version's record keeps it.
        recheck: raises if the state, which may have changed meanwhile, no longer admits it.

    Raises:
        SealiftError: what `recheck` says, or the store cannot be written.
    """
    staged = Staged(
        bundle=carried.bundle,
        folder=staging.folder,
        records={**_records(carried, key), paths.INSPECTION_FILE: inspection},
        recheck=recheck,
    )
    seal = carried.bundle.seal
    fields = seal.statement.fields
    imported = Imported(
        name=fields.name,
        version=fields.version,
        task=fields.task,
        digest=str(seal.manifest),
        seal=str(Digest.of(seal.envelope)),
        inspection=str(Digest.of(inspection)),
        custody=str(medium.custody[-1].digest) if medium.custody else None,
        key_id=seal.key.key_id,
        by_key_option=key is not None,
        downgrade=is_downgrade,
        sequence=fields.sequence,
        created=fields.created,
        size_bytes=sum(carried.bundle.manifest.files.values()),
    )
    store.install(staged, imported)
    staging.discard()


def _records(carried: CarriedBundle, key: PublicKey | None) -> dict[str, bytes]:
    records = {
        name: carried.documents[digest]
        for name, (digest, _) in record_files(carried.bundle).items()
    }
    if key is not None:
        records[KEY_FILE] = key.pem
    return records
