"""Bars are for terminals; a log file gets plain lines."""

import io

from sealift.cli.progress import PlainProgress, RichProgress, progress_for


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


def test_a_step_of_bytes_says_how_fast_it_was() -> None:
    stream = io.StringIO()
    with PlainProgress(stream).step("write usb", total=5_000_000) as advance:
        advance(5_000_000)
    assert stream.getvalue().splitlines()[1].endswith(" MB/s")


def test_a_bar_of_bytes_shows_speed_and_amount_and_one_of_things_does_not() -> None:
    for total, shown in ((5_000_000, True), (12, False)):
        stream = io.StringIO()
        with RichProgress(stream).step("write usb", total=total) as advance:
            advance(total)
        assert ("MB/s" in stream.getvalue() or "MB" in stream.getvalue()) is shown
