"""`sealift media`: move bundles over sticks, discs and one-way links."""

import click

from sealift.cli.media_repair import repair
from sealift.cli.media_stream import stream
from sealift.cli.media_write import write

__all__ = ["command"]


@click.group("media", short_help="Move bundles over sticks, discs and one-way links.")
def command() -> None:
    """Move bundles over sticks, discs and one-way links."""


command.add_command(write)
command.add_command(repair)
command.add_command(stream)
