"""Parts that lie in installed files: a delta leaves them out, and no import reads them again."""

from sealift.manifests.errors import SealiftError
from sealift.runtime.importer.plan import LocalPart
from sealift.runtime.store import paths
from sealift.runtime.store.installed import open_bundle
from sealift.runtime.store.store import Store

__all__ = ["installed_parts"]


def installed_parts(store: Store) -> dict[str, LocalPart]:
    """Return where each part of every installed version lies, by the hex of its archive's digest.

    Versions whose records cannot be verified now are left out. Whoever reads a part hashes it.
    """
    found: dict[str, LocalPart] = {}
    trusted = store.trusted()
    for record in store.state().all_models():
        try:
            bundle = open_bundle(store.home, record, trusted)
        except SealiftError:
            continue  # its key is distrusted, or its records are damaged: the audit says so
        digests = {file.path: file.digest for file in bundle.seal.statement.files}
        for part in bundle.manifest.parts:
            path = store.home / paths.blob(digests[part.file])
            found.setdefault(part.tar.hex, LocalPart(path=path, offset=part.offset))
    return found
