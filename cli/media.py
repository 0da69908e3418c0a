"""`sealift media`: move bundles."""

import click

from sealift.cli.media_stream import stream

__all__ = ["command"]


@click.group("media", short_help="Move bundles: as a stream over a one-way link.")
def command() -> None:
    """Move bundles: as a stream over a one-way link."""


command.add_command(stream)
