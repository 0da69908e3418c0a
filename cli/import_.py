"""`sealift import`: verify a bundle and install it; take volumes and streams, in any order."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.options import home_option, json_option, open_store
from sealift.cli.output import human_bytes, print_json, print_table, talk

if TYPE_CHECKING:
    from sealift.runtime.importer.about import Unfinished
    from sealift.runtime.importer.result import ImportResult, Waiting
    from sealift.runtime.store.store import Store

__all__ = ["command"]

_STANDARD_INPUT = Path("-")


@click.command("import", short_help="Verify a bundle and install it.")
@click.argument("medium", type=click.Path(path_type=Path, allow_dash=True), required=False)
@click.argument("name", required=False)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Accept this public key alone, for this import; the record says so.",
)
@click.option("--allow-downgrade", is_flag=True, help="Accept an older release than one seen here.")
@click.option(
    "--rebuild-missing",
    is_flag=True,
    help="A volume is lost: rebuild its parts from repair parts instead of waiting for it.",
)
@click.option(
    "--status", is_flag=True, help="Say which imports are unfinished, and what they need."
)
@click.option(
    "--discard", metavar="NAME", help="Remove what an unfinished import has taken so far."
)
@home_option
@json_option
def command(
    medium: Path | None,
    name: str | None,
    key: Path | None,
    allow_downgrade: bool,
    rebuild_missing: bool,
    status: bool,
    discard: str | None,
    home: Path,
    as_json: bool,
) -> None:
    """Verify the bundle on MEDIUM (NAME, where it carries several) and install it.

    The signature comes first, then a plan, then each part is hashed before it is decoded. Whatever
    is wrong, nothing is installed, and the refusal is in the log; parts that were verified are kept
    for the next run.

    MEDIUM is a folder, a folder of volumes, or `-` for a stream on standard input. The volumes of a
    set come in any order, over any number of runs.
    """
    store = open_store(home)
    if status or discard is not None:
        _show(_discarded(store, discard) if discard is not None else _unfinished(store), as_json)
        return
    if medium is None:
        raise click.UsageError("expected MEDIUM, `-`, --status or --discard")
    _print(_import(store, medium, name, key, allow_downgrade, rebuild_missing), as_json)


def _import(
    store: "Store",
    medium: Path,
    name: str | None,
    key: Path | None,
    allow_downgrade: bool,
    rebuild_missing: bool,
) -> "ImportResult | Waiting":
    from sealift.cli.progress import progress_for
    from sealift.keys.key_file import read_public
    from sealift.media.library import volume_folders
    from sealift.runtime.importer.importer import ImportOptions, import_bundle, import_stream
    from sealift.runtime.importer.result import ImportResult

    options = ImportOptions(
        name=name,
        key=read_public(key) if key is not None else None,
        allow_downgrade=allow_downgrade,
        progress=progress_for(),
    )
    # What is missing is known when the last volume was read.
    last: ImportOptions = {**options, "rebuild_missing": rebuild_missing}
    if medium == _STANDARD_INPUT:
        if sys.stdin.isatty():
            raise click.UsageError("expected a stream on standard input, got a terminal")
        return import_stream(sys.stdin.buffer, store, **last)
    folders = volume_folders(medium) or (medium,)
    for folder in folders[:-1]:
        result = import_bundle(folder, store, **options)
        if isinstance(result, ImportResult):
            return result
    return import_bundle(folders[-1], store, **last)


def _unfinished(store: "Store") -> "tuple[Unfinished, ...]":
    from sealift.runtime.importer.about import unfinished_imports

    return unfinished_imports(store.home)


def _discarded(store: "Store", name: str) -> "tuple[Unfinished, ...]":
    from sealift.manifests.digest import Digest
    from sealift.media.errors import NoSuchBundleError
    from sealift.runtime.importer.staging import Staging

    found = [item for item in _unfinished(store) if name in (item.name, item.reference)]
    if not found:
        known = ", ".join(item.reference for item in _unfinished(store)) or "none"
        raise NoSuchBundleError(f"no unfinished import of {name[:80]!r} (unfinished: {known})")
    for item in found:
        Staging.remove(store.home, Digest("sha256", item.manifest))
        talk(f"discarded {item.reference}: {item.held_parts} parts")
    return _unfinished(store)


def _show(items: "tuple[Unfinished, ...]", as_json: bool) -> None:
    if as_json:
        print_json([_row(item) for item in items])
    elif items:
        print_table(
            ("NAME", "VERSION", "PARTS", "MISSING", "NEEDED"),
            [
                (item.name, item.version, f"{item.held_parts} of {item.part_count}",
                 human_bytes(item.missing_bytes), _needed(item))
                for item in items
            ],
        )  # fmt: skip
    else:
        talk("no unfinished imports")


def _row(item: "Unfinished") -> dict[str, object]:
    return {
        "name": item.name,
        "version": item.version,
        "digest": f"sha256:{item.manifest}",
        "parts": item.part_count,
        "held_parts": item.held_parts,
        "missing_bytes": item.missing_bytes,
        "volumes": item.volume_count,
        "missing_volumes": [
            {"number": volume.number, "parts": volume.parts} for volume in item.missing
        ],
    }


def _needed(item: "Unfinished") -> str:
    if item.volume_count == 1:
        return "the same medium, or a good copy"
    numbers = ", ".join(f"{volume.number} ({volume.parts} parts)" for volume in item.missing)
    return f"volumes {numbers} of {item.volume_count}"


def _print(result: "ImportResult | Waiting", as_json: bool) -> None:
    from sealift.runtime.importer.result import ImportResult

    if isinstance(result, ImportResult):
        _print_installed(result, as_json)
        return
    item = result.unfinished
    if as_json:
        print_json(
            {"outcome": "waiting", **_row(item), "volume": result.volume,
             "damaged": list(result.damaged), "read_bytes": result.read_bytes,
             "checkpoint": result.checkpoint}
        )  # fmt: skip
        return
    click.echo(
        f"took volume {result.volume} of {item.volume_count} of {item.name} {item.version}: "
        f"{item.held_parts} of {item.part_count} parts are here; still needed: {_needed(item)}"
    )
    for message in result.damaged:
        talk(f"damaged: {message}")
    click.echo(f"checkpoint {result.checkpoint}")


def _print_installed(result: "ImportResult", as_json: bool) -> None:
    from sealift.runtime.importer.result import Outcome

    if as_json:
        print_json(
            {
                "outcome": result.outcome.value,
                "name": result.name,
                "version": result.version,
                "task": result.task.value,
                "digest": str(result.digest),
                "key": result.key_id,
                "accepted_by_key_option": result.by_key_option,
                "downgrade": result.is_downgrade,
                "path": str(result.path),
                "size_bytes": result.size_bytes,
                "read_bytes": result.read_bytes,
                "reused_bytes": result.reused_bytes,
                "seconds": round(result.seconds, 3),
                "checkpoint": result.checkpoint,
            }
        )
        return
    if result.outcome is Outcome.ALREADY_INSTALLED:
        click.echo(f"already installed: {result.name} {result.version}, {result.digest}")
    else:
        click.echo(
            f"installed {result.name} {result.version}: {human_bytes(result.size_bytes)}, "
            f"{result.digest}, signed by {result.key_id[:16]}"
            + (" (key given with --key)" if result.by_key_option else "")
        )
    click.echo(f"checkpoint {result.checkpoint}")
