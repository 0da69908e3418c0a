"""Use an export again: the same export gives the same bundle, byte for byte."""

from pathlib import Path

from sealift.bundler.errors import BundlerError
from sealift.bundler.record import EXPORT_FILE, FILES_FOLDER, ExportRecord
from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.recipe import Recipe

__all__ = ["read_export"]


def read_export(folder: Path, recipe: Recipe) -> ExportRecord | None:
    """Return the record of a finished export, or None where there is none yet.

    Raises:
        BundlerError: the folder holds the export of another recipe.
        ManifestError: its record is not one.
    """
    path = folder / EXPORT_FILE
    if not path.is_file() or not (folder / FILES_FOLDER).is_dir():
        return None
    record = ExportRecord.parse(path.read_bytes())
    digest = str(Digest.of(strict_json.canonical(recipe)))
    if record.recipe_digest != digest:
        raise BundlerError(
            f"{folder}: holds the export of {record.name} {record.version} from another recipe "
            f"(expected recipe {digest[:23]}, got {record.recipe_digest[:23]})",
            hint="give another --export, or remove what is there",
        )
    return record
