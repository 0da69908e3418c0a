"""`sealift media stream`: a bundle through a pipe, for one-way links."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.byte_size import ByteSize
from sealift.cli.output import human_bytes, talk

if TYPE_CHECKING:
    from sealift.media.stream_writer import ByteSink

__all__ = ["stream"]


@click.command("stream")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--repeat", type=click.IntRange(0), default=1, show_default=True, metavar="N",
    help="Send all of it N times; 0: until the reader goes.",
)  # fmt: skip
@click.option(
    "--rate", type=ByteSize(), metavar="SIZE",
    help="Send at most so much a second, as 100MB: for links that lose what comes faster.",
)  # fmt: skip
def stream(bundle: Path, repeat: int, rate: int | None) -> None:
    """Write BUNDLE to standard output as one tar stream, to be read by `sealift import -`.

    Every part is compared with its digest before it is sent. Signatures travel as they are; no key
    is needed. What a lossy link drops or damages in one round, the receiver takes from another.

    \b
        sealift media stream BUNDLE --repeat 3 | nc 10.0.0.2 4000
        sealift media stream BUNDLE | tar -xf - -C FOLDER
    """
    from sealift.cli.progress import progress_for
    from sealift.media.errors import ReaderGoneError
    from sealift.media.folder import MediumFolder
    from sealift.media.stream_writer import plan_stream, write_stream

    if sys.stdout.isatty():
        raise click.UsageError(
            "a stream is no text: send it to a file or a program, not a terminal"
        )
    with MediumFolder.open(bundle) as source:
        plan = plan_stream(source)
        total = plan.round_bytes * repeat or None
        try:
            with progress_for().step(f"stream {bundle}", total) as advance:
                write_stream(source, plan, _out(rate), repeat=repeat, advance=advance)
        except ReaderGoneError as error:
            if error.rounds == 0:
                raise
            talk(f"the reader went away after {error.rounds} whole rounds")
            return
    talk(f"sent {human_bytes(plan.round_bytes)}, {repeat} times")


def _out(rate: int | None) -> "ByteSink":
    from sealift.media.pace import Paced

    # Unbuffered: what could not be sent must not be tried again when the program ends.
    out = open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115  # lives as long as stdout
    return out if rate is None else Paced(out, rate)
