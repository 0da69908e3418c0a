"""`sealift media repair`: make a damaged medium whole again, from its own repair parts."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.options import json_option
from sealift.cli.output import print_json

if TYPE_CHECKING:
    from sealift.media.repairer import RepairReport

__all__ = ["repair"]


@click.command("repair", short_help="Rebuild damaged or missing parts of a medium in place.")
@click.argument("media", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--scratch", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="FOLDER",
    help="Unpack compressed parts here, as much as all of them; else among the temporary files.",
)  # fmt: skip
@json_option
def repair(media: tuple[Path, ...], scratch: Path | None, as_json: bool) -> None:
    """Read every part of MEDIA, and repair in place what is damaged or missing.

    MEDIA are media, folders of volumes, or copies: what one lacks is taken from another, and what
    none has is rebuilt from repair parts (`media write --parity`). No key is needed: each file must
    have the digest that names it. Nothing is written before all of it is ready.
    """
    from sealift.cli.progress import progress_for
    from sealift.media.repairer import repair_media

    report = repair_media(media, progress_for(), scratch=scratch)
    if as_json:
        print_json(_facts(report))
        return
    for file in report.repaired:
        how = "rebuilt" if file.rebuilt else "copied"
        click.echo(f"{how}: {file.medium / file.path} ({file.label}): was {file.fault}")
    click.echo(f"{report.checked} parts read, {len(report.repaired)} repaired")


def _facts(report: "RepairReport") -> dict[str, object]:
    return {
        "checked": report.checked,
        "repaired": [
            {
                "medium": str(file.medium),
                "path": file.path,
                "label": file.label,
                "fault": file.fault,
                "how": "rebuilt" if file.rebuilt else "copied",
            }
            for file in report.repaired
        ],
    }
