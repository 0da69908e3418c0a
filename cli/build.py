"""`sealift build`: from a recipe to a sealed bundle."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.options import json_option, passphrase_option, passphrase_source
from sealift.cli.output import human_bytes, print_fields, print_json, print_table, talk

if TYPE_CHECKING:
    from sealift.bundler.record import ExportRecord
    from sealift.keys.verify import VerifiedBundle
    from sealift.manifests.progress import Progress
    from sealift.manifests.recipe import Recipe

__all__ = ["command"]


@click.command("build", short_help="Build a recipe into a sealed bundle.")
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Private key to sign with.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The bundle: a new folder."
)
@click.option(
    "--export",
    "export_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the export here; one that fits the recipe is used again.",
)
@passphrase_option
@json_option
def command(
    recipe: str,
    key: Path,
    out: Path,
    export_dir: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Build RECIPE (a YAML file, or a name that `sealift recipes` lists) into a sealed bundle.

    The model is exported to ONNX, quantized, and evaluated against the original in fp32; a limit of
    the recipe that is missed stops the build. Then it is packed, attested and signed.
    """  # fmt: skip
    from sealift.bundler.output import check_new
    from sealift.bundler.seal import write_bundle
    from sealift.cli.progress import progress_for
    from sealift.keys.key_file import read_signer

    # What can be refused at once is refused before minutes of work.
    check_new(out)
    path, parsed = _read_recipe(recipe)
    signer = read_signer(key, passphrase_source(passphrase_file, confirm=False))
    progress = progress_for()
    with _export_folder(export_dir, out) as folder:
        record = _export(parsed, path.parent, folder, progress)
        from sealift.bundler.attest import attestations
        from sealift.bundler.record import FILES_FOLDER

        bundle = write_bundle(
            folder / FILES_FOLDER,
            _meta(parsed, record),
            attestations(record),
            signer,
            out,
            progress,
        )
    _report(record, bundle, out, as_json=as_json)


def _read_recipe(name: str) -> tuple[Path, "Recipe"]:
    from sealift.manifests.catalogue import find_recipe
    from sealift.manifests.recipe import Recipe

    path = find_recipe(name)
    return path, Recipe.parse(path.read_bytes())


@contextmanager
def _export_folder(kept: Path | None, out: Path) -> Iterator[Path]:
    if kept is not None:
        yield kept
        return
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    # Beside the bundle: weights do not fit every /tmp.
    with tempfile.TemporaryDirectory(prefix=".export.", dir=out.absolute().parent) as folder:
        yield Path(folder)


def _export(
    recipe: "Recipe", recipe_dir: Path, folder: Path, progress: "Progress"
) -> "ExportRecord":
    from sealift.bundler.build import export_bundle
    from sealift.bundler.reuse import read_export

    record = read_export(folder, recipe)
    if record is not None:
        talk(f"using the export of {record.created} in {folder}")
        return record
    return export_bundle(recipe, recipe_dir, folder, progress)


def _meta(recipe: "Recipe", record: "ExportRecord") -> Any:
    from sealift.bundler.pack import BundleMeta

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


def _report(record: "ExportRecord", bundle: "VerifiedBundle", out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "bundle": str(out),
                "digest": str(bundle.seal.manifest),
                "key": bundle.seal.key.key_id,
                "blob_bytes": bundle.manifest.blob_bytes,
                "parts": len(bundle.manifest.parts),
                "steps": record.steps,
                "variants": record.variants,
            }
        )
        return
    print_table(
        ("STEP", "SECONDS", "PEAK MEMORY"),
        [(s.name, f"{s.seconds:.1f}", human_bytes(s.peak_bytes)) for s in record.steps],
    )
    click.echo()
    print_table(
        ("VARIANT", "SIZE", "AGAINST FP32"),
        [
            (v.label, human_bytes(v.size_bytes),
             "  ".join(f"{name} {value:.4g}" for name, value in v.evaluation.metrics.items()))
            for v in record.variants
        ],
    )  # fmt: skip
    click.echo()
    print_fields(
        [
            ("bundle", f"{out} ({human_bytes(bundle.manifest.blob_bytes)}, "
                       f"{len(bundle.manifest.parts)} parts)"),
            ("digest", str(bundle.seal.manifest)),
            ("signed by", bundle.seal.key.key_id),
        ]
    )  # fmt: skip
