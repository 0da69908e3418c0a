"""The connected side in one call: from a recipe to a sealed bundle.

built = build_sealed(recipe, recipe_dir, signer, Path("bundle"), progress)
built.bundle.seal.manifest, built.steps
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealift.bundler.attest import attestations
from sealift.bundler.build import export_bundle
from sealift.bundler.output import check_new
from sealift.bundler.pack import BundleMeta
from sealift.bundler.record import FILES_FOLDER, ExportRecord, StepRecord
from sealift.bundler.reuse import read_export
from sealift.bundler.seal import write_bundle
from sealift.bundler.steps import StepLog
from sealift.keys.signer import Signer
from sealift.keys.verify import VerifiedBundle
from sealift.manifests.progress import Progress
from sealift.manifests.recipe import Recipe

__all__ = ["SealedBuild", "build_sealed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBuild:
    """A bundle, what it was made from, and what each step cost.

    Attributes:
        is_reused: the export was there already; its steps are those of that time.
    """

    record: ExportRecord
    bundle: VerifiedBundle
    steps: tuple[StepRecord, ...]
    is_reused: bool


def build_sealed(
    recipe: Recipe,
    recipe_dir: Path,
    signer: Signer,
    out: Path,
    progress: Progress,
    *,
    export_dir: Path | None = None,
) -> SealedBuild:
    """Export, evaluate, pack and seal; `out` is complete or does not exist.

    Args:
        recipe_dir: the folder that the recipe's paths are relative to.
        export_dir: where the export is kept; a finished one of the same recipe is used again.

    Raises:
        BundlerError: a source, an export, a limit, or the output is refused.
        OSError: reading or writing failed.
    """
    check_new(out)  # refused at once, not after minutes of work
    with _export_folder(export_dir, out) as folder:
        found = read_export(folder, recipe)
        record = found or export_bundle(recipe, recipe_dir, folder, progress)
        log = StepLog(progress)
        bundle = write_bundle(
            folder / FILES_FOLDER, _meta(recipe, record), attestations(record), signer, out, log
        )
    return SealedBuild(
        record=record,
        bundle=bundle,
        steps=(*record.steps, *log.records),
        is_reused=found is not None,
    )


def _meta(recipe: Recipe, record: ExportRecord) -> BundleMeta:
    return BundleMeta(
        name=recipe.name,
        version=recipe.version,
        license=recipe.license,
        architecture=record.architecture,
        task=recipe.task,
        created=record.created,
        sequence=recipe.sequence,
        audience=recipe.audience,
    )


@contextmanager
def _export_folder(kept: Path | None, out: Path) -> Iterator[Path]:
    if kept is not None:
        yield kept
        return
    parent = out.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    # Beside the bundle: weights do not fit every /tmp.
    with tempfile.TemporaryDirectory(prefix=".export.", dir=parent) as folder:
        yield Path(folder)
