"""`sealift import`: verify a bundle and install it."""

from pathlib import Path

import click

from sealift.cli.options import home_option, json_option, open_store
from sealift.cli.output import human_bytes, print_json

__all__ = ["command"]


@click.command("import", short_help="Verify a bundle and install it.")
@click.argument("medium", type=click.Path(path_type=Path))
@click.argument("name", required=False)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Accept this public key alone, for this import; the record says so.",
)
@click.option("--allow-downgrade", is_flag=True, help="Accept an older release than one seen here.")
@home_option
@json_option
def command(
    medium: Path,
    name: str | None,
    key: Path | None,
    allow_downgrade: bool,
    home: Path,
    as_json: bool,
) -> None:
    """Verify the bundle on MEDIUM (NAME, where it carries several) and install it.

    The signature comes first, then a plan, then each part is hashed before it is decoded. Whatever
    is wrong, nothing is installed, and the refusal is in the log.
    """
    from sealift.cli.progress import progress_for
    from sealift.keys.key_file import read_public
    from sealift.runtime.importer.importer import Outcome, import_bundle

    public = read_public(key) if key is not None else None
    result = import_bundle(
        medium,
        open_store(home),
        name=name,
        key=public,
        allow_downgrade=allow_downgrade,
        progress=progress_for(),
    )
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
