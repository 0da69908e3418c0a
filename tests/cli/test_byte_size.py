"""Sizes as people type them."""

import click
import pytest

from sealift.cli.byte_size import ByteSize


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("1048576", 1 << 20), ("650MB", 650_000_000), ("4.7GB", 4_700_000_000),
        ("64MiB", 64 << 20), ("1k", 1000), ("1 Ki", 1024), ("2TB", 2 * 10**12), ("7B", 7),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert ByteSize().convert(text, None, None) == size


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1e9", "1XB", "iB", "1iB", "1.B", ".5GB", "\u0661MB", "0.1"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter):
        ByteSize().convert(text, None, None)


def test_nothing_is_a_size_where_it_means_something() -> None:
    assert ByteSize(may_be_zero=True).convert("0", None, None) == 0
    with pytest.raises(click.BadParameter):
        ByteSize(may_be_zero=True).convert("none", None, None)
