"""What the engine is given to load: a folder, and what a trusted signature says is in it."""

from pathlib import PurePosixPath

import msgspec

from sealift.manifests.recipe import Task
from sealift.manifests.serving import SERVING_FILE

__all__ = ["ModelSource", "SourceFile"]


class SourceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file as the signed statement lists it; `path` is relative to the model's folder."""

    path: str
    size_bytes: int
    sha256: str


class ModelSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An installed model whose signature was just checked; its files were not, yet.

    Args:
        digest: of the bundle's manifest, as every answer carries it.
        directory: where the files lie.
        files: every file of the signed statement.
    """

    name: str
    version: str
    digest: str
    task: Task
    directory: str
    files: tuple[SourceFile, ...]

    @property
    def variant_folders(self) -> tuple[str, ...]:
        """The folders that can be served."""
        return tuple(
            str(PurePosixPath(file.path).parent)
            for file in self.files
            if PurePosixPath(file.path).name == SERVING_FILE
        )
