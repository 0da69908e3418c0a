"""`sealift have`: a list of what this host holds, for smaller media."""

from pathlib import Path

import click

from sealift.cli.options import home_option, json_option, open_store_if_any
from sealift.cli.output import human_bytes, print_json, talk

__all__ = ["command"]


@click.command("have", short_help="Write a list of what this host holds, for smaller media.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
    help="The file to write; one that is there is replaced.",
)  # fmt: skip
@home_option
@json_option
def command(out: Path, home: Path, as_json: bool) -> None:
    """Write a list of what this host holds, signed by its site key, to be carried out.

    With `sealift media write --base FILE`, the next medium leaves out the parts that are listed.
    The list holds digests only: no names, prompts or keys.
    """
    from sealift.media.durable import replace_file
    from sealift.runtime.store.errors import StoreError
    from sealift.runtime.store.have import export_have

    store = open_store_if_any(home)
    if store is None:
        raise StoreError(f"{home}: expected a home, found no log", hint="set SEALIFT_HOME")
    export = export_have(store)
    replace_file(out, export.data)
    for item in export.left_out:
        talk(f"left out {item.reference}: {item.reason}")
    have = export.have
    if as_json:
        print_json(
            {
                "file": str(out),
                "size_bytes": len(export.data),
                "digest": str(have.digest),
                "site": have.site,
                "time": have.time,
                "versions": list(export.versions),
                "left_out": [
                    {"version": item.reference, "reason": item.reason} for item in export.left_out
                ],
                "files": len(have.files),
                "parts": len(have.parts),
                "checkpoint": export.checkpoint,
            }
        )
        return
    click.echo(
        f"wrote {out}: {human_bytes(len(export.data))}, {len(have.files)} files and "
        f"{len(have.parts)} parts of {len(export.versions)} model versions"
    )
    click.echo(f"signed by site {have.site}")
    click.echo(f"checkpoint {export.checkpoint}")
