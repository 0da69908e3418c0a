"""`sealift build`: from a recipe to a sealed bundle."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.options import json_option, passphrase_option, passphrase_source
from sealift.cli.output import human_bytes, print_fields, print_json, print_table, talk

if TYPE_CHECKING:
    from sealift.bundler.sealed_build import SealedBuild
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
    from sealift.bundler.sealed_build import build_sealed
    from sealift.cli.progress import progress_for
    from sealift.keys.key_file import read_signer

    path, parsed = _read_recipe(recipe)
    # The passphrase is asked for before the long work, not after it.
    signer = read_signer(key, passphrase_source(passphrase_file, confirm=False))
    built = build_sealed(parsed, path.parent, signer, out, progress_for(), export_dir=export_dir)
    if built.is_reused:
        talk(f"used the export of {built.record.created} in {export_dir}")
    _report(built, out, as_json=as_json)


def _read_recipe(name: str) -> tuple[Path, "Recipe"]:
    from sealift.manifests.catalogue import find_recipe
    from sealift.manifests.recipe import Recipe

    path = find_recipe(name)
    return path, Recipe.parse(path.read_bytes())


def _report(built: "SealedBuild", out: Path, *, as_json: bool) -> None:
    record, bundle = built.record, built.bundle
    if as_json:
        print_json(
            {
                "bundle": str(out),
                "digest": str(bundle.seal.manifest),
                "key": bundle.seal.key.key_id,
                "blob_bytes": bundle.manifest.blob_bytes,
                "parts": len(bundle.manifest.parts),
                "steps": built.steps,
                "variants": record.variants,
            }
        )
        return
    print_table(
        ("STEP", "SECONDS", "PEAK MEMORY"),
        [(s.name, f"{s.seconds:.1f}", human_bytes(s.peak_bytes)) for s in built.steps],
    )
    click.echo()
    print_table(
        ("VARIANT", "SIZE", "AGAINST FP32", "ON"),
        [
            (v.label, human_bytes(v.size_bytes),
             "  ".join(f"{name} {value:.4g}" for name, value in v.evaluation.metrics.items()),
             ", ".join(f"{count} {what}" for what, count in v.evaluation.samples.items() if count))
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
