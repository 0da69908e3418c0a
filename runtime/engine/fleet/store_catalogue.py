"""The store as the engine sees it: a listing, and sources whose seals were just verified."""

from datetime import datetime

from sealift.runtime.engine.fleet.registry import CatalogueEntry
from sealift.runtime.engine.source import ModelSource, SourceFile
from sealift.runtime.store.store import Store

__all__ = ["StoreCatalogue"]


class StoreCatalogue:
    """A `ModelCatalogue` over one home; its methods block."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def entries(self) -> tuple[CatalogueEntry, ...]:
        """List what the log says is installed."""
        state = self._store.state()
        return tuple(
            CatalogueEntry(
                name=record.name,
                version=record.version,
                digest=str(record.digest),
                task=record.task,
                created_s=int(datetime.fromisoformat(record.created).timestamp()),
                is_current=state.current.get(record.name) == record.version,
            )
            for record in state.all_models()
        )

    def resolve(self, name: str, version: str) -> ModelSource:
        """Verify the version's seal under the keys accepted now.

        Raises:
            SealiftError: as `Store.resolve`.
        """
        model = self._store.resolve(name, version)
        return ModelSource(
            name=model.name,
            version=model.version,
            digest=str(model.digest),
            task=model.task,
            directory=str(model.path),
            files=tuple(
                SourceFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256)
                for file in model.files
            ),
        )
