"""Printing: stdout is data, stderr is talk."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

__all__ = ["human_bytes", "print_fields", "print_json", "print_table", "talk"]


def print_json(value: Any) -> None:
    """Print a value as indented JSON on stdout."""
    click.echo(json.dumps(msgspec.to_builtins(value, str_keys=True), indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print left-aligned columns with a header; plain text, so that `awk` can read it."""
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print `name  value` lines, names padded."""
    pairs = list(fields)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {value}")


def talk(message: str) -> None:
    """Say something to the person, on stderr."""
    click.echo(message, err=True)


def human_bytes(size_bytes: int) -> str:
    """Write a size as people read it, as `1.4 MB`."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
