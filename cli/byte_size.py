"""Sizes as people type them: `650MB`, `4.7GB`, `64MiB`, `1048576`."""

import re
from decimal import Decimal

import click

__all__ = ["ByteSize"]

_FORM = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kKMGT]?)(i?)B?", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class ByteSize(click.ParamType[int]):
    """A whole number of bytes, at least one unless 0 may be; `kB` is 1000, `KiB` is 1024."""

    name = "size"

    def __init__(self, *, may_be_zero: bool = False) -> None:
        self._least = 0 if may_be_zero else 1

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read a size."""
        if isinstance(value, int):
            return value
        match = _FORM.fullmatch(str(value).strip())
        size = -1
        if match is not None and not (match[3] and not match[2]):
            unit = (1024 if match[3] else 1000) ** _POWERS[match[2].lower()]
            size = int(Decimal(match[1]) * unit)
        if size < self._least:
            self.fail(f"expected a size such as 650MB or 4GiB, got {value!r}", param, ctx)
        return size
