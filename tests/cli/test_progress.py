"""Bars are for terminals; a log file gets plain lines."""

import io

from sealift.cli.progress import PlainProgress, progress_for


def test_plain_progress_is_two_lines_without_colour() -> None:
    stream = io.StringIO()
    progress = progress_for(stream)
    assert isinstance(progress, PlainProgress)
    with progress.step("export cpu-int4", total=3) as advance:
        advance(3)
    first, second = stream.getvalue().splitlines()
    assert first == "export cpu-int4 ..."
    assert second.startswith("export cpu-int4: done in ")
    assert "\x1b" not in stream.getvalue()
